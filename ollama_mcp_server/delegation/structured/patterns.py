"""Regular expressions of a caller's schema: which the grammar can hold, which match quickly."""

from __future__ import annotations

import re

#: Longest pattern, and most repetitions of one part, that are sent.
MOST_CHARACTERS = 300
MOST_REPETITIONS = 200

#: One step of a pattern that means the same to the grammar and to everyone: no `.`, no negated set
#: (both would let a bare quote end the string), no lookaround, nothing lazy.
_STEP = re.compile(
    r"""(?: (?P<open>\((?:\?:)?(?![?|)*+{]))
          | (?P<bar>\|(?![|)*+?{]))
          | (?P<atom> (?P<close>\))
                    | (?P<set>\[-?(?: \\[dw] | \\[-!#$%&'()*+,./:;<=>?@_{|}~]
                                    | [0-9]-[0-9] | [A-Z]-[A-Z] | [a-z]-[a-z]
                                    | [ !\#-,./0-9:;<=>?@A-Z_a-z{|}~](?!-(?!\])) )+-?\])
                    | \\(?P<class>[dw])
                    | (?P<escaped>\\[-./^$*+?()\[\]{}|@:,\#&_=])
                    | [A-Za-z0-9 !\#%&',:;<=>@_`~/-])
            (?P<times>[*+?]|\{(?P<low>\d+)(?:,(?P<high>\d*))?\})?(?![*+?{])
        )""",
    re.VERBOSE,
)
_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_"}
_IN_SET = re.compile(r"\\.|[A-Za-z0-9]-[A-Za-z0-9]|.")
#: What the daemon's reader of patterns wants escaped.
_SPECIAL = frozenset("^$.[]()|{}*+?")
#: An escape or a set of characters: one character of the text.
_ONE = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)
_REPEATED_GROUP = re.compile(r"\)[*+?{]")
_BACK_REFERENCE = re.compile(r"\\[1-9]|\(\?P=")
_REPEATED = re.compile(r"[*+]|\{\d*,\d*\}|(?<!\()\?")


def held_pattern(pattern: str) -> str | None:
    """Return a pattern as the daemon's grammar takes it, or None if it cannot hold it.

    Whatever the returned one matches, the given one matches too.
    """
    whole = len(pattern) <= MOST_CHARACTERS and pattern[:1] == "^" and pattern[-1:] == "$"
    if not whole or pattern.endswith("\\$"):
        return None
    at, depth, steps = 1, 0, []
    while at < len(pattern) - 1:
        step = _STEP.match(pattern, at, len(pattern) - 1)
        if not step or max(int(step["low"] or 0), int(step["high"] or 0)) > MOST_REPETITIONS:
            return None
        depth += bool(step["open"]) - bool(step["close"])
        # Outside a group, `|` parts the anchors too.
        if depth < 0 or (step["bar"] and not depth):
            return None
        steps.append(_written(step))
        at = step.end()
    return f"^{''.join(steps)}$" if depth == 0 else None


def _written(step: re.Match[str]) -> str:
    times = step["times"] or ""
    if step["class"]:
        return f"[{_CLASSES[step['class']]}]{times}"
    if step["set"]:
        return f"[{_set(step['set'][1:-1])}]{times}"
    if step["escaped"]:
        character = step["escaped"][1]
        return (step["escaped"] if character in _SPECIAL else character) + times
    return step[0]


def _set(body: str) -> str:
    """Return the inside of a set of characters, without escapes and with its dash at the end."""
    parts = [
        _CLASSES.get(part[1], part[1]) if part[0] == "\\" else part
        for part in _IN_SET.findall(body)
    ]
    return "".join(part for part in parts if part != "-") + "-" * ("-" in parts)


def is_quick(pattern: str, length: int) -> bool:
    """Return whether matching a text of so many characters surely takes no time worth a word.

    Repeated groups can take exponential time; else it is the length, to the power of how many
    repetitions there are.
    """
    plain = _ONE.sub("x", pattern)
    if _REPEATED_GROUP.search(plain) or _BACK_REFERENCE.search(pattern):
        return False
    power = len(_REPEATED.findall(plain)) + (not plain.startswith("^"))
    return bool(max(length, 2) ** power <= 10_000_000)
