"""A scripted stand-in for the Ollama daemon (0.34.4), at the wire.

`FakeOllama` is the server: it records requests, plays scripted answers and notices clients that
leave. What has no script is answered by `Library`, a small, deterministic, offline daemon;
tests/live/test_fake_is_true.py holds its status codes, words and shapes to a real daemon's.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import json
import math
import random
import re
import socket
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

JSON: TypeAlias = "dict[str, Any]"
#: JSON to send, raw text to send, a pause in seconds, or what makes one of these of the request.
Part: TypeAlias = "JSON | str | bytes | float | Callable[[Request], Part]"


@dataclass(eq=False)
class Request:
    """A received request; `closed_early`: its client left before the end of the answer."""

    method: str
    path: str
    headers: dict[str, str]
    raw: bytes = b""
    body: Any = None
    closed_early: bool = False
    done: bool = False


@dataclass(frozen=True)
class Answer:
    """What goes back: `delay` in seconds before the status line, `cut` for no proper end."""

    parts: Sequence[Part] = ()
    kind: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    cut: bool = False


class Refused(Exception):
    """The daemon's refusal: an HTTP status and the text of `{"error": …}`."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.body = status, {"error": error}


def demand(good: object, error: str, status: int = 400) -> None:
    """Raise `Refused` unless `good`."""
    if not good:
        raise Refused(status, error)


@dataclass(frozen=True)
class Model:
    """A model of the library; lengths are in tokens."""

    name: str
    family: str
    billions: float
    context_length: int
    embedding_length: int
    capabilities: tuple[str, ...] = ("completion",)
    thinking: JSON | None = None
    parameters: JSON = field(default_factory=lambda: {"stop": ["<|end|>"]})
    system: str = ""
    template: str = "{{ .Prompt }}"
    license: str = ""
    messages: tuple[JSON, ...] = ()
    modified: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)

    @property
    def layer(self) -> str:
        """The digest of the weights, which models made from this one share."""
        return _sha256(f"{self.family} {self.billions} {self.capabilities}".encode())

    @property
    def row(self) -> JSON:
        """What `/api/tags` and `/api/ps` have in common."""
        content = replace(self, name="", modified=CATALOGUE[0].modified)  # a copy's is the same
        return {
            "name": self.name,
            "model": self.name,
            "size": int(self.billions * 6e8),
            "digest": _sha256(repr(content).encode())[7:],
            "details": {
                "parent_model": "",
                "format": "gguf",
                "family": self.family,
                "families": [self.family],
                "quantization_level": "Q4_K_M",
                "parameter_size": f"{self.billions:g}B",
            },
        }

    def can(self, capability: str) -> bool:
        return capability in self.capabilities


SWITCH = {"values": [False, True], "default": True}
CATALOGUE = (
    Model("llama3.2:3b", "llama", 3.2, 131072, 3072, ("completion", "tools")),
    Model("qwen3:8b", "qwen3", 8.2, 40960, 4096, ("completion", "tools", "thinking"), SWITCH),
    Model("llava:7b", "llama", 7.0, 32768, 4096, ("completion", "vision")),
    Model("codellama:7b", "llama", 7.0, 16384, 4096, ("completion", "insert")),
    Model("all-minilm:22m", "bert", 0.0226, 512, 384, ("embedding",)),
)
ELSEWHERE = Model("gemma3:1b", "gemma3", 1.0, 32768, 1152)  # not here, but can be pulled

WHOLE, BARE, LINES = "application/json; charset=utf-8", "application/json", "application/x-ndjson"
STREAMED = ("/api/chat", "/api/generate", "/api/create", "/api/pull", "/api/push")
METHODS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("/", "/api/version", "/api/tags"), ("HEAD", "GET")),
    **dict.fromkeys(("/api/status", "/api/ps"), ("GET",)),
    **dict.fromkeys(STREAMED, ("POST",)),
    **dict.fromkeys(("/api/embed", "/api/embeddings", "/api/show", "/api/copy"), ("POST",)),
    "/api/me": ("POST",),
    "/api/delete": ("DELETE",),
}
OPTIONS: dict[str, tuple[tuple[type, ...], set[str]]] = {
    "integer": (
        (int, float),
        {
            "num_ctx",
            "num_predict",
            "num_keep",
            "num_batch",
            "num_gpu",
            "num_thread",
            "main_gpu",
            "seed",
            "top_k",
            "repeat_last_n",
            "draft_num_predict",
        },
    ),
    "float32": (
        (int, float),
        {
            "temperature",
            "top_p",
            "min_p",
            "repeat_penalty",
            "presence_penalty",
            "frequency_penalty",
        },
    ),
    "boolean": ((bool,), {"use_mmap"}),
    "array": ((list,), {"stop"}),
}
FIELDS: dict[str, tuple[type, set[str]]] = {  # by the name of their type in Go
    "string": (
        str,
        {
            "model",
            "name",
            "from",
            "source",
            "destination",
            "prompt",
            "suffix",
            "system",
            "template",
            "role",
            "content",
            "thinking",
        },
    ),
    "bool": (bool, {"stream", "raw", "verbose", "insecure", "truncate", "shift", "logprobs"}),
    "int": (int, {"top_logprobs", "dimensions"}),
    "map[string]interface {}": (dict, {"options", "parameters"}),
    "map[string]string": (dict, {"files"}),
    "[]api.Message": (list, {"messages"}),
    "[]api.ImageData": (list, {"images"}),
    "api.Tools": (list, {"tools"}),
}
UNITS = {"ms": 1e-3, "s": 1, "m": 60, "h": 3600}
DIGEST = r"sha256[:-][0-9a-fA-F]{64}"
NO_EMBEDDINGS = "This server does not support embeddings. Start it with `--embeddings`"


