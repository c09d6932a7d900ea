"""The conversations that the server keeps for the caller."""

import json
from typing import Any

from fastmcp import Context
from fastmcp.resources import Resource, resource
from mcp_types import Annotations

from ..app import App
from ._json import JSON

#: A conversation's resource is below it.
CONVERSATIONS = "ollama://conversations"


@resource(
    CONVERSATIONS + "/{id}",
    name="conversation",
    title="One kept conversation",
    mime_type=JSON,
    annotations=Annotations(priority=0.3),
)
async def conversation(ctx: Context, id: str) -> str:
    """Show a conversation that ollama_chat keeps for you, by its handle: model and messages.

    Of a picture only the size is shown.
    """
    app = App.of(ctx)
    kept = await app.conversations.load(id, app.owner(ctx))
    said = {
        "conversation": kept.handle,
        "model": kept.model,
        "messages": [_without_pictures(message) for message in kept.messages],
    }
    return json.dumps(said, ensure_ascii=False)


def _without_pictures(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message with the size of each picture in its place."""
    if not message.get("images"):
        return message
    sizes = [len(picture) * 3 // 4 for picture in message["images"]]
    return {**message, "images": [f"a picture of {size:,} bytes" for size in sizes]}


async def instances(ctx: Context) -> list[Resource]:
    """Return a resource for each of the caller's conversations, the newest first."""
    app = App.of(ctx)
    if app.settings.state_url is None and "conversations" not in vars(app):
        return []  # they are in memory, and none has begun
    return [
        Resource(
            uri=f"{CONVERSATIONS}/{line.handle}",
            name=line.handle,
            title=line.title or line.handle,
            description=f"A conversation with {line.model}: {line.turns} turns, {line.bytes} bytes",
            mime_type=JSON,
            annotations=Annotations(priority=0.2, last_modified=line.updated),
        )
        for line in await app.conversations.listed(app.owner(ctx))
    ]
