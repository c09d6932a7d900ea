"""Vectors that are remembered."""

from __future__ import annotations

from array import array

from ollama_mcp_server.delegation.search.vectors import OVERHEAD, Vectors


def test_memory_is_bounded_and_keeps_what_was_asked_for_last() -> None:
    vector = array("f", [0.5] * 16)
    vectors = Vectors(3 * (64 + OVERHEAD))
    for key in (b"a", b"b", b"c", b"c"):
        vectors.put(key, vector)
    assert vectors.get(b"a") == vector
    vectors.put(b"d", vector)
    assert [key for key in (b"a", b"b", b"c", b"d") if vectors.get(key)] == [b"a", b"c", b"d"]
    vectors.put(b"huge", array("f", [0.5] * 1000))
    assert not any(vectors.get(key) for key in (b"a", b"c", b"d", b"huge"))
