"""Reading requests, in the daemon's words where they are wrong."""

from __future__ import annotations

import ipaddress
import json
import re
import socket
from datetime import timedelta
from typing import Any

from .wire import JSON, Refused, demand

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


def decode(path: str, raw: bytes) -> JSON:
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
    keep_alive(body)  # for what it refuses
    return body


def _check_fields(body: JSON, where: str) -> None:
    for go, (kind, names) in FIELDS.items():
        for name in names & body.keys():
            _demand_type(body[name], kind, f"struct field {where}.{name} of type {go}")
    for image in images_of(body):
        wrong = re.search(r"[^A-Za-z0-9+/=]", image)
        at = wrong.start() if wrong else len(image) // 4 * 4
        demand(at == len(image), f"illegal base64 data at input byte {at}")


def _demand_type(value: Any, kind: type, place: str) -> None:
    kinds = {str: "string", bool: "bool", int: "number", float: "number", list: "array"}
    got = kinds.get(type(value), "object")
    # type(), for to isinstance() True is an int
    demand(value is None or type(value) is kind, f"json: cannot unmarshal {got} into Go {place}")


def images_of(message: JSON) -> list[str]:
    return message.get("images") or []


def keep_alive(body: JSON) -> timedelta:
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


def check_options(options: JSON) -> None:
    for kind, (types, names) in OPTIONS.items():
        for name in names & options.keys():
            fits = options[name] is None or type(options[name]) in types
            demand(fits, f'option "{name}" must be of type {kind}', 500)
    strings = all(isinstance(text, str) for text in options.get("stop") or ())
    demand(strings, 'option "stop" must be of an array of strings', 500)


def demand_closed(template: str, prefix: str, status: int) -> None:
    closed = template.count("{{") == template.count("}}")
    demand(closed, f"{prefix}template: :1: unclosed action", status)


def named(body: JSON) -> str:
    return str(body.get("model") or body.get("name") or "")


def trusted(headers: dict[str, str]) -> bool:
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
