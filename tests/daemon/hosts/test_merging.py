"""One library from several."""

from __future__ import annotations

from typing import Any

from ollama_mcp_server.daemon.hosts.merging import installed, running


def row(name: str, digest: str = "1", day: int = 1) -> dict[str, Any]:
    return {"name": name, "digest": digest, "modified_at": f"2026-01-0{day}T00:00:00Z"}


def test_a_model_is_one_row_wherever_it_is() -> None:
    rows = installed([("a", [row("x", day=1), row("y", day=3)]), ("b", [row("x", day=2)])])
    assert [(r["name"], r["hosts"]) for r in rows] == [("y", ["a"]), ("x", ["a", "b"])]


def test_where_the_content_of_a_name_differs_it_is_told() -> None:
    [one] = installed([("a", [row("x", "1", 1)]), ("b", [row("x", "2", 2)])])
    assert (one["digest"], one["hosts"]) == ("1", ["a", "b"])
    assert one["digests"] == {"a": "1", "b": "2"}
    [same] = installed([("a", [row("X")]), ("b", [row("x")])])
    assert "digests" not in same


def test_what_runs_tells_where() -> None:
    rows = running([("b", [row("x")]), ("a", [row("x"), row("y")])])
    assert [(r["name"], r["host"]) for r in rows] == [("x", "b"), ("x", "a"), ("y", "a")]


def test_the_answers_themselves_are_left_as_they_are() -> None:
    answer = [row("x")]
    installed([("a", answer), ("b", answer)])
    running([("a", answer)])
    assert answer == [row("x")]
