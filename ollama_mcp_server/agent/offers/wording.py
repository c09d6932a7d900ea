"""Text of foreign servers as a model may read it: short, visible, and nothing but text."""

import re
import unicodedata
from typing import Any

#: What templates write around turns and calls: `<|im_start|>`, `<tool_call>`, `[INST]`, `<<SYS>>`.
_TAG = re.compile(r"<(?=[A-Za-z/|｜<!])([^<>\n]{0,80})>?")
_BRACKETED = re.compile(r"\[(/?[A-Z][A-Z_]{2,40})\]")
_BARS = re.compile(r"[|｜]>|<[|｜]")
#: Format characters, surrogates, private ones and those of no meaning: invisible, or not sendable.
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn"))


def defused(text: Any, most: int) -> str:
    """Return a text in one line of at most so many characters, without what models obey.

    Control characters and those that nobody sees are left out; what looks like a tag of a chat
    template gets other brackets, so that no template's tokens come of it.
    """
    if not isinstance(text, str):
        return ""
    seen = "".join(
        " " if character.isspace() else character
        for character in text[: 4 * most + 100]
        if character.isspace() or unicodedata.category(character) not in _UNSEEN
    )
    plain = _TAG.sub(r"‹\1›", " ".join(seen.split()))
    plain = _BARS.sub("¦", _BRACKETED.sub(r"(\1)", plain)).strip()
    if len(plain) <= most:
        return plain
    cut = plain[: most - 1]
    whole = plain[:most].rpartition(" ")[0]
    return (whole if 2 * len(whole) > most else cut).rstrip() + "…"


def is_plain(text: Any, most: int) -> bool:
    """Return whether a text can be shown to a model just as it is."""
    return isinstance(text, str) and defused(text, most) == text
