"""Whose turn it is in the line of one process, where callers have requests at others too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


def next_turn(names: Iterable[str], running: Mapping[str, int], passed: Mapping[str, int]) -> str:
    """Return who is next: who has the fewest requests running, the first of several such.

    Each turn that went to another counts as one request fewer, so that nobody waits for ever
    behind callers who have a little less.

    Args:
        names: who waits, in the order of their turns.
        running: requests that each has running, wherever; none if not named.
        passed: turns that each has let pass since it last had one; none if not named.
    """
    return min(names, key=lambda name: running.get(name, 0) - passed.get(name, 0))


def passed_now(names: Iterable[str], chosen: str, passed: Mapping[str, int]) -> dict[str, int]:
    """Return the turns that each has let pass, once one was chosen; of those who wait only."""
    return {name: passed.get(name, 0) + 1 for name in names if name != chosen}
