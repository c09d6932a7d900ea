"""OpenAI's chat.completions, to Ollama's chat and back: pure conversions.

The request goes to `/api/chat`, not to the daemon's own `/v1`, which forces temperature 1 where
none is given, over the model's own parameters (Ollama 0.34).
"""

import json
import time
import uuid
from typing import Any

from ..errors import InvalidArgument
from .answer import Answer

#: Request fields that are an option of Ollama's under another, or the same, name.
OPTIONS = {
    "temperature": "temperature",
    "top_p": "top_p",
    "seed": "seed",
    "stop": "stop",
    "max_tokens": "num_predict",
    "max_completion_tokens": "num_predict",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "top_k": "top_k",  # not OpenAI's, but sent by clients of other servers, and by Anthropic's
}
#: Thinking levels that go by other names in Ollama, or by none.
_LEVELS: dict[str, bool | str] = {"none": False, "minimal": "low", "xhigh": "max"}


def to_options(request: dict[str, Any]) -> dict[str, Any]:
    """Return Ollama's options for those fields of a request that are options."""
    return {
        ours: request[theirs] for theirs, ours in OPTIONS.items() if request.get(theirs) is not None
    }


def to_messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return Ollama's messages for OpenAI's.

    Content parts become one text with its pictures; `developer` is `system`; a call's arguments
    become an object; a tool's answer gets the name of the call that it belongs to.

    Raises:
        InvalidArgument: a part is neither text nor a picture.
    """
    names: dict[str, str] = {}
    converted = []
    for message in messages:
        ours = {
            key: value
            for key, value in message.items()
            if key in ("role", "thinking", "tool_call_id") and value is not None
        }
        if ours["role"] == "developer":
            ours["role"] = "system"
        if thought := message.get("reasoning"):
            ours.setdefault("thinking", thought)
        text, images = _content(message.get("content"))
        ours["content"] = text
        if images:
            ours["images"] = images
        if calls := message.get("tool_calls"):
            ours["tool_calls"] = [_called(call) for call in calls]
            names.update({call["id"]: call["function"]["name"] for call in calls if call.get("id")})
        if ours["role"] == "tool":
            ours["tool_name"] = message.get("name") or names.get(message.get("tool_call_id") or "")
        converted.append({key: value for key, value in ours.items() if value is not None})
    return converted


def _called(call: dict[str, Any]) -> dict[str, Any]:
    """Return a call of the history; what is no object, the daemon would refuse."""
    arguments = call["function"].get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            arguments = None
        arguments = arguments if isinstance(arguments, dict) else {}
        return {**call, "function": {**call["function"], "arguments": arguments}}
    return call


def to_think(effort: str | None) -> bool | str | None:
    """Return Ollama's `think` for OpenAI's `reasoning_effort`."""
    return None if effort is None else _LEVELS.get(effort, effort)


def _content(content: Any) -> tuple[str, list[str]]:
    if content is None or isinstance(content, str):
        return content or "", []
    texts, images = [], []
    for part in content:
        kind = part.get("type")
        if kind == "text":
            texts.append(str(part.get("text") or ""))
        elif kind == "image_url":
            url = part.get("image_url")
            url = url.get("url") if isinstance(url, dict) else url
            if not isinstance(url, str) or not url:
                raise InvalidArgument(
                    "image_url must hold a url",
                    "Send the picture itself, as data:image/png;base64,…",
                )
            images.append(url)
        else:
            raise InvalidArgument(
                f"content parts of type {kind!r} are not supported", "Use text and image_url"
            )
    return "\n".join(texts), images


def to_format(response_format: dict[str, Any] | None) -> Any:
    """Return Ollama's `format` for OpenAI's `response_format`.

    Raises:
        InvalidArgument: its type is none of text, json_object, json_schema.
    """
    kind = (response_format or {}).get("type", "text")
    if response_format is None or kind == "text":
        return None
    if kind == "json_object":
        return "json"
    schema = (response_format.get("json_schema") or {}).get("schema")
    if kind == "json_schema" and isinstance(schema, dict):
        return schema
    raise InvalidArgument(
        "response_format must be text, json_object, or json_schema with a schema",
        'As in {"type": "json_schema", "json_schema": {"schema": {…}}}',
    )


def to_tool_call(call: dict[str, Any]) -> dict[str, Any]:
    """Return OpenAI's form of a tool call, with an id; arguments that are no object are none."""
    function = call["function"]
    arguments = function.get("arguments")
    arguments = arguments if isinstance(arguments, dict) else {}
    return {
        "id": call.get("id") or f"call_{uuid.uuid4().hex[:8]}",
        "type": "function",
        "function": {
            "name": function["name"],
            "arguments": json.dumps(arguments, ensure_ascii=False),
        },
    }


def to_completion(answer: Answer, warnings: list[str]) -> dict[str, Any]:
    """Return OpenAI's `chat.completion` object for an answer."""
    calls = [to_tool_call(call) for call in answer.tool_calls]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": answer.content or (None if calls else ""),
    }
    if answer.thinking:
        message["reasoning"] = answer.thinking
    if calls:
        message["tool_calls"] = calls
    reason = "length" if answer.done_reason == "length" else "tool_calls" if calls else "stop"
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": reason}
    if answer.logprobs:
        choice["logprobs"] = {"content": answer.logprobs}
    prompt = answer.final.get("prompt_eval_count") or 0
    completion = answer.final.get("eval_count") or 0
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    if (cached := answer.final.get("prompt_eval_cached_count")) is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    completed = {
        "id": f"chatcmpl-{uuid.uuid4().hex[:24]}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": answer.final.get("model"),
        "choices": [choice],
        "usage": usage,
    }
    return completed | ({"warnings": warnings} if warnings else {})
