"""Completeness against the API of Ollama 0.34: each field goes to the daemon, and comes back.

`REQUEST` and `RESPONSE` list the API's fields, endpoint by endpoint (`api/types.go`). `ROWS` sends
them through the tools; a recorder before a real daemon tells what it was asked and answered.

Out of scope: `/api/blobs`, which takes files and no JSON; the old `/api/embeddings`, whose answers
are those of `/api/embed`; fields that the API calls deprecated or ignored (`name` for `model`,
`quantization`, `username`, `password`, and `template` of `/api/show`).
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastmcp.client.client import CallToolResult

from ollama_mcp_server.app import App
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from scripts.testbed import models, recorder, registry, weights
from tests.conftest import Caller
from tests.live.sessions import CACHE, LONG, WEATHER, own_daemon, picture, user

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]

_CALLS = "id function.index function.name function.arguments"
_MESSAGES = (
    "role content thinking images tool_name tool_call_id "
    + " ".join(f"tool_calls.{name}" for name in _CALLS.split())
).split()
_ASKED = (
    "model stream format options think keep_alive truncate shift logprobs top_logprobs "
    "_debug_render_only"
)
_ANSWERED = (
    "model created_at done done_reason total_duration load_duration prompt_eval_count "
    "prompt_eval_cached_count prompt_eval_duration eval_count eval_duration logprobs.token "
    "logprobs.logprob logprobs.bytes logprobs.top_logprobs.token logprobs.top_logprobs.logprob "
    "logprobs.top_logprobs.bytes remote_model remote_host _debug_info.rendered_template "
    "_debug_info.image_count"
)
_DETAILS = (
    "details.parent_model details.format details.family details.families "
    "details.parameter_size details.quantization_level"
)
_LENGTHS = "details.context_length details.embedding_length"

REQUEST = {
    "POST /api/chat": f"{_ASKED} tools " + " ".join(f"messages.{name}" for name in _MESSAGES),
    "POST /api/generate": f"{_ASKED} prompt suffix system template context raw images",
    "POST /api/embed": "model input truncate dimensions keep_alive options",
    "GET /api/tags": "",
    "GET /api/ps": "",
    "GET /api/version": "",
    "GET /api/status": "",
    "POST /api/show": "model verbose system options",
    "POST /api/create": "model from files template system license parameters renderer parser "
    "requires quantize adapters remote_host info draft_files draft_quantize stream "
    "messages.role messages.content",
    "POST /api/copy": "source destination",
    "DELETE /api/delete": "model",
    "POST /api/pull": "model insecure stream",
    "POST /api/push": "model insecure stream",
}
RESPONSE = {
    "POST /api/chat": f"{_ANSWERED} message.role message.content message.thinking "
    + " ".join(f"message.tool_calls.{name}" for name in _CALLS.split()),
    "POST /api/generate": f"{_ANSWERED} response thinking context "
    + " ".join(f"tool_calls.{name}" for name in _CALLS.split()),
    "POST /api/embed": "model embeddings total_duration load_duration prompt_eval_count",
    "GET /api/tags": " ".join(
        f"models.{name}"
        for name in "name model modified_at size digest capabilities remote_model remote_host "
        f"{_DETAILS} {_LENGTHS}".split()
    ),
    "GET /api/ps": " ".join(
        f"models.{name}"
        for name in f"name model size digest expires_at size_vram context_length {_DETAILS}".split()
    ),
    "GET /api/version": "version",
    "GET /api/status": "cloud.disabled cloud.source",
    "POST /api/show": "license modelfile parameters template system renderer parser messages.role "
    "messages.content model_info projector_info tensors.name tensors.type tensors.shape "
    "capabilities modified_at requires remote_model remote_host thinking.values thinking.default "
    f"{_DETAILS}",
    "POST /api/create": "status digest total completed",
    "POST /api/copy": "",
    "DELETE /api/delete": "",
    "POST /api/pull": "status digest total completed",
    "POST /api/push": "status digest total completed",
}
#: `api.Options` and `api.Runner`. Those that restart a runner have the values that it has.
OPTIONS = {
    "num_keep": 5,
    "seed": 7,
    "num_predict": 3,
    "top_k": 30,
    "top_p": 0.8,
    "min_p": 0.05,
    "repeat_last_n": 32,
    "temperature": 0.5,
    "repeat_penalty": 1.2,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.2,
    "stop": ["END", "STOP"],
    "num_ctx": 2048,
    "num_batch": 512,
    "num_gpu": -1,
    "main_gpu": 0,
    "use_mmap": True,
    "num_thread": 2,
    "draft_num_predict": 0,
}
#: Objects whose keys are the models', the callers' or a schema's, not the API's.
FREE = {
    *("arguments", "tools", "format", "options", "parameters", "files", "adapters", "draft_files"),
    *("info", "model_info", "projector_info"),
}
#: Answers that a result does not repeat: why, and the argument that brings them all the same.
PASSED_OVER = {
    "POST /api/chat message.role": ("is always the assistant's", ""),
    "GET /api/tags models.model": ("doubles name", ""),
    "GET /api/ps models.model": ("doubles name", ""),
    "POST /api/create completed": ("is progress, and in the end the total", ""),
    "POST /api/pull completed": ("is progress, and in the end the total", ""),
    "POST /api/push completed": ("is progress, and in the end the total", ""),
    "POST /api/generate context": ("is bulky: all tokens of the call", "context"),
    "POST /api/show license": ("is a long text", "verbose"),
    "POST /api/show modelfile": ("is a long text", "verbose"),
    "POST /api/show template": ("is a long text", "verbose"),
    "POST /api/show messages": ("may be long texts", "verbose"),
    "POST /api/show tensors": ("are hundreds", "verbose"),
    "POST /api/show projector_info": ("is a table", "verbose"),
    **{
        f"POST /api/show model_info.tokenizer.ggml.{table}": (
            "is the vocabulary, a megabyte: more than clients take; the warnings say so",
            "",
        )
        for table in ("merges", "token_type", "tokens", "scores")
    },
}
#: Answers that no test model makes the daemon give.
NOT_MADE_HERE = {
    *(f"POST /api/generate tool_calls.{name}" for name in _CALLS.split()),
    # 0.34.4 has them in the Modelfile only
    *("POST /api/show renderer", "POST /api/show parser"),
    # quantizing, the only work of create that counts bytes, needs weights in safetensors
    *(f"POST /api/create {name}" for name in ("digest", "total", "completed")),
}


#: What an answer says is of no matter here.
BRIEF = {"temperature": 0, "num_predict": 3}


@dataclass(frozen=True)
class Row:
    """A call: `sent` is what the daemon must get, `said` what the caller says (default: that)."""

    tool: str
    endpoint: str
    sent: dict[str, Any] = field(default_factory=dict)
    said: dict[str, Any] | None = None
    refused: bool = False  # by the daemon, which knows the field

    @property
    def arguments(self) -> dict[str, Any]:
        return self.sent if self.said is None else self.said


def chat(model: str = models.CHAT, **sent: Any) -> Row:
    asked = {"model": model, "messages": [user("Say hi.")], "options": BRIEF, **sent}
    return Row("ollama_chat", "POST /api/chat", asked)


def generate(model: str = models.CHAT, **sent: Any) -> Row:
    asked = {"model": model, "prompt": "Say hi.", "options": BRIEF, **sent}
    return Row("ollama_generate", "POST /api/generate", asked)


def embed(given: Any = "hello", **sent: Any) -> Row:
    asked = {"model": models.EMBED, "input": [given] if isinstance(given, str) else given, **sent}
    return Row("ollama_embed", "POST /api/embed", asked, {**asked, "input": given})


def show(model: str = "fields/full", **sent: Any) -> Row:
    return Row("ollama_show", "POST /api/show", {"model": model, **sent})


def create(*, refused: bool = False, **sent: Any) -> Row:
    asked = {"model": "fields/new", "from": models.CHAT, **sent}
    return Row("ollama_create", "POST /api/create", asked, refused=refused)


#: A tool with all that a JSON Schema of its arguments may hold; nothing of it may be lost.
RICH_TOOL = {
    "type": "function",
    "function": {
        "name": "find",
        "description": "Find a thing.",
        "parameters": {
            "type": "object",
            "required": ["what"],
            "additionalProperties": False,
            "properties": {
                "what": {"anyOf": [{"type": "string"}, {"type": "integer"}], "title": "What"},
                "where": {
                    "type": "object",
                    "required": ["city"],
                    "properties": {"city": {"type": "string", "default": "Oslo"}},
                },
                "how_many": {"type": "integer", "minimum": 1, "maximum": 9, "enum": [1, 2]},
                "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
            },
        },
    },
}
CONVERSATION = [
    {"role": "system", "content": "Be brief."},
    user("What is the weather in Oslo?"),
    {
        "role": "assistant",
        "content": "",
        "thinking": "I have to look.",
        "tool_calls": [
            {
                "id": "call_1",
                "function": {"index": 0, "name": "get_weather", "arguments": {"city": "Oslo"}},
            }
        ],
    },
    {"role": "tool", "content": "22 C", "tool_name": "get_weather", "tool_call_id": "call_1"},
]
CAPITAL = "What is the capital of France?"
COLOUR = "Which colour is it?"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
DIGEST = f"sha256:{weights.DIGESTS['chat']}"
FULL = {  # what fields/full is made with
    "from": models.CHAT,
    "system": "Be brief.",
    "license": ["free", "as air"],
    "parameters": {"num_ctx": 2048, "stop": ["END"]},
    "messages": [user("Hello"), {"role": "assistant", "content": "Hi"}],
    "renderer": "qwen3-coder",
    "parser": "qwen3-coder",
    "requires": "0.1.0",
}

ROWS = {  # grouped, for the daemon starts a runner for each model, and for some options and shift
    "chat options": chat(options=OPTIONS),
    "generate options": generate(options=OPTIONS),
    "chat format": chat(format=SCHEMA, options=LONG),
    "chat format json": chat(format="json", options=LONG),
    "chat keep_alive": chat(keep_alive="10m"),
    "chat keep_alive for ever": chat(keep_alive=-1),
    "chat logprobs": chat(logprobs=True, top_logprobs=2),
    "chat truncate": chat(truncate=True),
    "chat never cuts unless told": Row(
        "ollama_chat",
        "POST /api/chat",
        {"model": models.CHAT, "truncate": False},
        {"model": models.CHAT, "messages": [user("Say hi.")], "options": BRIEF},
    ),
    "chat _debug_render_only": chat(_debug_render_only=True),
    "chat debug_render_only": Row(
        "ollama_chat",
        "POST /api/chat",
        {"_debug_render_only": True},
        {"model": models.CHAT, "messages": [user("Say hi.")], "debug_render_only": True},
    ),
    "generate system": generate(system="Be brief."),
    "generate template": generate(template="{{ .Prompt }}"),
    "generate raw": generate(raw=True),
    "generate format": generate(format=SCHEMA, options=LONG),
    "generate keep_alive": generate(keep_alive="10m"),
    "generate logprobs": generate(logprobs=True, top_logprobs=2),
    "generate truncate": generate(truncate=True),
    "generate context": generate(context=[1, 4093, 198]),
    "generate debug": generate(_debug_render_only=True),
    "generate remote": generate("fields/far"),
    "chat remote": chat("fields/far"),
    "load": Row("ollama_load", "POST /api/generate", {"model": models.CHAT, "keep_alive": "10m"}),
    "ps": Row("ollama_ps", "GET /api/ps"),
    "ps version": Row("ollama_ps", "GET /api/version"),
    "ps status": Row("ollama_ps", "GET /api/status"),
    "chat shift": chat(shift=True),
    "generate shift": generate(shift=True),
    "chat tools": chat(models.TOOLS, tools=[WEATHER], messages=[CONVERSATION[1]], options=LONG),
    "chat rich tool": chat(models.TOOLS, tools=[RICH_TOOL]),
    "chat messages": chat(models.TOOLS, tools=[WEATHER], messages=CONVERSATION),
    "chat think": chat(models.THINK, think=True, messages=[user(CAPITAL)], options=LONG),
    "chat think off": chat(models.THINK, think=False),
    "chat think level": chat(models.THINK, think="low"),
    "generate think": generate(models.THINK, think=True, prompt=CAPITAL, options=LONG),
    "chat images": chat(models.VISION, messages=[user(COLOUR, images=[picture(255, 0, 0)])]),
    "chat images debug": chat(
        models.VISION,
        messages=[user(COLOUR, images=[picture(255, 0, 0)])],
        _debug_render_only=True,
    ),
    "generate images": generate(models.VISION, prompt=COLOUR, images=[picture(0, 0, 255)]),
    "generate images debug": generate(
        models.VISION, images=[picture(0, 0, 255)], _debug_render_only=True
    ),
    "generate suffix": generate(models.INSERT, prompt="def f(", suffix="return x"),
    "embed": embed(),
    "embed list": embed(["hello", "world"], dimensions=8, truncate=True, keep_alive="10m"),
    "embed options": embed(options={"num_ctx": 256}),
    "embed never cuts unless told": Row(
        "ollama_embed",
        "POST /api/embed",
        {"truncate": False},
        {"model": models.EMBED, "input": "hello"},
    ),
    "load embedder": Row(
        "ollama_load",
        "POST /api/embed",
        {"model": models.EMBED, "input": [], "keep_alive": "10m", "options": {"num_ctx": 256}},
        {"model": models.EMBED, "keep_alive": "10m", "options": {"num_ctx": 256}},
    ),
    "tags": Row("ollama_list", "GET /api/tags", said={"limit": 200}),
    "show": show(),
    "show verbose": show(verbose=True),
    "show otherwise": show(system="Be long.", options={"top_k": 3}, verbose=True),
    "show thinking": show(models.THINK),
    "show vision": show(models.VISION, verbose=True),
    "show remote": show("fields/far"),
    "create": create(
        system="Be brief.",
        license=["free", "as air"],
        parameters={"temperature": 0.1, "stop": ["END"], "num_ctx": 1024},
        template="{{ .Prompt }}",
        messages=[user("Hello"), {"role": "assistant", "content": "Hi"}],
    ),
    "create rarely": create(renderer="qwen3-coder", parser="qwen3-coder", requires="0.1.0"),
    "create remote": create(
        remote_host="http://127.0.0.1:1",
        info={"capabilities": ["completion"], "context_length": 2048},
    ),
    "create from files": Row(
        "ollama_create", "POST /api/create", {"model": "fields/new", "files": {"m.gguf": DIGEST}}
    ),
    "create quantize": create(quantize="q4_K_M", refused=True),
    "create adapters": create(adapters={"a.gguf": DIGEST}, refused=True),
    "create draft": create(draft_files={"d.gguf": DIGEST}, draft_quantize="q8_0", refused=True),
    "copy": Row(
        "ollama_copy",
        "POST /api/copy",
        {"source": models.CHAT, "destination": "fields/copy"},
    ),
    "delete": Row("ollama_delete", "DELETE /api/delete", {"model": "fields/doomed"}),
    "push": Row(
        "ollama_push", "POST /api/push", {"model": "{registry}/fields/gone:1", "insecure": True}
    ),
    "pull": Row(
        "ollama_pull", "POST /api/pull", {"model": "{registry}/fields/there:1", "insecure": True}
    ),
}
STREAMED = ("chat", "generate", "create", "pull", "push")


@dataclass
class Bench:
    """A server between a client and a recorded daemon; each row is asked once."""

    client: Caller
    app: App
    tape: recorder.Recorder
    registry: str
    _asked: dict[str, tuple[recorder.Exchange, CallToolResult]] = field(default_factory=dict)

    async def ask(self, name: str) -> tuple[recorder.Exchange, CallToolResult]:
        """Make a row's call; return what was recorded at its endpoint, and the result."""
        if name not in self._asked:
            row = ROWS[name]
            self._asked[name] = await self.call(row.tool, row.endpoint, self.fill(row.arguments))
        return self._asked[name]

    async def call(
        self, tool: str, endpoint: str, arguments: dict[str, Any]
    ) -> tuple[recorder.Exchange, CallToolResult]:
        self.app.catalog.forget()
        self.tape.exchanges.clear()
        result = await self.client.call(tool, **arguments)
        asked = [e for e in self.tape.exchanges if f"{e.method} {e.path}" == endpoint]
        assert len(asked) == 1, f"{tool} asked {endpoint} {len(asked)} times: {result}"
        return asked[0], result

    def fill(self, value: dict[str, Any]) -> dict[str, Any]:
        """Put the registry's name into a model's."""
        return {
            key: item.replace("{registry}", self.registry) if key == "model" else item
            for key, item in value.items()
        }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(ollama_pid: int) -> AsyncIterator[Bench]:
    with (
        own_daemon(OLLAMA_REMOTES="127.0.0.1") as (ollama, _),
        registry.start(CACHE) as shelf,
        recorder.start(ollama.url) as tape,
    ):
        _prepare(ollama.url, shelf.name)
        app = App(Settings(ollama_host=tape.url, toolsets="all"))
        async with Caller(build_server(app)) as client:
            yield Bench(client, app, tape, shelf.name)


