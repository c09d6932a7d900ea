"""OpenAI's responses as its chat.completions, which is one conversion from Ollama's chat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import InvalidArgument
from .objects import an_object, objects

_FIELDS = {
    "model": "model",
    "stream": "stream",
    "max_output_tokens": "max_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_logprobs": "top_logprobs",
}
#: Types of content parts that are text.
_TEXTS = ("input_text", "output_text", "text", "summary_text", "refusal")


def to_chat(request: dict[str, Any]) -> dict[str, Any]:
    """Return a chat.completions request for one of `/v1/responses`.

    Tools of type mcp are not in it: see `servers_of`.

    Raises:
        InvalidArgument: something is not of the form that it must have, or cannot be answered.
    """
    for name in ("previous_response_id", "conversation", "prompt"):
        if request.get(name) is not None:
            raise InvalidArgument(
                f"{name} is not supported: no response is kept here",
                "Send the whole conversation as input",
            )
    chat = {
        theirs: request[ours] for ours, theirs in _FIELDS.items() if request.get(ours) is not None
    }
    given = request.get("input")
    items = [{"role": "user", "content": given}] if isinstance(given, str) else given
    messages = list(_messages(objects(items, "input")))
    if instructions := request.get("instructions"):
        messages.insert(0, {"role": "system", "content": instructions})
    chat["messages"] = _joined(messages)
    functions = [
        {"type": "function", "function": {k: tool.get(k) for k in _FUNCTION}}
        for tool in objects(request.get("tools") or [], "tools")
        if tool.get("type") == "function"
    ]
    if functions:
        chat["tools"] = functions
    if (choice := request.get("tool_choice")) is not None:
        chat["tool_choice"] = choice
    form = an_object(request.get("text")).get("format")
    if isinstance(form, dict):
        chat["response_format"] = {"type": form.get("type"), "json_schema": form}
    if effort := an_object(request.get("reasoning")).get("effort"):
        chat["reasoning_effort"] = effort
    return chat


_FUNCTION = ("name", "description", "parameters")


def servers_of(request: dict[str, Any]) -> list[str | dict[str, Any]] | None:
    """Return the MCP servers that tools of type mcp name, None where there are none.

    With a `server_url` such a tool defines one; without, it names one that is configured.
    """
    tools = request.get("tools")
    named = [
        tool
        for tool in (tools if isinstance(tools, list) else ())
        if isinstance(tool, dict) and tool.get("type") == "mcp"
    ]
    return [_server(tool) for tool in named] or None


def _server(tool: dict[str, Any]) -> str | dict[str, Any]:
    label = str(tool.get("server_label") or "")
    if not tool.get("server_url"):
        return label
    headers = dict(an_object(tool.get("headers")))
    if key := tool.get("authorization"):
        headers["Authorization"] = f"Bearer {key}"
    server: dict[str, Any] = {"name": label, "url": tool["server_url"], "headers": headers}
    allowed = tool.get("allowed_tools")
    return {**server, "allow": allowed} if isinstance(allowed, list) else server


def _messages(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield a message for each item; for a call that was made here, its result as well."""
    for item in items:
        kind = item.get("type", "message")
        if kind == "message":
            yield {"role": item.get("role"), "content": _content(item.get("content"))}
        elif kind == "function_call":
            yield _calling(item, item.get("call_id"))
        elif kind == "mcp_call":
            yield _calling(item, item.get("id"))
            output = item.get("output")
            told = f"Error: {item.get('error')}" if output is None else str(output)
            yield {"role": "tool", "tool_call_id": item.get("id"), "content": told}
        elif kind == "function_call_output":
            told = _content(item.get("output"))
            yield {"role": "tool", "tool_call_id": item.get("call_id"), "content": told}
        elif kind == "reasoning":
            parts = _content(item.get("content")) or _content(item.get("summary")) or ""
            thought = parts if isinstance(parts, str) else "\n".join(p["text"] for p in parts)
            yield {"role": "assistant", "content": None, "reasoning": thought}
        else:
            raise InvalidArgument(
                f"input items of type {kind!r} are not supported",
                "Use messages, function_call and function_call_output",
            )


def _calling(item: dict[str, Any], id: Any) -> dict[str, Any]:
    name = str(item.get("name"))
    if label := item.get("server_label"):
        name = f"{label}__{name}"
    function = {"name": name, "arguments": item.get("arguments") or "{}"}
    call = {"id": id, "type": "function", "function": function}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def _content(content: Any) -> Any:
    """Return content as chat.completions has it."""
    if content is None or isinstance(content, str):
        return content
    parts: list[dict[str, Any]] = []
    for part in objects(content, "content"):
        kind = part.get("type")
        if kind in _TEXTS:
            parts.append({"type": "text", "text": str(part.get("text") or part.get(kind) or "")})
        elif kind == "input_image" and part.get("image_url"):
            parts.append({"type": "image_url", "image_url": {"url": part["image_url"]}})
        else:
            raise InvalidArgument(
                f"content parts of type {kind!r} are not supported",
                "Use input_text, and input_image with an image_url",
            )
    return parts


def _joined(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the messages with what an assistant thought and called in one, as it was said."""
    joined: list[dict[str, Any]] = []
    for message in messages:
        before = joined[-1] if joined else {}
        if message["role"] != "assistant" or before.get("role") != "assistant":
            joined.append(message)
        elif not (before.get("content") and message.get("content")):
            calls = [*before.get("tool_calls", ()), *message.get("tool_calls", ())]
            thought = before.get("reasoning", "") + message.get("reasoning", "")
            joined[-1] = {
                "role": "assistant",
                "content": before.get("content") or message.get("content"),
                **({"reasoning": thought} if thought else {}),
                **({"tool_calls": calls} if calls else {}),
            }
        else:
            joined.append(message)
    return joined