# --- reading requests -----------------------------------------------------------------------------


def _decode(path: str, raw: bytes) -> JSON:
    """Read a body; raises `Refused` in the words of Go's decoder."""
    demand(raw.strip(), "missing request body")
    try:
        body: JSON = json.loads(raw)
    except ValueError:
        raise Refused(400, "unexpected EOF") from None
    struct = path.removeprefix("/api/").title().rstrip("s") + "Request"
    _demand_type(body, dict, f"value of type api.{struct}")
    where = f".{struct}" if path in ("/api/chat", "/api/generate") else struct
    _check_fields(body, where)
    for message in body.get("messages") or ():
        _check_fields(message, f"{where}.messages")
        for call in message.get("tool_calls") or ():
            text = isinstance(call["function"].get("arguments"), str)
            demand(not text, "Value looks like object, but can't find closing '}' symbol")
    _keep_alive(body)  # for what it refuses
    return body


def _check_fields(body: JSON, where: str) -> None:
    for go, (kind, names) in FIELDS.items():
        for name in names & body.keys():
            _demand_type(body[name], kind, f"struct field {where}.{name} of type {go}")
    for image in _images(body):
        wrong = re.search(r"[^A-Za-z0-9+/=]", image)
        at = wrong.start() if wrong else len(image) // 4 * 4
        demand(at == len(image), f"illegal base64 data at input byte {at}")


def _demand_type(value: Any, kind: type, place: str) -> None:
    kinds = {str: "string", bool: "bool", int: "number", float: "number", list: "array"}
    got = kinds.get(type(value), "object")
    # type(), for to isinstance() True is an int
    demand(value is None or type(value) is kind, f"json: cannot unmarshal {got} into Go {place}")


def _images(message: JSON) -> list[str]:
    return message.get("images") or []


def _keep_alive(body: JSON) -> timedelta:
    """Read `keep_alive`: seconds or a Go duration, negative for ever (292 years)."""
    value = body.get("keep_alive")
    if isinstance(value, str):
        pieces = re.findall(r"(\d+\.?\d*)([a-z]*)", value)
        whole = "".join(number + unit for number, unit in pieces) == value.lstrip("+-")
        demand(pieces and whole, f'time: invalid duration "{value}"')
        for _, unit in pieces:
            what = f'unknown unit "{unit}" in' if unit else "missing unit in"
            demand(unit in UNITS, f'time: {what} duration "{value}"')
        seconds = sum(float(number) * UNITS[unit] for number, unit in pieces)
        value = -seconds if value.startswith("-") else seconds
    go = {bool: "bool", list: "[]interface {}", dict: "map[string]interface {}"}.get(type(value))
    demand(not go, f"Unsupported type: '{go}'")
    value = 300 if value is None else value
    return timedelta(seconds=value if value >= 0 else 2**63 // 10**9)


def _check_options(options: JSON) -> None:
    for kind, (types, names) in OPTIONS.items():
        for name in names & options.keys():
            fits = options[name] is None or type(options[name]) in types
            demand(fits, f'option "{name}" must be of type {kind}', 500)
    strings = all(isinstance(text, str) for text in options.get("stop") or ())
    demand(strings, 'option "stop" must be of an array of strings', 500)


def _demand_closed(template: str, prefix: str, status: int) -> None:
    closed = template.count("{{") == template.count("}}")
    demand(closed, f"{prefix}template: :1: unclosed action", status)


def _full_name(name: str) -> str:
    """Host, namespace, model and tag of a model name; empty for an impossible one."""
    part = r"\w[\w.-]{0,79}"
    pattern = rf"(?:(?:(\w[\w.:-]*)/)?(\w[\w-]{{0,79}})/)?({part})(?::({part}))?"
    found = re.fullmatch(pattern, name, re.ASCII)
    if not found:
        return ""
    host, namespace, model, tag = found.groups()
    return f"{host or 'registry.ollama.ai'}/{namespace or 'library'}/{model}:{tag or 'latest'}"


def _key(name: str) -> str:
    return _full_name(name).lower()


def _short_name(name: str) -> str:
    """A name as the daemon lists it: with its tag, without the default host and namespace."""
    return _full_name(name).removeprefix("registry.ollama.ai/").removeprefix("library/")


def _source(name: str) -> tuple[str, str]:
    """Split `:local`, `:cloud` or `-cloud` (as long as `:local`) off a name."""
    found = re.search(r"(?i)(?::(local|cloud)|:[^/:]*-(cloud))$", name)
    return (name[:-6], (found[1] or found[2]).lower()) if found else (name, "")


def _named(body: JSON) -> str:
    return str(body.get("model") or body.get("name") or "")


def _trusted(headers: dict[str, str]) -> bool:
    """Whether Host and Origin are of this machine (the guard against DNS rebinding)."""
    ours = r"(https?://(localhost|127\.0\.0\.1|0\.0\.0\.0)(:\d+)?|(app|file|vscode-webview)://.*)?"
    host = re.sub(r":\d*$", "", headers.get("host", "")).strip("[]").lower()
    try:
        known = ipaddress.ip_address(host).is_private  # loopback is private too
    except ValueError:
        known = host in ("", "localhost", socket.gethostname().lower()) or host.endswith(
            (".localhost", ".local", ".internal")
        )
    return known and re.fullmatch(ours, headers.get("origin", "")) is not None


# --- making answers -------------------------------------------------------------------------------


def _sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _stamp(moment: datetime) -> str:
    # Nine digits of a second, as Go prints them: clients must not count on six.
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}789Z"


