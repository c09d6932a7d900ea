"""Kept conversations as resources: the caller's own, and nobody else's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp import MCPError

from ollama_mcp_server.app import App
from tests.conftest import CHAT, Caller

PICTURE = "iVBORw0KGgo="
SAID: list[dict[str, Any]] = [
    {"role": "user", "content": "Hello\nthere — what is this?", "images": [PICTURE]},
    {"role": "assistant", "content": "A picture."},
]


async def begun(app: App, owner: str) -> str:
    """Begin a conversation, and return its handle."""
    async with app.conversations.turn("new", owner) as conversation:
        conversation.add(SAID)
        conversation.model = CHAT
    return conversation.handle


async def uris(client: Caller) -> list[str]:
    return [str(each.uri) for each in await client.list_resources()]


async def test_ones_own_are_listed_and_read(either_era: Caller, app: App) -> None:
    handle = await begun(app, "")
    uri = f"ollama://conversations/{handle}"
    listed = {str(each.uri): each for each in await either_era.list_resources()}
    assert listed[uri].name == handle
    assert listed[uri].title == "Hello there — what is this?"
    assert (listed[uri].description or "").startswith(f"A conversation with {CHAT}: 1 turns, ")
    content = await either_era.read_resource(uri)
    assert content[0].mime_type == "application/json"
    assert json.loads(content[0].text) == {
        "conversation": handle,
        "model": CHAT,
        "messages": [{**SAID[0], "images": ["a picture of 9 bytes"]}, SAID[1]],
    }


async def test_anothers_are_neither_listed_nor_read(either_era: Caller, app: App) -> None:
    anothers = await begun(app, "somebody else")
    assert not [uri for uri in await uris(either_era) if "conversations" in uri]
    messages = []
    for handle in (anothers, "conv_" + "a" * 32, "nonsense"):
        with pytest.raises(MCPError) as caught:
            await either_era.read_resource(f"ollama://conversations/{handle}")
        error = caught.value.error
        assert error.code == (-32002 if either_era.protocol_version < "2026" else -32602)
        assert error.data["code"] == "not_found"
        messages.append(error.message)
    assert len(set(messages)) == 1, "nobody learns whether a handle is someone's"


async def test_one_that_is_forgotten_is_gone(either_era: Caller, app: App) -> None:
    handle = await begun(app, "")
    await either_era.call("ollama_conversations", forget=handle)
    assert not [uri for uri in await uris(either_era) if "conversations" in uri]
    with pytest.raises(MCPError, match="no conversation of that handle"):
        await either_era.read_resource(f"ollama://conversations/{handle}")


async def test_no_store_is_opened_for_a_list(either_era: Caller, app: App) -> None:
    assert not [uri for uri in await uris(either_era) if "conversations" in uri]
    assert "conversations" not in vars(app)
