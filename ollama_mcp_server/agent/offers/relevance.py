"""Which tools a task is likely to need, by the words that they share."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import mcp_types

#: Characters of a task, and of a description, that are read.
TASK, DESCRIPTION = 20_000, 2_000
#: What a shared word counts in a tool's name, in its server's, and in its description.
IN_NAME, IN_SERVER, IN_DESCRIPTION = 3.0, 2.0, 1.0
#: Where a word begins in the middle of a name: `readFile`, `HTTPServer`.
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
#: Words that say nothing of what is to be done.
_EMPTY = frozenset(
    _WORD.findall(
        "a an and are as at be by can do does for from has have how if in into is it its me my not "
        "of on or our please so that the their them then these they this to use was we what when "
        "where which who will with you your"
    )
)


def words(text: str) -> set[str]:
    """Return the words of a text, in small letters and the singular, that say something."""
    found = (word.lower() for word in _WORD.findall(_HUMP.sub(" ", text)))
    return {_singular(word) for word in found if word not in _EMPTY}


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    return word[:-1] if len(word) > 3 and word.endswith("s") and word[-2] not in "su" else word


def scores(task: str, tools: Sequence[tuple[str, mcp_types.Tool]]) -> list[float]:
    """Return how well each tool, with its server's name, fits a task; 0 where no word is shared.

    A word that few tools have counts more than one that all have, and a description's words count
    less where it is long.
    """
    wanted = words(task[:TASK])
    read = [
        (words(tool.name[:200]), words(server), words((tool.description or "")[:DESCRIPTION]))
        for server, tool in tools
    ]
    have = Counter(word for places in read for word in set().union(*places) & wanted)
    rare = {word: math.log(1 + len(tools) / count) for word, count in have.items()}
    usual = sum(len(description) for _, _, description in read) / max(len(read), 1) or 1
    found = []
    for name, server, description in read:
        weights = (
            (name, IN_NAME),
            (server, IN_SERVER),
            (description, IN_DESCRIPTION * 2 / (1 + max(1, len(description) / usual))),
        )
        found.append(
            sum(weight * sum(rare[w] for w in sorted(place & wanted)) for place, weight in weights)
        )
    return found


def chosen(servers: Sequence[str], scores: Sequence[float], most: int) -> list[int]:
    """Return which tools are offered, at most so many, in their own order.

    Each server keeps its best, if there is room for all of them; of equals, the first counts.
    """
    ranked = sorted(range(len(scores)), key=lambda i: -scores[i])
    bests = list({servers[i]: i for i in reversed(ranked)}.values())
    firsts = sorted(bests, key=lambda i: (-scores[i], i))
    return sorted(list(dict.fromkeys([*firsts, *ranked]))[: max(most, 0)])
