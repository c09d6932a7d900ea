"""The fake daemon against a real one: the same requests, the same shapes and words."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import httpx
import pytest

from scripts.testbed import models
from tests.fake_ollama import FakeOllama

pytestmark = pytest.mark.live

FAKE = {
    "chat": "codellama:7b",  # of which only what the real one can do is asked
    "tools": "llama3.2:3b",
    "think": "qwen3:8b",
    "insert": "codellama:7b",
    "vision": "llava:7b",
    "embed": "all-minilm:22m",
}
REAL = {
    "chat": models.CHAT,
    "tools": models.TOOLS,
    "think": models.THINK,
    "insert": models.INSERT,
    "vision": models.VISION,
    "embed": models.EMBED,
}


def _png(colour: bytes) -> str:
    """A 32 x 32 picture of one colour, in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">2I5B", 32, 32, 8, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + colour * 32) * 32)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


@dataclass(frozen=True)
class Ask:
    """One request; ``{chat}`` and the like in it become the side's model names."""

    method: str
    path: str
    body: Any = None
    headers: Mapping[str, str] | None = None
    words: bool = True  # whether the error's text has to agree, not only its being there


def post(path: str, body: Any, **more: Any) -> Ask:
    return Ask("POST", f"/api/{path}", body, **more)


def chat(content: Any = "Say hi.", *, model: Any = "{chat}", **fields: Any) -> Ask:
    message = {"role": "user", "content": content}
    return _infer("chat", {"model": model, "messages": [message]}, fields)


def generate(prompt: Any = "Say hi.", *, model: str = "{chat}", **fields: Any) -> Ask:
    return _infer("generate", {"model": model, "prompt": prompt}, fields)


def _infer(path: str, body: dict[str, Any], fields: dict[str, Any]) -> Ask:
    words = fields.pop("words", True)
    options = fields.pop("options", {})
    if isinstance(options, dict):
        # The real models may run on for long: every request is bounded.
        options = {"num_predict": 4, "num_ctx": 2048, "temperature": 0, **options}
    return post(path, {**body, "stream": False, **fields, "options": options}, words=words)


def embed(given: Any, *, model: str = "{embed}", **fields: Any) -> Ask:
    return post("embed", {"model": model, "input": given, **fields})


PICTURE = {"role": "user", "content": "Which colour?", "images": [_png(b"\xff\0\0")]}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city, by get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
ROOMY = {"num_predict": 64}
LONG = "word " * 600
BLOB = b"hello" + secrets.token_bytes(8)  # new to every store
DIGEST = "sha256:" + hashlib.sha256(BLOB).hexdigest()
NOTHING = "sha256:" + "0" * 64
MINE = "fake-is-true/mine:1"


def forget(name: str = MINE) -> Ask:
    return Ask("DELETE", "/api/delete", {"model": name})