def _prepare(url: str, shelf: str) -> None:
    """Make the models that rows show, delete, push and pull."""
    far = {"model": "fields/far", "from": models.CHAT, "remote_host": url}
    there = {"model": f"{shelf}/fields/there:1", "insecure": True}
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as raw:
        for path, body in (
            ("create", {"model": "fields/full", **FULL, "stream": False}),
            ("create", {**far, "stream": False}),
            ("copy", {"source": models.CHAT, "destination": "fields/doomed"}),
            ("copy", {"source": models.EMBED, "destination": f"{shelf}/fields/gone:1"}),
            ("copy", {"source": models.EMBED, "destination": there["model"]}),
            ("push", {**there, "stream": False}),
        ):
            raw.post(f"/api/{path}", json=body).raise_for_status()


def unfit(result: CallToolResult) -> bool:
    """Return whether the small model only did not manage the JSON that it was asked for."""
    said = result.structured_content or {}
    return bool(said.get("error", {}).get("code") == "tool_failed")


@pytest.mark.parametrize("name", ROWS)
async def test_the_field_goes_to_the_daemon_under_its_own_name(bench: Bench, name: str) -> None:
    exchange, result = await bench.ask(name)
    assert result.is_error is ROWS[name].refused or unfit(result), result
    body = exchange.json or {}
    for key, value in bench.fill(ROWS[name].sent).items():
        assert key in body
        if key == "options":  # the window is said as well
            assert value.items() <= body[key].items()
        else:
            assert body[key] == value, key
    if exchange.path.removeprefix("/api/") in STREAMED:
        assert body["stream"] is True