def _runner_refuses(message: str, kind: str = "invalid_request_error", **more: int) -> Refused:
    """A 400 of llama-server's, which the daemon hands on as JSON inside the error text."""
    error = {"code": 400, "message": message, "type": kind, **more}
    return Refused(400, json.dumps({"error": error}, separators=(",", ":")))


def _instance(schema: JSON, root: JSON) -> Any:
    """A minimal instance of a JSON Schema, as a model bound by its grammar could write."""
    if "$ref" in schema:
        target: Any = root
        for key in schema["$ref"].removeprefix("#/").split("/"):
            target = target[key]
        return _instance(target, root)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    for key in {"anyOf", "oneOf", "allOf"} & schema.keys():
        return _instance(schema[key][0], root)
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        properties = schema.get("properties", {})
        wanted: list[str] = schema.get("required", list(properties))
        return {name: _instance(properties.get(name, {}), root) for name in wanted}
    if kind == "array":
        return [_instance(schema.get("items", {}), root)] * schema.get("minItems", 1)
    low, text = schema.get("minimum", 0), "x" * schema.get("minLength", 1)
    simple = {"string": text, "integer": low, "number": low, "boolean": True, "null": None}
    if kind not in simple:
        where = "Field 'json_schema': \"json_schema\": JSON schema conversion failed"
        given = json.dumps(schema, separators=(",", ":"))
        raise _runner_refuses(f"{where}:\nUnrecognized schema: {given}")
    return simple[kind]


def _vector(text: str, size: int) -> list[float]:
    """A sum of one pseudo-random vector for each word: texts that share words come out close."""
    draws = [random.Random(word) for word in text.lower().split() or [""]]
    return [sum(draw.uniform(-1, 1) for draw in draws) for _ in range(size)]


def _unit(vector: list[float]) -> list[float]:
    length = math.sqrt(sum(value * value for value in vector))
    return [value / length for value in vector]


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)


def _line(name: str, verb: str, *, done: str = "", role: str = "assistant", **said: Any) -> JSON:
    """One line of an answer; `done` is the reason, on the last one."""
    content = said.pop("content", "")
    what = {"response": content, **said}
    if verb == "chat":
        what = {"message": {"role": role, "content": content, **said}}
    end = {"done": True, "done_reason": done} if done else {"done": False}
    return {"model": name, "created_at": _stamp(_now()), **what, **end}


def _merge(lines: list[JSON]) -> JSON:
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


def _logprobs(word: str, body: JSON) -> JSON:
    chance: JSON = {"token": word, "logprob": -0.5, "bytes": list(word.encode())}
    top = [chance] * (body.get("top_logprobs") or 0)
    chances = [{**chance, "top_logprobs": top} if top else chance]
    return {"logprobs": chances} if body.get("logprobs") else {}


def _reply(body: JSON, messages: list[JSON]) -> str:
    said, form = messages[-1].get("content") or "", body.get("format")
    if form:
        return json.dumps({"answer": said} if form == "json" else _instance(form, form))
    if messages[-1].get("role") == "tool":
        return f"The tool answered: {said}"
    pictures = sum(len(_images(message)) for message in messages)
    return f"I see {pictures} picture(s). " * bool(pictures) + f"You said: {said}"


