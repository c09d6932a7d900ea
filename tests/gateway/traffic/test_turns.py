"""Turns in the line where callers have requests at other processes too."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ollama_mcp_server.gateway.traffic.turns import next_turn, passed_now


def turns(names: list[str], running: dict[str, int], number: int) -> list[str]:
    """Return who gets the turns while all of them go on waiting; who had one goes to the end."""
    waiting, passed, served = list(names), {}, []
    for _ in range(number):
        chosen = next_turn(waiting, running, passed)
        passed = passed_now(waiting, chosen, passed)
        waiting.remove(chosen)
        waiting.append(chosen)
        served.append(chosen)
    return served


def test_who_runs_as_much_as_the_others_has_his_turn_after_all_of_them() -> None:
    assert turns(["a", "b", "c"], {}, 7) == ["a", "b", "c", "a", "b", "c", "a"]
    assert turns(["a", "b"], {"a": 2, "b": 2}, 4) == ["a", "b", "a", "b"]


def test_who_runs_less_comes_first() -> None:
    assert next_turn(["a", "b", "c"], {"a": 4, "c": 1}, {}) == "b"
    assert next_turn(["a", "c"], {"a": 4, "c": 1}, {}) == "c"


def test_who_runs_more_waits_longer_and_not_for_ever() -> None:
    assert turns(["a", "b"], {"a": 3}, 8) == ["b", "b", "b", "a", "b", "b", "b", "a"]


def test_what_is_remembered_is_of_those_who_wait() -> None:
    assert passed_now(["a", "b", "c"], "b", {"a": 2, "gone": 9}) == {"a": 3, "c": 1}


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 20), min_size=1))
def test_nobody_waits_longer_than_what_he_runs_and_all_the_others(running: dict[str, int]) -> None:
    most = max(running.values()) + len(running)
    served = turns(list(running), running, 4 * most)
    for name in running:
        waits = [n for n, who in enumerate(served) if who == name]
        assert waits
        assert max(b - a for a, b in zip([-1, *waits], waits, strict=False)) <= most