@pytest.mark.parametrize(
    "name",
    [name for name, row in ROWS.items() if not row.refused and "format" not in row.arguments],
)
async def test_the_daemons_answer_comes_back_whole(bench: Bench, name: str) -> None:
    exchange, result = await bench.ask(name)
    row = ROWS[name]
    passed_over = {
        path.removeprefix(f"{row.endpoint} ")
        for path, (_, argument) in PASSED_OVER.items()
        if path.startswith(f"{row.endpoint} ") and argument not in row.arguments
    }
    answered = answer_of(exchange)
    assert answered or row.endpoint in ("POST /api/copy", "DELETE /api/delete")
    assert list(lost(answered, as_answered(result), passed_over)) == []


@pytest.mark.parametrize("endpoint", REQUEST)
async def test_every_request_field_of_the_api_has_a_row(bench: Bench, endpoint: str) -> None:
    sent: set[str] = set()
    for name, row in ROWS.items():
        if row.endpoint == endpoint:
            exchange, _ = await bench.ask(name)
            sent |= {path for path in paths(row.sent) if path}
            sent |= {"stream"} & set(exchange.json or ())
    assert sent == set(REQUEST[endpoint].split())


@pytest.mark.parametrize("endpoint", RESPONSE)
async def test_every_response_field_of_the_api_has_a_row(bench: Bench, endpoint: str) -> None:
    seen: set[str] = set()
    for name, row in ROWS.items():
        if row.endpoint == endpoint and not row.refused:
            exchange, _ = await bench.ask(name)
            seen |= {path for line in lines_of(exchange) for path in paths(line)}
    elsewhere = {p.split(" ", 2)[2] for p in NOT_MADE_HERE if p.startswith(f"{endpoint} ")}
    assert seen == set(RESPONSE[endpoint].split()) - elsewhere