STORIES: dict[str, list[Ask]] = {
    # the small endpoints and the rim
    "root": [Ask("GET", "/"), Ask("HEAD", "/")],
    "version": [Ask("GET", "/api/version"), Ask("HEAD", "/api/version")],
    "status": [Ask("GET", "/api/status")],
    "tags": [Ask("GET", "/api/tags"), Ask("HEAD", "/api/tags")],
    "me, offline": [post("me", None)],
    "unknown path": [Ask("GET", "/api/nope"), post("web_search", {})],
    "wrong method": [post("tags", {}), Ask("GET", "/api/chat"), post("delete", {})],
    "foreign host": [Ask("GET", "/api/tags", headers={"Host": "evil.example"})],
    "local host": [Ask("GET", "/api/version", headers={"Host": "x.local:80"})],
    "foreign origin": [Ask("GET", "/api/tags", headers={"Origin": "http://evil.example"})],
    "no body": [post(p, b"") for p in ("chat", "generate", "embed", "show", "pull", "copy")],
    "bad JSON": [post("chat", b'{"model":'), post("show", b'{"model": "')],
    "not an object": [post(p, []) for p in ("show", "embed", "create", "pull")],
    # names
    "unknown chat": [chat(model="nope"), chat(model="nope:1"), chat(model="")],
    "unknown generate": [generate(model="nope"), generate(model="")],
    "unknown show": [post("show", {"model": n}) for n in ("nope", "me/nope:1", "")],
    "unknown embed": [embed("x", model="nope"), embed("x", model="")],
    "unknown embeddings": [post("embeddings", {"model": n, "prompt": "x"}) for n in ("nope", "")],
    "unknown copy": [post("copy", {"source": "nope", "destination": "x"})],
    "unknown delete": [forget("nope"), forget("me/nope:1")],
    "bad names": [chat(model=n) for n in ("!!", "a b", "../x", "x" * 100, "a/b/c/d", "-a")],
    "bad names elsewhere": [
        generate(model="!!"),
        embed("x", model="!!"),
        post("show", {"model": "!!"}),
        post("copy", {"source": "!!", "destination": "x"}),
        post("copy", {"source": "{chat}", "destination": "!!"}),
        post("copy", {"destination": "x"}),
        post("create", {"model": "!!", "from": "{chat}"}),
        post("create", {"model": "x", "from": "!!"}),
        post("pull", {"model": "!!"}),
        post("pull", {}),
        post("push", {}),
        forget("!!"),
        forget(""),
    ],
    "other spellings": [
        post("show", {"model": "{chat!u}"}),
        post("show", {"name": "{chat}"}),
        post("show", {"model": "registry.ollama.ai/{chat_path}"}),
        post("show", {"model": "{chat}:local"}),
        chat(model="{chat!u}"),
    ],
    "two sources": [chat(model="x:local:cloud")],
    "cloud": [chat(model="nope:cloud", words=False), generate(model="a:1-cloud", words=False)],
    # show
    "show": [post("show", {"model": "{chat}"}), post("show", {"model": "{embed}"})],
    "show vision": [post("show", {"model": "{vision}"})],
    "show verbose": [post("show", {"model": "{chat}", "verbose": True})],
    "show system": [post("show", {"model": "{chat}", "system": "Be brief."})],
    # chat
    "chat": [chat()],
    "chat stream": [chat(stream=True), chat(stream=None)],
    "chat logprobs": [chat(logprobs=True), chat(logprobs=True, top_logprobs=2, stream=True)],
    "chat system": [chat(messages=[{"role": "system", "content": "Be brief."}])],
    "chat odd messages": [
        chat(messages=[{"role": "user"}]),
        chat(messages=[{"content": "hi"}]),
        chat(messages=[{"role": "alien", "content": "hi"}]),
    ],
    "chat loads": [chat(messages=[]), chat(messages=None), chat(messages=[], stream=True)],
    "chat unloads": [chat(messages=[], keep_alive=0), chat(messages=[], keep_alive="0s")],
    "generate unloads what embeds": [generate("", model="{embed}", keep_alive=0)],
    "chat keep_alive": [
        *[chat(keep_alive=good) for good in (-1, "10m", 3.5, "1h30m", None)],
        *[chat(keep_alive=bad) for bad in ("5x", "5", "", "x", True)],
        chat(keep_alive=[1]),
        chat(keep_alive={}),
    ],
    "chat length": [chat(), chat(stream=True, options={"num_predict": 1})],
    "chat renders": [chat(_debug_render_only=True), chat(_debug_render_only=True, stream=True)],
    "chat json": [chat("An empty object.", format="json")],
    "chat schema": [
        chat(format={"type": "object", "properties": {"a": {"type": "integer"}}}, options=ROOMY),
        chat(format={"enum": ["yes", "no"]}, options=ROOMY),
        chat(format=""),
        chat(format=None),
    ],
    "chat bad format": [
        chat(format="xml"),
        chat(format=5),
        chat(format={"type": "nope"}),
        chat(format="xml", stream=True),
        chat(format={"type": "nope"}, stream=True),
    ],
    "chat wrong types": [
        chat(messages={}),
        chat(messages="hi"),
        chat([{"type": "text"}]),
        chat(5),
        chat(tools={}),
        chat(stream="yes"),
        chat(options=[]),
        chat(options="x"),
        chat(model=5),
        chat(top_logprobs="2"),
        chat(top_logprobs=25),
        chat(top_logprobs=-1, logprobs=True),
    ],
    "chat wrong options": [
        chat(options={"temperature": "hot"}),
        chat(options={"num_predict": "4"}),
        chat(options={"num_ctx": True}),
        chat(options={"stop": "x"}),
        chat(options={"stop": [1]}),
        chat(options={"use_mmap": 1}),
        chat(options={"typical_p": 0.5}),
        chat(options={"nope": [], "top_k": 4.7, "seed": None}),
        chat(options={"temperature": "hot"}, stream=True),
    ],
    "chat too long": [
        chat(LONG, options={"num_ctx": 256}),
        chat(LONG, options={"num_ctx": 256}, truncate=False),
        chat(LONG, options={"num_ctx": 256}, truncate=False, stream=True),
        generate(LONG, options={"num_ctx": 256}, truncate=False),
    ],
    "chat cannot": [
        chat(tools=[WEATHER]),
        chat(think=True),
        chat(think="high"),
        chat(model="{embed}"),
        chat(model="{embed}", messages=[]),
        chat(model="{embed}", think=True),
    ],
    "images on a text model": [chat(model="{tools}", messages=[PICTURE])],
    "chat think odd": [chat(think="ultra"), chat(think=5), chat(think=[]), chat(think=False)],
    # tools, thinking, vision, insert
    "tools": [
        chat("What is the weather in Paris? get_weather", model="{tools}", **more)
        for more in (
            {"tools": [WEATHER], "options": ROOMY},
            {"tools": [WEATHER], "options": ROOMY, "stream": True},
        )
    ],
    "tools, answered": [
        chat(
            model="{tools}",
            tools=[WEATHER],
            options=ROOMY,
            messages=[
                {"role": "user", "content": "What is the weather in Paris? get_weather"},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [
                        {"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}
                    ],
                },
                {"role": "tool", "content": "22 C", "tool_name": "get_weather"},
            ],
        )
    ],
    "tools unused": [chat(model="{tools}", tools=[])],
    "tools wrong": [
        chat(
            model="{tools}",
            messages=[
                {
                    "role": "assistant",
                    "tool_calls": [{"function": {"name": "x", "arguments": '{"city": 1}'}}],
                }
            ],
        )
    ],
    "thinking": [
        chat("What is the capital of France?", model="{think}", options=ROOMY, **more)
        for more in ({"think": True}, {}, {"think": "low"}, {"think": True, "stream": True})
    ],
    "thinking off": [chat("Hello.", model="{think}", think=False)],
    "thinking generate": [
        generate("What is the capital of France?", model="{think}", options=ROOMY, **more)
        for more in ({"think": True}, {"think": True, "stream": True}, {"think": False})
    ],
    "thinking odd": [chat(model="{think}", think="ultra"), generate(model="{think}", think="no")],
    "vision": [
        chat(model="{vision}", messages=[PICTURE]),
        generate(model="{vision}", images=PICTURE["images"], stream=True),
        generate(model="{vision}", images=[]),
    ],
    "vision, not a picture": [
        generate(model="{vision}", images=[base64.b64encode(b"hello").decode()]),
        chat(model="{vision}", messages=[{**PICTURE, "images": [""]}]),
        chat(model="{vision}", messages=[{**PICTURE, "images": ["!!"]}]),
        generate(model="{vision}", images=["data:image/png;base64,AAAA"]),
        generate(model="{vision}", images=["abcde"]),
        generate(model="{vision}", images=["/tmp/x.png"]),
        generate(model="{vision}", images="AAAA"),
    ],
    "insert": [generate("def f(", model="{insert}", suffix="return x")],
    "insert cannot": [generate(model="{tools}", suffix="x")],
    # generate
    "generate": [generate(), generate(stream=True), generate(raw=True), generate(logprobs=True)],
    "generate loads": [generate(""), generate("", keep_alive=0), generate("", stream=True)],
    "generate more": [generate(system="Be brief."), generate(_debug_render_only=True)],
    "generate wrong": [
        generate(raw=True, system="x"),
        generate(raw=True, context=[1]),
        generate(5),
        generate(keep_alive="5x"),
        generate(template="{{ .Prompt"),
        generate(format="xml"),
        generate(options={"temperature": "hot"}),
        generate(model="{embed}"),
        generate("", model="{embed}"),
    ],
    # embeddings
    "embed": [embed("hello"), embed(["hello", "world"]), embed("hello", dimensions=8)],
    "embed nothing": [embed([]), embed(""), embed(None), embed([""])],
    "embed odd": [embed("x", dimensions=9999), embed("x", dimensions=-1), embed("x", keep_alive=0)],
    "embed wrong": [
        embed(5),
        embed([5]),
        embed([["x"]]),
        embed({"a": 1}),
        embed("x", dimensions="8"),
        embed("x", options={"num_ctx": "x"}),
        embed("x", keep_alive="5x"),
        embed(LONG, truncate=False),
    ],
    "embed long": [embed(LONG)],
    "embed cannot": [embed("x", model="{chat}"), embed([], model="{chat}")],
    "embeddings": [post("embeddings", {"model": "{embed}", "prompt": p}) for p in ("hello", "")],
    "embeddings cannot": [post("embeddings", {"model": "{chat}", "prompt": "x"})],
    # what is loaded
    "ps": [
        generate(""),
        Ask("GET", "/api/ps"),
        generate("", keep_alive=0),
        post("embed", {"model": "{embed}", "keep_alive": -1, "options": {"num_ctx": 128}}),
        Ask("GET", "/api/ps"),
        post("embed", {"model": "{embed}", "keep_alive": 0}),
    ],
    # the library
    "create": [
        post("create", {"model": MINE, "from": "{chat}", "system": "Be brief.", "license": ["a"]}),
        post("show", {"model": MINE}),
        post("create", {"model": MINE, "from": "{chat}", "stream": False}),
        forget(),
    ],
    "create with parameters": [
        post(
            "create",
            {
                "model": MINE,
                "from": "{chat}",
                "parameters": {"temperature": "hot", "stop": ["a", "b"]},
                "messages": [{"role": "user", "content": "hi"}],
            },
        ),
        post("show", {"model": MINE}),
        chat(model=MINE, options={}),
        forget(),
        chat(model=MINE),
    ],
    "create wrong": [
        post("create", {"model": MINE}),
        post("create", {"model": MINE, "stream": False}),
        post("create", {"model": MINE, "from": "{chat}", "template": "{{ .Prompt"}),
        post("create", {"model": MINE, "from": "{chat}", "adapters": {"a": NOTHING}}),
        post("create", {"model": MINE, "from": "{chat}", "quantize": "q4_0", "stream": False}),
        post("create", {"model": MINE, "from": "{chat}", "parameters": {"typical_p": 1}}),
        post("create", {"model": MINE, "from": 5}),
        post("create", {"model": MINE, "from": "{chat}", "parameters": []}),
        post("create", {"model": MINE, "from": "{chat}", "messages": {}}),
        post("create", {"model": MINE, "files": {}}),
        post("create", {"model": MINE, "files": {"m.gguf": NOTHING}}),
        post("create", {"model": MINE, "files": {"m.gguf": "nope"}}),
        post("create", {"model": MINE, "files": {"../m.gguf": NOTHING}}),
    ],
    "create from what is nowhere": [
        post("create", {"model": MINE, "from": "127.0.0.1:1/a/b"}, words=False),
        post("create", {"model": MINE, "from": "127.0.0.1:1/a/b", "stream": False}, words=False),
    ],
    "blob": [
        Ask("HEAD", f"/api/blobs/{NOTHING}"),
        Ask("HEAD", "/api/blobs/nope"),
        Ask("POST", "/api/blobs/nope", b"x"),
        Ask("POST", f"/api/blobs/{NOTHING}", b"x"),
        Ask("GET", f"/api/blobs/{NOTHING}"),
    ],
    "blob, not a model": [
        Ask("POST", f"/api/blobs/{DIGEST}", BLOB),
        Ask("POST", f"/api/blobs/{DIGEST}", BLOB),
        Ask("HEAD", f"/api/blobs/{DIGEST}"),
        post("create", {"model": MINE, "files": {"m.gguf": DIGEST}}),
        post("create", {"model": MINE, "files": {"m.txt": DIGEST}}),
    ],
    "copy": [
        post("copy", {"source": "{chat}", "destination": MINE}),
        post("copy", {"source": "{chat}", "destination": MINE}),
        post("show", {"model": MINE}),
        chat(model=MINE),
        forget(),
        forget(),
    ],
    "delete by its old field": [
        post("copy", {"source": "{chat}", "destination": MINE}),
        Ask("DELETE", "/api/delete", {"name": MINE.upper()}),
    ],
    "pull what is nowhere": [
        post("pull", {"model": "127.0.0.1:1/a/b"}, words=False),
        post("pull", {"model": "127.0.0.1:1/a/b", "stream": False}, words=False),
    ],
    "push what is nowhere": [
        post("push", {"model": "fake-is-true/nope"}),
        post("push", {"model": "fake-is-true/nope", "stream": False}),
        post("push", {"model": "!!"}, words=False),
    ],
}


