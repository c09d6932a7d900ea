"""Anthropic's messages as OpenAI's chat.completions, which is one conversion from Ollama's chat."""

from __future__ import annotations

import json
from typing import Any

from ..errors import InvalidArgument
from .objects import an_object, objects

#: Request fields that go by the same name, or by another one.
_FIELDS = {
    "model": "model",
    "stream": "stream",
    "max_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "stop_sequences": "stop",
}
#: Anthropic's types of tool_choice that have no name.
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def to_chat(request: dict[str, Any]) -> dict[str, Any]:
    """Return OpenAI's request for one of Anthropic's.

    A user's tool_result blocks become messages of their own, before what else the user says.

    Raises:
        InvalidArgument: something is not of the form that it must have, or cannot be answered.
    """
    chat = {theirs: request[ours] for ours, theirs in _FIELDS.items() if request.get(ours)}
    if request.get("temperature") == 0:
        chat["temperature"] = 0
    messages = [] if request.get("system") is None else [_system(request["system"])]
    for message in objects(request.get("messages"), "messages"):
        messages += _messages(message)
    chat["messages"] = messages
    if tools := request.get("tools"):
        chat["tools"] = [_tool(tool) for tool in objects(tools, "tools")]
    if isinstance(choice := request.get("tool_choice"), dict):
        named = {"type": "function", "function": {"name": choice.get("name")}}
        chat["tool_choice"] = _CHOICES.get(str(choice.get("type")), named)
    if isinstance(thinking := request.get("thinking"), dict):
        chat["think"] = thinking.get("type") != "disabled"
    form = an_object(request.get("output_config")).get("format") or request.get("output_format")
    if isinstance(form, dict):
        chat["response_format"] = {"type": form.get("type"), "json_schema": form}
    return chat


def servers_of(request: dict[str, Any]) -> list[Any] | None:
    """Return the MCP servers that a request names, or defines in Anthropic's form or ours."""
    given = request.get("mcp_servers")
    if not isinstance(given, list):
        return None
    return [_server(one) if an_object(one).get("type") == "url" else one for one in given]


def _server(given: dict[str, Any]) -> dict[str, Any]:
    key = given.get("authorization_token")
    headers = {"headers": {"Authorization": f"Bearer {key}"}} if key else {}
    return {"name": given.get("name"), "url": given.get("url"), **headers}


def _system(content: Any) -> dict[str, Any]:
    return {"role": "system", "content": _text(content)}


def _messages(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Return OpenAI's messages for one of Anthropic's."""
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str):
        raise InvalidArgument("messages need a role", "It is user or assistant")
    if isinstance(content, str):
        return [{"role": role, "content": content}]
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    results: list[dict[str, Any]] = []
    thought = ""
    for block in objects(content, "content"):
        kind = block.get("type")
        if kind == "tool_use":
            calls.append(_call(block))
        elif kind == "tool_result":
            results.append(_result(block))
            parts += [part for part in _parts(block.get("content")) if part["type"] != "text"]
        elif kind == "thinking":
            thought += str(block.get("thinking") or "")
        elif kind != "redacted_thinking":
            parts.append(_part(block))
    said: dict[str, Any] = {"role": role, "content": parts or None}
    if thought:
        said["reasoning"] = thought
    if calls:
        said["tool_calls"] = calls
    return [*results, *([said] if parts or calls or thought or not results else [])]


def _parts(content: Any) -> list[dict[str, Any]]:
    if content is None or isinstance(content, str):
        return [{"type": "text", "text": content or ""}]
    return [_part(block) for block in objects(content, "content")]


def _part(block: dict[str, Any]) -> dict[str, Any]:
    """Return OpenAI's content part for a block."""
    kind = block.get("type")
    source = an_object(block.get("source"))
    if kind == "text":
        return {"type": "text", "text": str(block.get("text") or "")}
    if kind == "image":
        url = source.get("url") or f"data:{source.get('media_type')};base64,{source.get('data')}"
        return {"type": "image_url", "image_url": {"url": str(url)}}
    if kind == "document" and source.get("type") == "text":
        return {"type": "text", "text": str(source.get("data") or "")}
    raise InvalidArgument(
        f"content blocks of type {kind!r} are not supported",
        "Use text, image, tool_use and tool_result",
    )


def _call(block: dict[str, Any]) -> dict[str, Any]:
    arguments = json.dumps(block.get("input") or {})
    function = {"name": str(block.get("name")), "arguments": arguments}
    return {"id": block.get("id"), "type": "function", "function": function}


def _result(block: dict[str, Any]) -> dict[str, Any]:
    text = _text(block.get("content"))
    told = f"Error: {text}" if block.get("is_error") else text
    return {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": told}


def _text(content: Any) -> str:
    """Return the text of blocks; their pictures are left out."""
    return "\n".join(part["text"] for part in _parts(content) if part["type"] == "text")


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(tool.get("input_schema"), dict):
        raise InvalidArgument(
            f"the tool {tool.get('name')} has no input_schema",
            "Anthropic's own tools are not to be had here; define it, or use an MCP server",
        )
    function = {
        "name": tool.get("name"),
        "description": tool.get("description"),
        "parameters": tool["input_schema"],
    }
    return {"type": "function", "function": function}
