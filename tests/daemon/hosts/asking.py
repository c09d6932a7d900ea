"""What the tests of several hosts ask, and how they see who was asked."""

from __future__ import annotations

import asyncio
from typing import Any

from ollama_mcp_server.daemon.client import Client
from tests.conftest import CHAT, HELLO
from tests.fake_ollama import FakeOllama
from tests.fake_ollama.models import key_of

PART = {"message": {"role": "assistant", "content": "a"}, "done": False}
DONE = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}


async def chat(client: Client, model: str = CHAT, **more: Any) -> list[dict[str, Any]]:
    body = {"model": model, "messages": HELLO, **more}
    return [part async for part in client.stream("/api/chat", body)]


async def load(daemon: FakeOllama, model: str = CHAT) -> None:
    """Have a daemon load a model, as somebody else might."""
    found = daemon.library.models[key_of(model)]
    daemon.library.load(found, {"model": model})


def drop(daemon: FakeOllama, *models: str) -> None:
    """Take models out of a daemon's library; all of them if none is named."""
    for key in [key_of(model) for model in models] or list(daemon.library.models):
        daemon.library.models.pop(key, None)


def asked(daemon: FakeOllama, path: str = "/api/chat") -> int:
    """Return how many requests for a path have come."""
    return sum(request.path == path for request in daemon.requests)


async def hold(client: Client, daemon: FakeOllama, model: str = CHAT) -> asyncio.Task[Any]:
    """Begin a chat that a daemon holds, and return once it is there."""
    before = asked(daemon)
    daemon.hold("/api/chat")
    task = asyncio.create_task(chat(client, model))
    await daemon.until(lambda: asked(daemon) > before)
    return task