def _prompt_count(body: JSON, model: Model, messages: list[JSON], window: int) -> int:
    """Count the prompt's tokens (a word is one); raises `Refused` where the runner refuses."""
    pictures = [base64.b64decode(image) for message in messages for image in _images(message)]
    if pictures and not model.can("vision"):
        what = "Multimodal data provided, but model does not support multimodal requests."
        raise _runner_refuses(what)
    if not all(p.startswith((b"\x89PNG", b"\xff\xd8\xff", b"GIF8")) for p in pictures):
        raise _runner_refuses("Failed to load image or audio file")
    form, expected = body.get("format"), 'expected "json" or a valid JSON Schema object'
    fits = isinstance(form, dict) or form in (None, "", "json")
    demand(fits, f"invalid format: {json.dumps(json.dumps(form))}; {expected}", 500)
    count = sum(len(_words(message.get("content") or "")) for message in messages)
    if count > window and body.get("truncate") is False:
        raise _runner_refuses(
            f"request ({count} tokens) exceeds the available context size ({window} tokens), "
            "try increasing it",
            "exceed_context_size_error",
            n_prompt_tokens=count,
            n_ctx=window,
        )
    return count if count <= window else window // 2 + 2  # the real one cuts, and says nothing


def _play(lines: Iterable[JSON], merge: Callable[[list[JSON]], JSON] | None, kind: str) -> Answer:
    """Run a job: its lines as a stream or, with `merge`, one answer of that content type."""
    sent: list[JSON] = []
    try:
        sent.extend(lines)
    except Refused as refusal:
        if merge or not sent:
            return Answer([refusal.body], kind if merge else BARE, refusal.status)
        sent.append(refusal.body)  # the status line is out: an error line ends the stream
    return Answer([merge(sent)], kind) if merge else Answer(sent, LINES)


def _progress(body: JSON, lines: Iterable[JSON]) -> Answer:
    return _play(lines, (lambda sent: sent[-1]) if body.get("stream") is False else None, BARE)


