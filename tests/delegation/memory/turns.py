"""Turns of conversations."""

from __future__ import annotations

from typing import Any

from ollama_mcp_server.delegation.memory.conversations import NEW, Conversations

ANN = "ann@example.org"
HELLO = {"role": "user", "content": "Hello there"}
HI = {"role": "assistant", "content": "Hi!"}


async def begun(kept: Conversations, owner: str = ANN, *messages: dict[str, Any]) -> str:
    """Have a first turn; return the handle."""
    async with kept.turn(NEW, owner) as conversation:
        conversation.add([*(messages or (HELLO,))])
        conversation.messages.append(HI)
        conversation.model = "qwen3:8b"
    return conversation.handle
