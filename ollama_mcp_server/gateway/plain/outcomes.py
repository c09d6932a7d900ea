"""What a tool answered, as plain HTTP says it: JSON, text, and media as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mcp_types
from pydantic_core import PydanticSerializationError, to_json
from starlette.responses import Response

from ...agent.calls.contents import told
from ...errors import OllamaMCPError, ToolFailed

#: Characters of what a tool says of its failure that are passed on.
MOST = 4_000


class Told(Response):
    """A response of JSON, of whatever another server sent."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Return it as bytes."""
        return encoded(content)


def encoded(value: Any) -> bytes:
    """Return a value as JSON in one line; what is no number is null."""
    try:
        return to_json(value, inf_nan_mode="null")
    except PydanticSerializationError:  # half a character, which JSON can only escape
        return to_json(_whole(value), inf_nan_mode="null")


def body_of(result: mcp_types.CallToolResult) -> Any:
    """Return what a tool answered, as JSON.

    Its structured content, or else its text. With pictures, sounds, files or links it is a list:
    structured content and texts as they are, media as `data:` URIs, links as objects.
    """
    pieces = [_piece(block) for block in result.content]
    if not any(is_media for _, is_media in pieces):
        if result.structured_content is not None:
            return result.structured_content
        return "\n\n".join(text for text, _ in pieces)
    structured = [] if result.structured_content is None else [result.structured_content]
    return [*structured, *(piece for piece, _ in pieces)]


def failure_of(result: mcp_types.CallToolResult, name: str) -> OllamaMCPError:
    """Return the error that a failed result tells: one of ours as it was, or a tool's words."""
    said = (result.structured_content or {}).get("error")
    if isinstance(said, dict) and isinstance(said.get("message"), str):
        kind = next(
            (kind for kind in _kinds(OllamaMCPError) if kind.code == said.get("code")), None
        )
        if kind is not None:
            error = kind(said["message"], str(said.get("hint") or ""))
            error.retryable = said.get("retryable") is True
            details = said.get("details")
            error.details = details if isinstance(details, dict) else {}
            return error
    return tool_failed(result, name)


def tool_failed(result: mcp_types.CallToolResult, name: str) -> ToolFailed:
    """Return the error for a result by which a foreign tool says that it failed."""
    text = told(result, limit=MOST, sees=False).text
    return ToolFailed(text, "See what the tool needs, and call it with other arguments", tool=name)


def _piece(block: Any) -> tuple[Any, bool]:
    """Return a block of content as JSON, and whether it is more than text."""
    if isinstance(block, mcp_types.TextContent):
        return block.text, False
    if isinstance(block, mcp_types.ImageContent | mcp_types.AudioContent):
        return _data(block.data, block.mime_type), True
    if isinstance(block, mcp_types.EmbeddedResource):
        resource = block.resource
        if isinstance(resource, mcp_types.TextResourceContents):
            return resource.text, False
        return _data(resource.blob, resource.mime_type), True
    return block.model_dump(mode="json", by_alias=True, exclude_none=True), True


def _data(content: str, mime: str | None) -> str:
    return f"data:{mime or 'application/octet-stream'};base64,{content}"


def _kinds(root: type[OllamaMCPError]) -> Iterator[type[OllamaMCPError]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)


def _whole(value: Any) -> Any:
    """Return a value whose texts hold no half characters."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, dict):
        return {_whole(name): _whole(held) for name, held in value.items()}
    return [_whole(held) for held in value] if isinstance(value, list | tuple) else value
