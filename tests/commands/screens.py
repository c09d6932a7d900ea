"""What a terminal shows after what was written to it: as much of one as rich's output needs."""

from __future__ import annotations

import re

_PARTS = re.compile(r"\x1b\[(?P<number>\d*)(?P<code>[AK])|\x1b\[[0-?]*[a-zA-Z]|(?P<text>.)", re.S)


def screen_of(written: str) -> list[str]:
    """Return the lines that a terminal without an end shows, without spaces at their ends."""
    lines, row, column = [""], 0, 0
    for part in _PARTS.finditer(written):
        if part["code"] == "A":
            row = max(row - int(part["number"] or 1), 0)
        elif part["code"] == "K":
            lines[row] = "" if part["number"] == "2" else lines[row][:column]
        elif part["text"] == "\n":
            row, column = row + 1, 0
            lines += [""] * (row - len(lines) + 1)
        elif part["text"] == "\r":
            column = 0
        elif part["text"]:
            lines[row] = (
                f"{lines[row]:<{column}}"[:column] + part["text"] + lines[row][column + 1 :]
            )
            column += 1
    return [line.rstrip() for line in lines]
