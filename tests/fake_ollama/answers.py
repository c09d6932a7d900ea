"""Making answers: what is said, how it is measured, how a job's lines are sent."""

from __future__ import annotations

import base64
import json
import math
import random
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from .models import Model, now
from .reading import images_of
from .wire import BARE, JSON, LINES, Answer, Refused, demand


def stamp(moment: datetime) -> str:
    # Nine digits of a second, as Go prints them: clients must not count on six.
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}789Z"


def runner_refuses(message: str, kind: str = "invalid_request_error", **more: int) -> Refused:
    """A 400 of llama-server's, which the daemon hands on as JSON inside the error text."""
    error = {"code": 400, "message": message, "type": kind, **more}
    return Refused(400, json.dumps({"error": error}, separators=(",", ":")))


def instance_of(schema: JSON, root: JSON) -> Any:
    """A minimal instance of a JSON Schema, as a model bound by its grammar could write."""
    if "$ref" in schema:
        target: Any = root
        for key in schema["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        return instance_of(target, root)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    for key in {"anyOf", "oneOf", "allOf"} & schema.keys():
        return instance_of(schema[key][0], root)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        wanted: list[str] = schema.get("required", list(properties))
        return {name: instance_of(properties.get(name, {}), root) for name in wanted}
    if kind == "array":
        return [instance_of(schema.get("items", {}), root)] * schema.get("minItems", 1)
    low, text = schema.get("minimum", 0), "x" * schema.get("minLength", 1)
    simple = {"string": text, "integer": low, "number": low, "boolean": True, "null": None}
    if kind not in simple:
        where = "Field 'json_schema': \"json_schema\": JSON schema conversion failed"
        given = json.dumps(schema, separators=(",", ":"))
        raise runner_refuses(f"{where}:\nUnrecognized schema: {given}")
    return simple[kind]


def vector_of(text: str, size: int) -> list[float]:
    """A sum of one pseudo-random vector for each word: texts that share words come out close."""
    draws = [random.Random(word) for word in text.lower().split() or [""]]
    return [sum(draw.uniform(-1, 1) for draw in draws) for _ in range(size)]


def unit_vector(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector]


def words_of(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)


def line_of(name: str, verb: str, *, done: str = "", role: str = "assistant", **said: Any) -> JSON:
    """One line of an answer; `done` is the reason, on the last one."""
    content = said.pop("content", "")
    what = {"response": content, **said}
    if verb == "chat":
        what = {"message": {"role": role, "content": content, **said}}
    end = {"done": True, "done_reason": done} if done else {"done": False}
    return {"model": name, "created_at": stamp(now()), **what, **end}


def merge(lines: list[JSON]) -> JSON:
    """The one answer of `stream: false` for the lines of a stream."""
    said: list[JSON] = [line.get("message", line) for line in lines]
    joined: JSON = {
        key: "".join(part.get(key, "") for part in said)
        for key in ("content", "response", "thinking")
    }
    joined["tool_calls"] = [call for part in said for call in part.get("tool_calls", ())]
    spoken = {**said[-1], **{key: value for key, value in joined.items() if value}}
    chances = [chance for line in lines for chance in line.get("logprobs", ())]
    whole = {**lines[-1], "message": spoken} if "message" in lines[-1] else spoken
    return {**whole, "logprobs": chances} if chances else whole


def logprobs_of(word: str, body: JSON) -> JSON:
    chance: JSON = {"token": word, "logprob": -0.5, "bytes": list(word.encode())}
    top = [chance] * (body.get("top_logprobs") or 0)
    chances = [{**chance, "top_logprobs": top} if top else chance]
    return {"logprobs": chances} if body.get("logprobs") else {}


def reply_to(body: JSON, messages: list[JSON]) -> str:
    said, form = messages[-1].get("content") or "", body.get("format")
    if form:
        return json.dumps({"answer": said} if form == "json" else instance_of(form, form))
    if messages[-1].get("role") == "tool":
        return f"The tool answered: {said}"
    pictures = sum(len(images_of(message)) for message in messages)
    return f"I see {pictures} picture(s). " * bool(pictures) + f"You said: {said}"


def count_prompt(body: JSON, model: Model, messages: list[JSON], window: int) -> int:
    """Count the prompt's tokens (a word is one); raises `Refused` where the runner refuses."""
    pictures = [base64.b64decode(image) for message in messages for image in images_of(message)]
    if pictures and not model.can("vision"):
        what = "Multimodal data provided, but model does not support multimodal requests."
        raise runner_refuses(what)
    if not all(p.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8")) for p in pictures):
        raise runner_refuses("Failed to load image or audio file")
    form, expected = body.get("format"), 'expected "json" or a valid JSON Schema object'
    fits = isinstance(form, dict) or form in (None, "", "json")
    demand(fits, f"invalid format: {json.dumps(json.dumps(form))}; {expected}", 500)
    count = sum(len(words_of(message.get("content") or "")) for message in messages)
    if count > window and body.get("truncate") is False:
        raise runner_refuses(
            f"request ({count} tokens) exceeds the available context size ({window} tokens), "
            "try increasing it",
            "exceed_context_size_error",
            n_prompt_tokens=count,
            n_ctx=window,
        )
    return count if count <= window else window // 2 + 2  # the real one cuts, and says nothing


def play(lines: Iterable[JSON], merge: Callable[[list[JSON]], JSON] | None, kind: str) -> Answer:
    """Run a job: its lines as a stream or, with `merge`, one answer of that content type."""
    sent: list[JSON] = []
    try:
        sent.extend(lines)
    except Refused as refusal:
        if merge or not sent:
            return Answer([refusal.body], kind if merge else BARE, refusal.status)
        sent.append(refusal.body)  # the status line is out: an error line ends the stream
    return Answer([merge(sent)], kind) if merge else Answer(sent, LINES)


def play_job(body: JSON, lines: Iterable[JSON]) -> Answer:
    return play(lines, (lambda sent: sent[-1]) if body.get("stream") is False else None, BARE)


def transfer(verb: str, model: Model, *, there: bool = False) -> Iterator[JSON]:
    layers = {model.layer: model.row["size"], f"sha256:{model.row['digest']}": 112}
    for digest, total in layers.items():
        line = {"status": f"{verb} {digest[7:19]}", "digest": digest, "total": total}
        for quarter in (4,) if there else (0, 1, 2, 3, 4):
            yield {**line, **({"completed": total * quarter // 4} if quarter else {})}