def _transfer(verb: str, model: Model, *, there: bool = False) -> Iterator[JSON]:
    layers = {model.layer: model.row["size"], f"sha256:{model.row['digest']}": 112}
    for digest, total in layers.items():
        line = {"status": f"{verb} {digest[7:19]}", "digest": digest, "total": total}
        for quarter in (4,) if there else (0, 1, 2, 3, 4):
            yield {**line, **({"completed": total * quarter // 4} if quarter else {})}


# --- the daemon without a script ------------------------------------------------------------------


class Library:
    """The models and the answers of an idle, healthy daemon that reaches no network.

    Tests may change it: `models`, and the `registry` to pull from, by lower-case full name;
    `loaded` models with their context length and end; `blobs` by digest; the `store` folder.
    """

    def __init__(self) -> None:
        self.models = {_key(model.name): model for model in CATALOGUE}
        self.registry = {**self.models, _key(ELSEWHERE.name): ELSEWHERE}
        self.loaded: dict[str, tuple[Model, int, datetime]] = {}
        self.blobs: dict[str, bytes] = {}
        self.store = "/usr/share/ollama/.ollama/models"
        self.calls = 0

    def answer(self, request: Request) -> Answer:
        """Answer a request as the daemon would."""
        path = request.path
        if not _trusted(request.headers):
            return Answer(status=403)
        blob = path.startswith("/api/blobs/")
        methods = ("HEAD", "POST") if blob else METHODS.get(path, ())
        if not methods:
            return Answer(["404 page not found"], "text/plain", 404)
        if request.method not in methods:
            allow = {"allow": ", ".join(methods)}
            return Answer(["405 method not allowed"], "text/plain", 405, allow)
        try:
            if blob:
                return self._blob(request)
            reads = path != "/api/me" and request.method in ("POST", "DELETE")
            body = _decode(path, request.raw) if reads else {}
            handle = getattr(self, "_" + (path.removeprefix("/api/").strip("/") or "root"))
            answer: Answer | JSON = handle(body)
        except Refused as refusal:
            return Answer([refusal.body], WHOLE, refusal.status)
        return answer if isinstance(answer, Answer) else Answer([answer], WHOLE)

    def find(self, name: str, missing: str, nameless: Refused) -> Model:
        """Find a model in the daemon's way; raises `Refused` as the daemon does."""
        base, source = _source(name)
        if not name.strip():
            raise nameless
        twice = source and _source(base)[1]
        demand(not twice, f'use either :local or :cloud, not both: "{name}"')
        demand(_full_name(base), "invalid model name")
        cloud = 'Post "https://ollama.com:443": dial tcp: lookup ollama.com: no such host'
        demand(source != "cloud", cloud, 502)
        demand(_key(base) in self.models, missing, 404)
        return self.models[_key(base)]

    def load(self, model: Model, body: JSON) -> JSON:
        """Load a model and return the options in force; raises `Refused` for bad ones."""
        asked = body.get("options") or {}
        demand(asked.get("typical_p") is None, "typical_p is no longer supported")
        _check_options(model.parameters)
        _check_options(asked)
        options = {**model.parameters, **asked}
        options["num_ctx"] = min(int(options.get("num_ctx") or 4096), model.context_length)
        until = _now() + _keep_alive(body)
        self.loaded[_key(model.name)] = (model, options["num_ctx"], until)
        return options

    def _root(self, _: JSON) -> Answer:
        return Answer(["Ollama is running"], "text/plain; charset=utf-8")

    def _version(self, _: JSON) -> JSON:
        return {"version": "0.34.4"}

    def _status(self, _: JSON) -> JSON:
        return {"cloud": {"disabled": False, "source": "none"}}

    def _me(self, _: JSON) -> JSON:
        raise Refused(503, "account unavailable")

    def _tags(self, _: JSON) -> JSON:
        rows = []
        for model in sorted(self.models.values(), key=lambda m: m.modified, reverse=True):
            lengths = {k: getattr(model, k) for k in ("context_length", "embedding_length")}
            rows.append(
                {
                    **model.row,
                    "details": {**model.row["details"], **lengths},
                    "capabilities": list(model.capabilities),
                    "modified_at": _stamp(model.modified),
                }
            )
        return {"models": rows}

    def _ps(self, _: JSON) -> JSON:
        self.loaded = {key: row for key, row in self.loaded.items() if row[2] > _now()}
        rows = sorted(self.loaded.values(), key=lambda row: row[2], reverse=True)
        return {
            "models": [
                {
                    **model.row,
                    "expires_at": _stamp(until),
                    "size_vram": model.row["size"],
                    "context_length": window,
                }
                for model, window, until in rows
            ]
        }

    def _show(self, body: JSON) -> JSON:
        missing = f"model '{_short_name(_source(_named(body))[0])}' not found"
        model = self.find(_named(body), missing, Refused(400, "model is required"))
        verbose, family, settings = bool(body.get("verbose")), model.family, []
        for key, value in model.parameters.items():
            values = value if isinstance(value, list) else [value]
            settings += [f"{key:<30} {json.dumps(item)}" for item in values]
        blob = f"{self.store}/blobs/{model.layer.replace(':', '-')}"
        shown = {
            "modelfile": '# Modelfile generated by "ollama show"\n# To build a new Modelfile based '
            f"on this, replace FROM with:\n# FROM {model.name}\n\nFROM {blob}\n"
            f"TEMPLATE {model.template}\n",
            "thinking": model.thinking,
            "license": model.license,
            "parameters": "\n".join(settings),
            "template": model.template,
            "system": body.get("system") or model.system,
            "messages": list(model.messages),
            "details": model.row["details"],
            "projector_info": {"general.architecture": "clip"} if model.can("vision") else None,
            "tensors": [{"name": "output.weight", "type": "F16", "shape": [8, 8]}] * verbose,
            "capabilities": list(model.capabilities),
            "modified_at": _stamp(model.modified),
        }
        info = {
            "general.architecture": family,
            "general.parameter_count": int(model.billions * 1e9),
            f"{family}.context_length": model.context_length,
            f"{family}.embedding_length": model.embedding_length,
            "tokenizer.ggml.tokens": ["<s>"] * verbose,
        }
        return {**{key: value for key, value in shown.items() if value}, "model_info": info}

    # Inference.

    def _chat(self, body: JSON) -> Answer | JSON:
        nameless = Refused(400, "model is required")
        return self._infer("chat", body, body.get("messages") or [], nameless)

    def _generate(self, body: JSON) -> Answer | JSON:
        user = {"role": "user", "content": body.get("prompt"), "images": _images(body)}
        system = {"role": "system", "content": body.get("system")}
        said = [system, user] if body.get("system") else [user]
        nameless = Refused(404, "model '' not found")
        return self._infer("generate", body, said if body.get("prompt") else [], nameless)

    def _infer(
        self, verb: str, body: JSON, messages: list[JSON], nameless: Refused
    ) -> Answer | JSON:
        """Chat or generate: every check before the model runs, in the daemon's order."""
        name, think, keep = _named(body), body.get("think"), _keep_alive(body)
        demand(isinstance(think, (bool, str, type(None))), "think must be a boolean or string")
        in_range = 0 <= (body.get("top_logprobs") or 0) <= 20
        demand(in_range, "top_logprobs must be between 0 and 20")
        model = self.find(name, f"model '{name}' not found", nameless)
        if not messages and not keep:
            self.loaded.pop(_key(model.name), None)
            return _line(name, verb, done="unload")
        clash = body.get("raw") and any(body.get(k) for k in ("system", "template", "context"))
        demand(not clash, "raw mode does not support template, system, or context")
        known = not isinstance(think, str) or think in ("low", "medium", "high", "max")
        levels = '(must be "high", "medium", "low", "max", true, or false)'
        demand(known, f'invalid think value: "{think}" {levels}')
        demand(not think or model.can("thinking"), f'"{name}" does not support thinking')
        demand(model.can("completion"), f'"{name}" does not support {verb}')
        for wanted, need in (("tools", "tools"), ("suffix", "insert")):
            able = model.can(need) or not body.get(wanted)
            demand(able, f"{_full_name(model.name)} does not support {need}")
        options = self.load(model, body)
        if not messages:
            return _line(name, verb, done="load")
        _demand_closed(body.get("template") or "", "", 500)
        if model.system and messages[0].get("role") != "system":
            messages = [{"role": "system", "content": model.system}, *messages]
        if body.get("_debug_render_only"):
            turns = "".join(f"<|{m.get('role')}|>\n{m.get('content')}\n" for m in messages)
            shown = {"rendered_template": turns + "<|assistant|>\n"}
            return {**_line(name, verb, role=""), "_debug_info": shown}
        lines = self._speak(verb, body, model, messages, options)
        answer = _play(lines, _merge if body.get("stream") is False else None, WHOLE)
        if not keep:
            del self.loaded[_key(model.name)]
        return answer

    def _speak(
        self, verb: str, body: JSON, model: Model, messages: list[JSON], options: JSON
    ) -> Iterator[JSON]:
        """The lines of an answer: thoughts, then a tool call or words, then the last line."""
        name, said = _named(body), messages[-1].get("content") or ""
        prompt_count = _prompt_count(body, model, messages, options["num_ctx"])
        from_user = messages[-1].get("role") == "user"
        calls = self._calls(body.get("tools") or [], said) if from_user else []
        thinks = model.can("thinking") and body.get("think") is not False
        tokens = [("thinking", word) for word in _words(f"The user wrote: {said}") if thinks]
        tokens += [("content", word) for word in _words(_reply(body, messages)) if not calls]
        limit = int(options.get("num_predict") or -1)
        reason = "length" if 0 < limit <= len(tokens) else "stop"
        tokens = tokens[:limit] if reason == "length" else tokens
        for channel, word in tokens:
            yield {**_line(name, verb, **{channel: word}), **_logprobs(word, body)}
        if calls and reason == "stop":
            yield _line(name, verb, tool_calls=calls)
        context = {"context": [*range(prompt_count + len(tokens))]}
        yield {
            **_line(name, verb, done=reason),
            **(context if verb == "generate" and not body.get("raw") else {}),
            "total_duration": 50_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": prompt_count,
            "prompt_eval_cached_count": 0,
            "prompt_eval_duration": 20_000_000,
            "eval_count": len(tokens) or 1,
            "eval_duration": 20_000_000,
        }

    def _calls(self, tools: list[JSON], said: str) -> list[JSON]:
        """A call of the first tool that the user names, with minimal arguments."""
        for tool in (tool.get("function", {}) for tool in tools):
            if tool.get("name") and tool["name"] in said:
                self.calls += 1
                schema = tool.get("parameters") or {}
                function = {
                    "index": 0,
                    "name": tool["name"],
                    "arguments": _instance(schema, schema),
                }
                return [{"id": f"call_{self.calls:08d}", "function": function}]
        return []

    def _embed(self, body: JSON) -> JSON:
        name, given = _named(body), body.get("input")
        texts = [given] if isinstance(given, str) and given else given or []
        fits = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
        demand(fits, "invalid input type")
        missing = f'model "{name}" not found, try pulling it first'
        model = self.find(name, missing, Refused(404, "model '' not found"))
        window, whole = self.load(model, body)["num_ctx"], model.embedding_length
        if not texts:
            return {"model": name, "embeddings": []}
        demand(model.can("embedding"), NO_EMBEDDINGS, 501)
        counts = [len(text.split()) + 2 for text in texts]  # and the marks of start and end
        fits = body.get("truncate") is not False or max(counts) <= window
        demand(fits, "the input length exceeds the context length")
        size = body.get("dimensions") or 0
        size = size if 0 < size < whole else whole
        return {
            "model": name,
            "embeddings": [_unit(_vector(text, whole)[:size]) for text in texts],
            "total_duration": 5_000_000,
            "load_duration": 1_000_000,
            "prompt_eval_count": sum(min(count, window) for count in counts),
        }

    def _embeddings(self, body: JSON) -> JSON:
        missing = f'model "{_named(body)}" not found, try pulling it first'
        model = self.find(_named(body), missing, Refused(400, "model is required"))
        self.load(model, body)
        if not body.get("prompt"):
            return {"embedding": []}
        demand(model.can("embedding"), NO_EMBEDDINGS, 500)
        return {"embedding": _unit(_vector(body["prompt"], model.embedding_length))}

    # The library's own changes.

    def _create(self, body: JSON) -> Answer:
        settings = body.get("parameters") or {}
        demand(settings.get("typical_p") is None, "typical_p is no longer supported")
        for path, digest in (body.get("files") or {}).items():
            demand(".." not in path, f"file path must be relative: {path}")
            fits = re.fullmatch(DIGEST, digest)
            demand(fits, f"invalid digest for {path}: invalid digest format")
        demand(not body.get("adapters"), "LoRA adapters are no longer supported")
        demand(_full_name(_named(body)), "invalid model name")
        demand(
            not body.get("quantize"),
            "create-time quantization is only supported for safetensors imports; "
            "quantize GGUF models with llama.cpp tools before importing",
        )
        return _progress(body, self._make(body))

    def _make(self, body: JSON) -> Iterator[JSON]:
        if body.get("from"):
            origin = _source(body["from"])[0]
            demand(_full_name(origin), "invalid model name")
            if _key(origin) not in self.models:
                yield from self._fetch(origin)
            base = self.models[_key(origin)]
        else:
            demand("files" in body, "neither 'from' or 'files' was specified")
            yield from self._read(body["files"])
            base = Model("", "llama", 0.1345, 8192, 576)
        template, terms = body.get("template") or base.template, body.get("license") or base.license
        _demand_closed(template, "template error: ", 400)
        made = replace(
            base,
            name=_short_name(_named(body)),
            template=template,
            modified=_now(),
            parameters={**base.parameters, **(body.get("parameters") or {})},
            system=body.get("system") or base.system,
            license=terms if isinstance(terms, str) else "\n".join(terms),
            messages=tuple(body.get("messages") or base.messages),
        )
        yield {"status": f"using existing layer {base.layer}"}
        yield {"status": f"creating new layer sha256:{made.row['digest']}"}
        yield {"status": "writing manifest"}
        self.models[_key(made.name)] = made
        yield {"status": "success"}

    def _read(self, files: dict[str, str]) -> Iterator[JSON]:
        demand(files and all(path.endswith(".gguf") for path in files), "unknown type")
        for digest in files.values():
            yield {"status": "parsing GGUF"}
            path = f"{self.store}/blobs/{digest.replace(':', '-')}"
            demand(digest in self.blobs, f"open {path}: no such file or directory", 500)
            magic = self.blobs[digest][:4]
            numbers = " ".join(map(str, magic))
            demand(magic == b"GGUF", f"unsupported file type [{numbers}]", 500)

    def _blob(self, request: Request) -> Answer:
        digest = request.path.removeprefix("/api/blobs/")
        demand(re.fullmatch(DIGEST, digest), "invalid digest format")
        if digest in self.blobs:
            return Answer()
        demand(request.method == "POST", f'blob "{digest}" not found', 404)
        got = _sha256(request.raw)
        self.blobs[got] = request.raw  # kept by what it is, even if refused for its name
        demand(got == digest, f'digest mismatch, expected "{digest}", got "{got}"')
        return Answer(status=201)

    def _copy(self, body: JSON) -> Answer:
        source, target = body.get("source") or "", body.get("destination") or ""
        for role, name in (("source", source), ("destination", target)):
            demand(_full_name(name), f'{role} "{name}" is invalid')
        demand(_key(source) in self.models, f'model "{source}" not found', 404)
        copied = replace(self.models[_key(source)], name=_short_name(target), modified=_now())
        self.models[_key(target)] = copied
        return Answer()

    def _delete(self, body: JSON) -> Answer:
        name = _named(body)
        demand(name, "model is required")
        demand(_full_name(name), f'name "{name}" is invalid')
        demand(self.models.pop(_key(name), None), f"model '{name}' not found", 404)
        self.loaded.pop(_key(name), None)
        return Answer()

    def _pull(self, body: JSON) -> Answer:
        demand(_full_name(_named(body)), "invalid model name")
        return _progress(body, self._fetch(_named(body)))

    def _fetch(self, name: str) -> Iterator[JSON]:
        yield {"status": "pulling manifest"}
        known = _key(name) in self.registry
        demand(known, "pull model manifest: file does not exist", 500)
        model = self.registry[_key(name)]
        yield from _transfer("pulling", model, there=_key(name) in self.models)
        yield {"status": "verifying sha256 digest"}
        yield {"status": "writing manifest"}
        self.models[_key(name)] = replace(model, modified=_now())
        yield {"status": "success"}

    def _push(self, body: JSON) -> Answer:
        demand(_named(body), "model is required")
        return _progress(body, self._send(_key(_named(body))))

    def _send(self, key: str) -> Iterator[JSON]:
        yield {"status": "retrieving manifest"}
        if key not in self.models:
            yield {"status": "couldn't retrieve manifest"}
            path = f"{self.store}/manifests/{key.replace(':', '/')}"
            raise Refused(500, f"open {path}: no such file or directory")
        yield from _transfer("pushing", self.models[key])
        yield {"status": "pushing manifest"}
        self.registry[key] = self.models[key]
        yield {"status": "success"}


# --- the server -----------------------------------------------------------------------------------


class _Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, but the application may close the connection in mid-answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "transport": transport}, receive, send)

        self.app = with_transport


class FakeOllama:
    """The fake daemon: `with FakeOllama() as daemon` serves it at `daemon.url`.

    `requests` is the record; `library` what is answered without a script; `pace` the seconds
    between the parts of such answers (0).
    """

    url: str

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.library = Library()
        self.pace = 0.0
        self._script: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._gates: dict[str, asyncio.Event] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._app,
                port=0,
                interface="asgi3",
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
            )
        )

    def __enter__(self) -> FakeOllama:
        self._thread.start()
        self.wait_for(lambda: self._server.started, 10)
        host, port = self._server.servers[0].sockets[0].getsockname()
        self.url = f"http://{host}:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        self.reset()
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)

    def reset(self) -> None:
        """Hang up on whoever still waits; forget scripts, holds and requests; new library."""

        async def hang_up() -> None:
            for task in self._answering:
                task.cancel()
            self._script.clear()
            self._gates.clear()
            self.requests, self.library, self.pace = [], Library(), 0.0

        asyncio.run_coroutine_threadsafe(hang_up(), self._loop).result(10)

    def reply(
        self,
        path: str,
        *parts: Part,
        status: int = 200,
        error: str | None = None,
        headers: dict[str, str] | None = None,
        times: int = 1,
        delay: float = 0.0,
        cut: bool = False,
    ) -> None:
        """Queue an answer for the next requests to a path.

        Args:
            path: the request's path, such as `/api/chat`.
            parts: a dict is sent as JSON, a str or bytes as it is, a number is a pause in
                seconds, a callable gets the Request and returns such a part.
            status: the HTTP status.
            error: a last part `{"error": error}`.
            headers: further headers; a `Content-Type` replaces the usual one.
            times: how many requests get this answer.
            delay: seconds before the status line.
            cut: drop the connection after the parts; without parts, before the status line.
        """
        said = (*parts, {"error": error}) if error is not None else parts
        named = {key.lower(): value for key, value in (headers or {}).items()}
        kind = named.pop("content-type", "")
        self._script[path].extend([Answer(said, kind, status, named, delay, cut)] * times)

    def hold(self, path: str) -> None:
        """Accept requests to a path and answer nothing until `release` or `reset`."""
        self._gates.setdefault(path, asyncio.Event())

    def release(self, path: str) -> None:
        """Let the held requests to a path go on to their answers."""
        self._loop.call_soon_threadsafe(self._gates.pop(path).set)

    def wait_for(self, condition: Callable[[], bool], timeout: float = 2.0) -> None:
        """Block until a condition holds; raises TimeoutError after `timeout` seconds.

        It stops the caller's event loop too: a client that runs there needs `until`.
        """
        end = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"not within {timeout} s")
            time.sleep(0.002)

    async def until(self, condition: Callable[[], bool], timeout: float = 2.0) -> None:
        """`wait_for` while the caller's event loop runs on."""
        await asyncio.to_thread(self.wait_for, condition, timeout)

    # From here on everything runs on the server's own loop.

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self._server.serve()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
        request = Request(scope["method"], scope["path"], headers)
        self.requests.append(request)
        more = True
        while more:
            event = await receive()
            if event["type"] == "http.disconnect":
                request.closed_early = True
                return
            request.raw += event["body"]
            more = event["more_body"]
        try:
            request.body = json.loads(request.raw)
        except ValueError:
            request.body = None
        answering = asyncio.create_task(self._answer(request, send, scope["transport"]))
        leaving = asyncio.create_task(receive())  # ends with the client, or with the answer
        self._answering.add(answering)
        await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
        self._answering.discard(answering)
        if answering.cancelled():  # by reset
            scope["transport"].close()
        elif answering.done():
            answering.result()  # raises what a callable part raised
        else:
            request.closed_early = answering.cancel()
        await leaving
        request.done = not request.closed_early

    async def _answer(self, request: Request, send: Any, transport: asyncio.Transport) -> None:
        """Send the next scripted answer or the library's."""
        if gate := self._gates.get(request.path):
            await gate.wait()
        script = self._script.get(request.path)
        pace = 0.0 if script else self.pace
        answer = script.popleft() if script else self.library.answer(request)
        await asyncio.sleep(answer.delay)
        kind = answer.kind
        if answer.parts and not kind:
            streams = request.path in STREAMED and answer.status == 200
            whole = isinstance(request.body, dict) and request.body.get("stream") is False
            kind = LINES if streams and not whole else WHOLE
        if answer.parts or not answer.cut:
            named = {**answer.headers, **({"content-type": kind} if kind else {})}
            raw = [(key.encode(), value.encode()) for key, value in named.items()]
            await send({"type": "http.response.start", "status": answer.status, "headers": raw})
        for part in answer.parts:
            while callable(part):
                part = part(request)
            if isinstance(part, (int, float)):
                await asyncio.sleep(part)
                continue
            if isinstance(part, dict):
                part = json.dumps(part, ensure_ascii=False) + ("\n" if kind == LINES else "")
            data = part.encode() if isinstance(part, str) else part
            await send({"type": "http.response.body", "body": data, "more_body": True})
            await asyncio.sleep(pace)
        if answer.cut:
            transport.close()
        else:
            await send({"type": "http.response.body", "body": b""})