# chat_completion: OpenAI's fields, and what the daemon is asked for each.
RED = f"data:image/png;base64,{picture(255, 0, 0)}"
HELLO = [user("Say hi.")]
OSLO = [user("What is the weather in Oslo?")]
JSON_SCHEMA = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}
NAMED = {"type": "function", "function": {"name": "get_weather"}}
CALL = {
    "type": "object",
    "required": ["name", "arguments"],
    "properties": {
        "name": {"const": "get_weather"},
        "arguments": WEATHER["function"]["parameters"],
    },
}
OPENAI: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "temperature": ({"temperature": 0.5}, {"options.temperature": 0.5}),
    "top_p": ({"top_p": 0.8}, {"options.top_p": 0.8}),
    "max_tokens": ({"max_tokens": 7}, {"options.num_predict": 7}),
    "max_completion_tokens": (
        {"max_completion_tokens": 6, "max_tokens": None},
        {"options.num_predict": 6},
    ),
    "stop": ({"stop": ["END", "STOP"]}, {"options.stop": ["END", "STOP"]}),
    "stop, one": ({"stop": "END"}, {"options.stop": ["END"]}),
    "seed": ({"seed": 7}, {"options.seed": 7}),
    "presence_penalty": ({"presence_penalty": 0.5}, {"options.presence_penalty": 0.5}),
    "frequency_penalty": ({"frequency_penalty": 0.5}, {"options.frequency_penalty": 0.5}),
    "logprobs": (
        {"logprobs": True, "top_logprobs": 2},
        {"logprobs": True, "top_logprobs": 2},
    ),
    "response_format, text": ({"response_format": {"type": "text"}}, {"format": None}),
    "response_format, json": (
        {"response_format": {"type": "json_object"}},
        {"format": "json"},
    ),
    "response_format, schema": (
        {"response_format": JSON_SCHEMA},
        {"format": SCHEMA},
    ),
    "tool_choice, required": (
        {"tools": [WEATHER], "tool_choice": "required", "messages": OSLO, "max_tokens": 8},
        {"tools": None, "format": CALL, "messages.0.role": "system", "messages.1": OSLO[0]},
    ),
    "tool_choice, named": (
        {"tools": [RICH_TOOL, WEATHER], "tool_choice": NAMED, "messages": OSLO, "max_tokens": 8},
        {"tools": None, "format": CALL},
    ),
    "tool_choice, none": ({"tools": [WEATHER], "tool_choice": "none"}, {"tools": None}),
    "roles": (
        {"messages": [{"role": "developer", "content": "Be brief."}, *HELLO]},
        {"messages.0": {"role": "system", "content": "Be brief."}, "messages.1": HELLO[0]},
    ),
    "parts": (
        {"messages": [user([{"type": "text", "text": "Say"}, {"type": "text", "text": "hi."}])]},
        {"messages": [user("Say\nhi.")]},
    ),
    "tools": (
        {"model": models.TOOLS, "tools": [WEATHER], "messages": OSLO, "max_tokens": 64},
        {"tools": [WEATHER]},
    ),
    "tool_choice, auto": (
        {"model": models.TOOLS, "tools": [RICH_TOOL], "tool_choice": "auto"},
        {"tools": [RICH_TOOL]},
    ),
    "a tool's answer": (
        {
            "model": models.TOOLS,
            "messages": [
                *OSLO,
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {
                            "id": "call_1",
                            "type": "function",
                            "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
                        }
                    ],
                },
                {"role": "tool", "content": "22 C", "tool_call_id": "call_1"},
            ],
        },
        {
            "messages.1.tool_calls.0.id": "call_1",
            "messages.1.tool_calls.0.function": {
                "name": "get_weather",
                "arguments": {"city": "Oslo"},
            },
            "messages.2": CONVERSATION[3],
        },
    ),
    "reasoning_effort": ({"model": models.THINK, "reasoning_effort": "low"}, {"think": "low"}),
    "reasoning_effort, none": (
        {"model": models.THINK, "reasoning_effort": "none"},
        {"think": False},
    ),
    "pictures": (
        {
            "model": models.VISION,
            "messages": [
                user(
                    [
                        {"type": "text", "text": COLOUR},
                        {"type": "image_url", "image_url": {"url": RED}},
                    ]
                )
            ],
        },
        {"messages": [user(COLOUR, images=[picture(255, 0, 0)])]},
    ),
}


