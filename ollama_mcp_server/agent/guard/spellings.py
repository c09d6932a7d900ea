"""The ways in which a text may be read as a path, and which texts are no paths by their name."""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import unquote

#: What a parameter holds, by its name: a path, a command's words, prose, or anything.
Kind = Literal["path", "command", "prose", "any"]

_WORDS: dict[Kind, str] = {
    "path": "path paths file files filename filenames filepath filepaths pathname dir dirs "
    "directory directories folder folders root roots cwd workdir repo repos repository source src "
    "destination dest dst target uri uris location workspace project glob archive",
    "command": "command commands cmd args argv arguments cli",
    "prose": "text texts content contents body message messages prompt question answer reason "
    "description comment comments summary thought code html markdown md xml css sql regex xpath "
    "selector patch diff replacement separator delimiter endpoint route oldstring newstring "
    "oldstr newstr",
}
_KINDS: dict[str, Kind] = {word: kind for kind, words in _WORDS.items() for word in words.split()}
_FORMATS = frozenset(("path", "file", "file-path", "directory-path", "uri", "uri-reference", "iri"))

#: Pieces of a list, or of a brace pattern, in one text.
_PIECE = re.compile(r"[,;{\n]([^,;{}\n]+)")
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_FILE = re.compile(r"(?:^|[^a-z0-9])file:(.*)", re.IGNORECASE | re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(//)?")
_DRIVE = re.compile(r"[A-Za-z]:([\\/]|$)")
_SHARE = re.compile(r"\\\\[^\\/\s]")
_HOME = {
    True: re.compile(r"~[^\s\\/]*([\\/]|$)|\$\{?[A-Za-z_]|%[A-Za-z_]\w{2,}%"),
    False: re.compile(r"~([A-Za-z_][\w.-]*)?[\\/]|~$|(\$\{?[A-Z_]\w*\}?|%[A-Z_]\w{2,}%)[\\/]"),
}
#: What stands before a path in a word of a command.
_BEFORE = re.compile(r"^(--?[A-Za-z][\w-]*=?|\w+=|\d*[<>]+&?|@)(?=[/~\\]|\.\.|file:)")
#: Characters in more bytes than they need, which careless servers take.
_LAX = re.compile("%c0%a([ef])", re.IGNORECASE)
_SPACE = " \t\r\n\v\f\xa0\u200b\ufeff"
_OPTION = re.compile(r"--?[A-Za-z][\w-]*=")


def kind_of(name: str, declared: Any) -> Kind:
    """Return what a parameter holds: the last word of its name that says so decides."""
    words = [word.lower() for word in _WORD.findall(name)]
    if isinstance(declared, dict) and declared.get("format") in _FORMATS:
        return "path"
    words.append("".join(words))
    return next((_KINDS[word] for word in reversed(words) if word in _KINDS), "any")


def readings(text: str, kind: Kind) -> list[str]:
    """Return a text in each way that a server may read it: parts, quotes and codes undone."""
    texts = [text]
    if kind == "path":
        texts.append(unicodedata.normalize("NFKC", text))
        texts += [piece for whole in list(texts) for piece in _PIECE.findall(f",{whole}")]
    elif kind == "command":
        try:
            texts += shlex.split(text)
        except ValueError:
            texts += text.split()
        texts += [_BEFORE.sub("", word, count=1) for word in texts]
    texts += [one[option.end() :] for one in texts if (option := _OPTION.match(one))]
    found: dict[str, None] = {}
    for one in texts:
        reading = one
        for _ in range(4):
            plain = reading.strip(_SPACE)
            found[plain] = None
            if plain[:1] in ("'", '"', "`", "<"):
                found[plain[1:].rstrip("'\"`>")] = None
            if "%" not in reading:
                break
            reading = unquote(_LAX.sub(lambda code: "./"[code[1] in "fF"], reading))
    return list(found)


def paths(text: str, *, is_path: bool) -> Iterator[str | None]:
    """Yield the paths that a text may be; None for one that is outside in any case."""
    slashes = text.replace("\\", "/")
    for spelling in dict.fromkeys((slashes, text)):
        if uri := _FILE.search(spelling):
            yield from _uri(uri[1])
    if _SHARE.match(text) or (_DRIVE.match(text) and os.name != "nt"):
        yield None
    elif _HOME[is_path].match(text):
        home = os.path.expanduser(slashes)  # noqa: PTH111 - which never raises
        yield None if home == slashes else home
    elif text.startswith("/") or (is_path and slashes.startswith("/")):
        yield slashes if is_path else text
    else:
        scheme = _SCHEME.match(slashes)
        if scheme and slashes[scheme.end() :].startswith("/"):
            yield slashes[scheme.end() :]  # sqlite:///x and unix:/x name files, http://x does not
        yield from (text, slashes.lstrip("/"))
        if is_path:  # some systems take the space off a name
            yield re.sub(r"(^|/)\s*\.\.\s*(?=/|$)", r"\1..", slashes)


def _uri(rest: str) -> Iterator[str | None]:
    """Yield the paths that may be meant by what follows `file:`."""
    if rest.startswith("//"):
        host, slash, path = rest[2:].partition("/")
        if host.lower() not in ("", "localhost"):
            yield None
            return
        if not host:
            yield rest  # to who only takes off the scheme
        rest = slash + path
    yield rest
    yield re.split("[?#]", rest)[0]
