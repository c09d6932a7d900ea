"""Which command lines may be started as a server: a guard rail, not a wall.

It stops what no server needs: shells, other users' rights, `rm`, `curl` and their like, behind
paths, links, wrappers and interpreters too. What a program that may be started then does, nobody
here can know: `python server.py` runs whatever is written there.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...delegation.inputs.paths import shown
from ...errors import PermissionDenied
from .programs import (
    CONTAINERS,
    NPM,
    OPTIONS,
    PYTHON,
    RUNNERS,
    SAME,
    SCRIPT,
    SHELLS,
    SUBCOMMANDS,
    WHY,
    Options,
    names,
)

if TYPE_CHECKING:
    from ..definitions.documents import Definition

#: What no argument of a server holds, because a shell would run it: a line's end, `x`, $(x), <(x),
#: an operator that stands alone, or one before a program that is not started.
_SYNTAX = re.compile(
    r"[\0\n\r`]|[$<>]\(|(?:^|\s)(?:;|\|\|?|&&?|\d?>>?|<<?)(?=\s|$)"
    rf"|[;|&]\s*(?:/\S*/)?(?:{'|'.join(map(re.escape, WHY))})(?=[\s;|&]|$)",
    re.IGNORECASE,
)
#: What cmd.exe reads in the arguments of a batch file, whoever starts it.
_BATCH = re.compile(r"[&|<>^%!\"]")
#: How many programs may start one another.
_DEPTH = 20


def check_command(
    definition: Definition, search: str | None = None, folder: Path | None = None
) -> None:
    """Raise for a program that is not started as a server; nothing is run to find out.

    Variables should be put in before (`expanded`), for what they hold counts.

    Args:
        definition: the server; one that is reached by URL starts nothing.
        search: PATH to look for programs in, if the entry has none of its own; default this
            process's.
        folder: what its `cwd` is relative to, and relative programs if it has none.

    Raises:
        PermissionDenied: the command is blocked, or its arguments hold shell syntax.
    """
    if definition.command is None:
        return
    place = (folder or Path()) / os.path.expanduser(definition.cwd or "")  # noqa: PTH111 - as below
    line = _Line(definition.name, place, definition.env.get("PATH", search))
    line.check([definition.command, *definition.args])


@dataclass(frozen=True)
class _Line:
    """A command line to judge, and where its programs are looked for."""

    server: str
    place: Path
    search: str | None

    def check(self, words: list[str]) -> None:
        """Raise PermissionDenied where a word may not stand, or a program not be started."""
        for word in words:
            if found := _SYNTAX.search(word):
                raise self._denied(f"has shell syntax in an argument ({shown(found[0])})")
        is_batch = self._real(words[0]).lower().endswith((".cmd", ".bat"))
        if is_batch and any(_BATCH.search(word) for word in words[1:]):
            raise self._denied("is a batch file, and an argument holds what cmd.exe would run")
        self._check(words, _DEPTH)

    def _check(self, words: list[str], depth: int) -> None:
        if not words:
            return
        if not depth:
            raise self._denied("is started through too many other programs")
        own, real = names(words[0]), names(self._real(words[0]))
        self._check_program(words[0], [*own, *real])
        known = [SAME.get(name, name) for name in (*own, *real)]
        name = next((name for name in known if name in OPTIONS), own[0])
        if options := OPTIONS.get(name):
            for rest in self._rests(name, options, words[1:]):
                self._check(rest, depth - 1)
        elif name not in CONTAINERS:
            for rest in _shells(words[1:]):
                self._check(rest, depth - 1)

    def _check_program(self, word: str, known: list[str]) -> None:
        if os.path.isabs(word) and os.path.isdir(word):  # noqa: PTH112, PTH117 - as below
            return  # an argument, taken for a program to be on the safe side
        for name in known:
            why = WHY.get("mkfs" if name.startswith("mkfs.") else name)
            if why:
                raise self._denied(f"would start {shown(word)}: {name} is {why}")

    def _rests(self, name: str, options: Options, words: list[str]) -> Iterator[list[str]]:
        """Yield what may be the command that a program runs, of the words that it is given."""
        at, skip = 0, options.skip
        while at < len(words):
            word = words[at]
            at += 1
            if name == "env" and (split := _split(word, words[at:])):
                text, taken = split
                yield from self._rests(name, options, self._words(text) + words[at + taken :])
                return
            given = word + "".join(words[at : at + 1]) if word.startswith("-") else word
            if "data:" in given and not options.runs:
                raise self._denied(f"gives {name} code in a data: URL")
            if word == "--":
                continue
            if not word.startswith("-"):
                if name == "env" and "=" in word:
                    continue
                if name == "deno" and word in ("eval", "repl"):
                    raise self._denied("gives deno code in an argument")
                if name in RUNNERS and word in SUBCOMMANDS:
                    continue
                if skip:
                    skip -= 1
                    continue
                if options.runs and not (options is NPM and word.startswith("@")):
                    yield words[at - 1 :]
                return
            option, takes, is_known = self._option(name, options, word)
            if options is PYTHON and option == "-m":
                return  # what follows is the module's
            if takes and at < len(words) and not words[at].startswith("-"):
                if not is_known and options.runs:
                    yield words[at:]  # the option's value, or the command
                elif not is_known and SCRIPT.search(words[at]):
                    return
                at += 1

    def _option(self, name: str, options: Options, word: str) -> tuple[str, bool, bool]:
        """Return which option a word is, whether it takes the next, and whether that is known."""
        option, equals, _ = word.partition("=")
        if word.startswith("--"):
            # many programs take as much of an option as is clear
            if any(code.startswith(option) for code in options.code if len(option) > 3):
                raise self._denied(f"gives {name} code in an argument ({option})")
            is_known = bool(equals) or option in options.flags | options.values
            return option, not equals and option not in options.flags, is_known
        for end, letter in enumerate(word[1:], 2):
            if f"-{letter}" in options.code:
                raise self._denied(f"gives {name} code in an argument (-{letter})")
            if f"-{letter}" in options.values:
                return f"-{letter}", end == len(word), True
        return word, False, True

    def _words(self, text: str) -> list[str]:
        """Return the words that `env -S` makes of a text."""
        try:
            if "$" in text or "\\" in text:
                raise ValueError
            return shlex.split(text)
        except ValueError:
            raise self._denied("has words that env -S would make others of") from None

    def _real(self, word: str) -> str:
        """Return the file that a program's name leads to, its links followed."""
        if re.search(r"[\\/]", word):
            # these never raise, as pathlib's do for odd names
            return os.path.realpath(self.place / os.path.expanduser(word))  # noqa: PTH111
        found = shutil.which(word, path=self.search)
        return os.path.realpath(found) if found else word

    def _denied(self, what: str) -> PermissionDenied:
        return PermissionDenied(
            f"Access denied: the server {shown(self.server)} {what}",
            "Name the server's own program in `command`, and its arguments one by one in `args`; "
            "no shell reads them",
        )


def _shells(words: list[str]) -> Iterator[list[str]]:
    """Yield what looks like a command in the arguments of any program: `-- x`, or `sh -c x`."""
    for at, word in enumerate(words):
        after = words[at + 1] if at + 1 < len(words) else ""
        is_shell = not SHELLS.isdisjoint(names(word))
        is_given = re.match(r"[-/][a-z]*c$", after, re.IGNORECASE)
        if (is_shell and is_given) or (at and words[at - 1] == "--"):
            yield words[at:]


def _split(word: str, rest: list[str]) -> tuple[str, int] | None:
    """Return the text that `env -S` splits, and how many further words it took; None if none."""
    option, equals, text = word.partition("=")
    if option.startswith("--s") and "--split-string".startswith(option) and equals:
        return text, 0
    if re.fullmatch(r"--s[plit]*(-string)?|-[iv0]*S", word):
        return (rest[0], 1) if rest else None
    found = re.match(r"-[iv0]*S(.+)", word)
    return (found[1], 0) if found else None