@pytest.mark.parametrize("name", OPENAI)
async def test_openais_field_goes_to_the_daemon_as_ollamas(bench: Bench, name: str) -> None:
    said, expected = OPENAI[name]
    arguments = {"model": models.CHAT, "messages": HELLO, "max_tokens": 64, **said}
    exchange, result = await bench.call("chat_completion", "POST /api/chat", arguments)
    assert not result.is_error or unfit(result), result
    for path, value in expected.items():
        assert at(exchange.json, path) == value, path
    if result.is_error:
        return
    if name not in ("tool_choice, required", "tool_choice, named"):  # a call made of content
        answered = answer_of(exchange)
        assert list(lost(answered, as_answered(result), {"message.role"})) == []


# Flattening and comparing


def paths(value: Any, path: str = "") -> Iterator[str]:
    """Yield the path of each leaf, in which lists do not show: `messages.tool_calls.id`."""
    name = path.rpartition(".")[2]
    if isinstance(value, dict) and name not in FREE and value:
        for key, item in value.items():
            yield from paths(item, f"{path}.{key}".lstrip("."))
    elif isinstance(value, list) and name not in FREE and value and isinstance(value[0], dict):
        for item in value:
            yield from paths(item, path)
    else:
        yield path


def at(value: Any, path: str) -> Any:
    """Return what is at a path such as `messages.0.role`, None if nothing is."""
    for step in path.split("."):
        if isinstance(value, list):
            value = value[int(step)]
        elif isinstance(value, dict):
            value = value.get(step)
        else:
            return None
    return value


