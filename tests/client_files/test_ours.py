"""Which entries of a client's file are this server's, and which of them can be tried."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.clients.catalogue import CLIENTS
from ollama_mcp_server.clients.ours import Entry, own_entries, same_place

HERE = "http://127.0.0.1:8000/mcp"
UVX = {"command": "uvx", "args": ["ollama-mcp-server"]}


def found(held: dict[str, Any], client: str = "cursor") -> list[Entry]:
    return own_entries(CLIENTS[client], held, HERE)


def test_commands_that_start_it_and_addresses_that_lead_to_it_are_ours() -> None:
    held = {
        "fs": {"command": "npx", "args": ["server-filesystem"]},
        "mine": {**UVX, "env": {"OLLAMA_HOST": "h:1"}},
        "ollama": {"url": "https://far.example/mcp", "headers": {"Authorization": "Bearer x"}},
        "other": {"url": "https://far.example/mcp"},
        "here": {"serverUrl": "http://localhost:8000/mcp/"},
        "broken": "a text",
        "here too": {"url": HERE, "headers": ["wrong"], "enabled": True},
    }
    assert found(held) == [
        Entry("mine", ["uvx", "ollama-mcp-server"], {"OLLAMA_HOST": "h:1"}),
        Entry("ollama", url="https://far.example/mcp", headers={"Authorization": "Bearer x"}),
        Entry("here", url="http://localhost:8000/mcp/"),
        Entry("here too", url=HERE),
    ]


def test_each_clients_own_words_are_read() -> None:
    goose = {"o": {"cmd": "uvx", "args": ["ollama-mcp-server"], "envs": {"A": "1"}}}
    assert found(goose, "goose") == [Entry("o", ["uvx", "ollama-mcp-server"], {"A": "1"})]
    codex = {"ollama": {"url": HERE, "http_headers": {"X": "y"}}}
    assert found(codex, "codex") == [Entry("ollama", url=HERE, headers={"X": "y"})]


@pytest.mark.parametrize("switch", [{"disabled": True}, {"enabled": False}])
def test_what_is_switched_off_is_not_tried(switch: dict[str, bool]) -> None:
    [entry] = found({"ollama": {**UVX, **switch}})
    assert entry.is_off
    assert not entry.may_be_tried


def test_variables_that_only_the_client_knows_are_not_guessed() -> None:
    [entry] = found({"o": {**UVX, "env": {"OLLAMA_HOST": "${input:host}", "A": "1"}}})
    assert entry.env == {"A": "1"}
    assert entry.may_be_tried
    for held in (
        {"command": "${userHome}/bin/ollama-mcp-server"},
        {"url": HERE, "headers": {"Authorization": "Bearer ${input:key}"}},
    ):
        [entry] = found({"ollama": held})
        assert not entry.may_be_tried


def test_what_is_alike_need_be_tried_once() -> None:
    one, two = Entry("a", ["x"], {"A": "1"}), Entry("b", ("x",), {"A": "1"})
    assert one.likeness == two.likeness
    assert one.likeness != Entry("a", ["x"], {"A": "2"}).likeness


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("http://localhost:8000/mcp", True),
        ("http://[::1]:8000/mcp/", True),
        ("http://127.0.0.1:8001/mcp", False),
        ("http://127.0.0.1:8000/other", False),
        ("http://127.0.0.1:many/mcp", False),
        (None, False),
    ],
)
def test_an_address_of_this_computer_has_many_names(other: str | None, same: bool) -> None:
    assert same_place(HERE, other) is same
