"""Which host a request goes to: tables of cases."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.daemon.hosts.choice import State, candidates, subject
from ollama_mcp_server.errors import InvalidArgument

MODEL = "qwen3:8b"
HAS = frozenset((MODEL,))


def host(name: str, what: str = "", running: int = 0, limit: int | None = None) -> State:
    """A host that has the model installed (i) or loaded (l), or is down (d)."""
    installed, loaded = (
        HAS if set("il") & set(what) else HAS - HAS,
        HAS if "l" in what else HAS - HAS,
    )
    return State(name, "d" not in what, loaded, installed, running, limit)


CHAT: list[tuple[str, list[State], list[str]]] = [
    ("loaded first", [host("a", "i"), host("b", "l")], ["b", "a"]),
    ("loaded and busy still first", [host("a", "i"), host("b", "l", 7)], ["b", "a"]),
    ("of loaded ones the least busy", [host("a", "l", 2), host("b", "l", 1)], ["b", "a"]),
    ("of installed ones the least busy", [host("a", "i", 2), host("b", "i", 1)], ["b", "a"]),
    ("alike: the settings' order", [host("a", "i"), host("b", "i")], ["a", "b"]),
    ("one at its limit comes last", [host("a", "l", 1, 1), host("b", "i", 3)], ["b", "a"]),
    ("below its limit it does not", [host("a", "l", 1, 2), host("b", "i")], ["a", "b"]),
    ("all at their limits", [host("a", "i", 1, 1), host("b", "l", 2, 2)], ["b", "a"]),
    ("one without it is none", [host("a"), host("b", "i", 9)], ["b"]),
    ("one that is down is none", [host("a", "ld"), host("b", "i")], ["b"]),
    ("had by one that is down only", [host("a"), host("b", "id")], ["b"]),
    ("had by nobody: all that are up", [host("a", "d"), host("b"), host("c")], ["b", "c"]),
    ("had by nobody, and all down", [host("a", "d"), host("b", "d")], ["a", "b"]),
]


@pytest.mark.parametrize(("states", "names"), [c[1:] for c in CHAT], ids=[c[0] for c in CHAT])
@pytest.mark.parametrize("path", ["/api/chat", "/api/show", "/v1/messages"])
def test_a_model_is_asked_where_it_is(path: str, states: list[State], names: list[str]) -> None:
    assert candidates(path, states, MODEL, None) == names


def test_names_are_compared_as_the_daemon_does() -> None:
    states = [host("a"), host("b", "i")]
    assert candidates("/api/chat", states, "QWEN3:8B", None) == ["b"]


@pytest.mark.parametrize("path", ["/api/chat", "/api/pull", "/api/create", "/api/delete"])
def test_who_names_a_host_gets_it_or_nothing(path: str) -> None:
    states = [host("a", "l"), host("b", "d")]
    assert candidates(path, states, MODEL, "b") == ["b"]


@pytest.mark.parametrize(
    ("path", "what", "names"),
    [
        ("/api/pull", ("", "i"), ["a", "b"]),
        ("/api/pull", ("d", ""), ["b"]),
        ("/api/pull", ("d", "d"), ["a", "b"]),
        ("/api/blobs/sha256:0", ("d", ""), ["b"]),
        ("/api/create", ("", "i"), ["b"]),
        ("/api/create", ("i", "l"), ["a", "b"]),
        ("/api/create", ("", "id"), ["a"]),
        ("/api/create", ("", ""), ["a", "b"]),
        ("/api/delete", ("", "i"), ["b"]),
        ("/api/copy", ("i", ""), ["a"]),
        ("/api/push", ("", "id"), ["b"]),
        ("/api/delete", ("", ""), ["a", "b"]),
    ],
)
def test_a_change_has_its_place(path: str, what: tuple[str, str], names: list[str]) -> None:
    states = [host("a", what[0]), host("b", what[1])]
    assert candidates(path, states, MODEL, None) == names


@pytest.mark.parametrize("path", ["/api/copy", "/api/delete", "/api/push"])
@pytest.mark.parametrize("other", ["i", "id"])
def test_of_several_places_the_caller_must_name_one(path: str, other: str) -> None:
    with pytest.raises(InvalidArgument, match="installed on a and b") as raised:
        candidates(path, [host("a", "i"), host("b", other)], MODEL, None)
    assert "host a or b" in raised.value.hint


def test_what_needs_no_model_goes_to_the_idlest() -> None:
    states = [host("a", running=1), host("b", "d"), host("c")]
    assert candidates("/api/version", states, None, None) == ["c", "a"]


@pytest.mark.parametrize(
    ("path", "body", "model"),
    [
        ("/api/chat", {"model": MODEL}, MODEL),
        ("/api/show", {"name": MODEL}, MODEL),
        ("/api/copy", {"source": MODEL, "destination": "mine"}, MODEL),
        ("/api/create", {"model": "mine", "from": MODEL}, MODEL),
        ("/api/create", {"model": "mine", "files": {}}, None),
        ("/api/chat", {"model": 3}, None),
        ("/api/version", None, None),
    ],
)
def test_the_model_that_must_be_there(path: str, body: Any, model: str | None) -> None:
    assert subject(path, body) == model