def _fill(value: Any, names: Mapping[str, str]) -> Any:
    """Put one side's model names into a request."""
    if isinstance(value, dict):
        return {_fill(k, names): _fill(v, names) for k, v in value.items()}
    if isinstance(value, list):
        return [_fill(item, names) for item in value]
    if not isinstance(value, str):
        return value
    for key, name in names.items():
        path = name if "/" in name else f"library/{name}"
        value = value.replace(f"{{{key}_path}}", path)
        value = value.replace(f"{{{key}!u}}", name.upper()).replace(f"{{{key}}}", name)
    return value


def _words(text: str, names: Mapping[str, str]) -> str:
    """An error's text without what must differ: names of models, folders, token counts."""
    for name in sorted(names.values(), key=len, reverse=True):
        path = name if "/" in name else f"library/{name}"
        for spelling in (path, name):
            text = text.replace(f"{spelling}:latest", "MODEL").replace(spelling, "MODEL")
    text = re.sub(r"/[\w./-]*/(blobs|manifests)/", r"/\1/", text)
    return re.sub(r"\(\d+ tokens\)|_tokens\\?\":\d+|n_ctx\\?\":\d+", "N", text)


def _shape(value: Any, names: Mapping[str, str], words: bool) -> Any:
    """Key sets and JSON types; a list by its first item; an error by its text."""
    if isinstance(value, dict):
        shaped = {key: _shape(item, names, words) for key, item in value.items()}
        if isinstance(value.get("error"), str) and words:
            shaped["error"] = _words(value["error"], names)
        for free in {"model_info", "projector_info", "arguments"} & value.keys():
            shaped[free] = "object"  # its keys are the model's own
        return shaped
    if isinstance(value, list):
        return [_shape(item, names, words) for item in value[:1]]
    for kind, name in ((bool, "bool"), ((int, float), "number"), (str, "string")):
        if isinstance(value, kind):
            return name
    return value