def lines_of(exchange: recorder.Exchange) -> list[dict[str, Any]]:
    """Every line of a response that the client has read to its end."""
    return [json.loads(line) for line in exchange.response.splitlines() if line.strip()]


def answer_of(exchange: recorder.Exchange) -> dict[str, Any]:
    """What the daemon answered, in one object: a stream's pieces are put together."""
    lines = lines_of(exchange)
    if exchange.path in ("/api/create", "/api/pull", "/api/push"):
        totals = {line["digest"]: line.get("total", 0) for line in lines if "digest" in line}
        return {
            "status": lines[-1]["status"],
            "digest": list(totals),
            "total": sum(totals.values()),
        }
    whole: dict[str, Any] = {}
    for line in lines:
        _join(whole, line)
    return whole


def _join(whole: dict[str, Any], line: dict[str, Any]) -> None:
    for key, value in line.items():
        if isinstance(value, dict) and key == "message":
            _join(whole.setdefault(key, {}), value)
        elif key in ("content", "thinking", "response") and isinstance(value, str):
            whole[key] = whole.get(key, "") + value
        elif key in ("tool_calls", "logprobs"):
            whole[key] = whole.get(key, []) + value
        else:
            whole[key] = value


def as_answered(result: CallToolResult) -> dict[str, Any]:
    """Put a result, of whatever tool, back in the shapes of the daemon's answers."""
    said, meta = result.structured_content, result.meta or {}
    final = meta.get("ollama/final", {})
    logprobs, context = meta.get("ollama/logprobs"), meta.get("ollama/context")
    if said.get("object") == "chat.completion":
        (choice,) = said["choices"]
        told = choice["message"]
        message = {"content": told["content"], "thinking": told.get("reasoning")}
        message["tool_calls"] = [
            {"id": call["id"], "function": _called(index, **call["function"])}
            for index, call in enumerate(told.get("tool_calls", ()))
        ]
        return {
            **final,
            "message": message,
            "model": said["model"],
            "logprobs": choice.get("logprobs", {}).get("content"),
        }
    message = {key: said.get(key) for key in ("content", "thinking", "tool_calls")}
    moved = {"digest": said.get("layers", []), "total": said.get("bytes", 0)}
    answered = {"message": message, "response": said.get("content"), "context": context}
    return {**final, **moved, **answered, "logprobs": logprobs, **said}


def _called(index: int, name: str, arguments: str) -> dict[str, Any]:
    return {"index": index, "name": name, "arguments": json.loads(arguments)}


def lost(
    answered: Any, told: Any, passed_over: Iterable[str] = (), path: str = ""
) -> Iterator[str]:
    """Yield the path of each leaf of `answered` that `told` has not; what is empty says nothing."""
    if path in passed_over or answered in (None, "", []):
        return
    if isinstance(answered, dict) and isinstance(told, dict):
        for key, item in answered.items():
            yield from lost(item, told.get(key), passed_over, f"{path}.{key}".lstrip("."))
    elif isinstance(answered, list) and isinstance(told, list) and len(answered) == len(told):
        for item, its in zip(answered, told, strict=True):
            yield from lost(item, its, passed_over, path)
    elif isinstance(answered, float) and isinstance(told, float):
        if not math.isclose(answered, told, rel_tol=1e-6):
            yield path
    elif answered != told:
        yield f"{path}: {str(answered)[:60]} became {str(told)[:60]}"
