"""Ollama's chat request, as an OpenAI-compatible endpoint takes it: pure conversions."""

import base64
import binascii
import re
from contextlib import suppress
from typing import Any

from ...daemon.wire import Part
from ..inputs.kinds import kind_of
from ..openai import OPTIONS, to_tool_call

#: Ollama's options that the API has too. Newer models of OpenAI's want max_completion_tokens; to
#: others it is unknown, so that they are told after they refused (`without`).
_FIELDS = {ours: name for name, ours in OPTIONS.items() if name != "max_completion_tokens"}
_EFFORTS = ("low", "medium", "high")
#: Fields that an answer can do without where a model or an endpoint does not take them.
_DISPENSABLE = ("stream_options", *_FIELDS.values())
#: Those of them that nobody needs to be told of.
SILENT = ("stream_options", "max_tokens")
_NOT_TAKEN = re.compile(
    r"unsupported|not support|unrecogni[sz]ed|unknown|not permitted|not allowed|unexpected"
    r"|only the default",
    re.IGNORECASE,
)


def to_request(body: Part, reasoning: str | None = None) -> tuple[Part, list[str]]:
    """Return the streamed request for a body of `/api/chat`, and what the reader must know of it.

    `keep_alive`, `truncate` and `shift` are Ollama's own, and `think` is sent where it is a level.

    Args:
        body: model, messages, tools, format, options and think, by Ollama's names.
        reasoning: the field in which the endpoint is known to tell thoughts. What a model thought
            before its calls of this turn goes back in it, as reasoning models want it.
    """
    request: Part = {
        "model": body["model"],
        "messages": to_messages(body.get("messages") or [], reasoning),
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if body.get("tools"):
        request["tools"] = body["tools"]
    if form := body.get("format"):
        request["response_format"] = to_response_format(form)
    options = {k: v for k, v in (body.get("options") or {}).items() if v is not None}
    if options.get("num_predict", 1) < 1:
        del options["num_predict"]  # no limit, as the API has it where none is given
    request |= {_FIELDS[name]: value for name, value in options.items() if name in _FIELDS}
    unknown = sorted(options.keys() - _FIELDS.keys())
    if body.get("think") in _EFFORTS:
        request["reasoning_effort"] = body["think"]
    elif isinstance(body.get("think"), str):
        unknown.append(f"think: {body['think']}")
    left_out = f"an OpenAI-compatible endpoint has no {', '.join(unknown)}; it was left out"
    return request, [left_out] if unknown else []


def to_response_format(form: Any) -> Part:
    """Return OpenAI's `response_format` for Ollama's `format`: "json", or a JSON Schema."""
    if not isinstance(form, dict):
        return {"type": "json_object"}
    described = {"name": "answer", "strict": False, "schema": form}
    return {"type": "json_schema", "json_schema": described}


def to_messages(messages: list[Part], reasoning: str | None = None) -> list[Part]:
    """Return OpenAI's messages for Ollama's.

    Pictures become parts. Only a user may show some there: those of a tool's answer follow in a
    message of the user's. Calls without an id get one, and their answers the same, in order.
    """
    turn = max((at for at, m in enumerate(messages) if m["role"] == "user"), default=-1)
    sent: list[Part] = []
    shown: list[str] = []
    unanswered: list[tuple[str, str]] = []
    for at, message in enumerate(messages):
        role, text = message["role"], message.get("content") or ""
        images = message.get("images") or []
        if role != "tool" and shown:
            sent.append(_pictures(shown))
            shown = []
        ours: Part = {"role": role, "content": text}
        if role == "user" and images:
            ours["content"] = [{"type": "text", "text": text}, *map(_picture, images)]
        else:
            shown += images
        if role == "tool":
            ours["tool_call_id"] = _answered(message, unanswered)
        elif calls := message.get("tool_calls"):
            ours["tool_calls"] = [to_tool_call(call) for call in calls]
            unanswered = [(call["id"], call["function"]["name"]) for call in ours["tool_calls"]]
            if reasoning and at > turn and message.get("thinking"):
                ours[reasoning] = message["thinking"]
        sent.append(ours)
    return [*sent, _pictures(shown)] if shown else sent


def without(request: Part, refusal: str) -> str | None:
    """Return the field that a refusal names, if an answer can do without it.

    None where it refuses a value, and not the field.
    """
    if not _NOT_TAKEN.search(refusal):
        return None
    names = (name for name in _DISPENSABLE if name in request)
    return next((name for name in names if re.search(rf"\b{name}\b", refusal)), None)


def removed(request: Part, name: str) -> Part:
    """Return a request without one of its fields; a limit keeps its newer name."""
    rest = {key: value for key, value in request.items() if key != name}
    if name == "max_tokens" and name in request:
        rest["max_completion_tokens"] = request[name]
    return rest


def _answered(message: Part, unanswered: list[tuple[str, str]]) -> str:
    """Return the id of the call that a tool's answer belongs to, and count it as answered."""
    given, name = message.get("tool_call_id"), message.get("tool_name")
    found = [call for call in unanswered if given == call[0]] if given else []
    found = found or [call for call in unanswered if name == call[1]] or unanswered
    if not found:
        return given or ""
    call = found[0]
    unanswered.remove(call)
    return given or call[0]


def _pictures(images: list[str]) -> Part:
    said = {"type": "text", "text": "The pictures of the answers above:"}
    return {"role": "user", "content": [said, *map(_picture, images)]}


def _picture(image: str) -> Part:
    """Return the part of a picture in base64, its kind read from its first bytes."""
    if not image.startswith("data:"):
        kind = None
        with suppress(binascii.Error):
            kind = kind_of(base64.b64decode(image[:64]))
        image = f"data:image/{(kind or 'PNG').lower()};base64,{image}"
    return {"type": "image_url", "image_url": {"url": image}}