def _seen(client: httpx.Client, ask: Ask, names: Mapping[str, str]) -> list[Any]:
    """What one side answers: status, content type, and the lines' shapes without repeats."""
    filled = _fill(ask.body, names)
    content = filled if isinstance(filled, bytes) else json.dumps(filled).encode()
    raw = None if ask.body is None else content
    answer = client.request(ask.method, ask.path, content=raw, headers=ask.headers)
    kind = answer.headers.get("content-type", "")
    seen: list[Any] = [answer.status_code, kind, answer.headers.get("allow")]
    if "json" not in kind:
        return [*seen, answer.text]
    if not answer.content:
        return [*seen, "no body"]
    if "ndjson" not in kind:
        return [*seen, _shape(answer.json(), names, ask.words)]
    lines = [_shape(json.loads(line), names, ask.words) for line in answer.iter_lines()]
    for line in lines:
        # Which layers exist already, and how long a transfer takes, is each store's own.
        line.pop("completed", None)
    return [*seen, *(line for line, _ in groupby(lines))]


@pytest.mark.parametrize("story", STORIES)
def test_the_fake_answers_as_the_real_daemon(
    story: str, ollama_host: str, daemon: FakeOllama
) -> None:
    differences = []
    with httpx.Client(timeout=60, trust_env=False) as client:
        for ask in STORIES[story]:
            client.base_url = httpx.URL(ollama_host)
            real = _seen(client, ask, REAL)
            client.base_url = httpx.URL(daemon.url)
            fake = _seen(client, ask, FAKE)
            if fake != real:
                # Collected, for a story that stops half-way would leave its model behind.
                differences.append({"ask": ask, "fake": fake, "real": real})
    assert not differences
