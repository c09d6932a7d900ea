"""Logs: a line of JSON for each request, with its id, and without what is nobody's business."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from ollama_mcp_server.gateway.access.caller import THE_HOLDER
from ollama_mcp_server.gateway.observability.logs import LONGEST, Lines, access, cleaned, log_lines
from ollama_mcp_server.gateway.observability.metrics import Metrics
from ollama_mcp_server.gateway.observability.requests import LEFT, Seen
from tests.conftest import CHAT, MakeApp
from tests.gateway.serving import served

TOKEN = "a-token-that-nobody-can-guess"
SECRET = "a-prompt-about-a-secret"


class Kept(logging.Handler):
    """Keeps what is logged, as it would be written."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(Lines())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))

    @property
    def told(self) -> list[dict[str, Any]]:
        """The lines about requests."""
        lines = [json.loads(line) for line in self.lines]
        return [line for line in lines if line["logger"] == access.name and "status" in line]


@pytest.fixture
def log() -> Iterator[Kept]:
    kept, root, level = Kept(), logging.getLogger(), access.level
    root.addHandler(kept)
    access.setLevel(logging.INFO)
    yield kept
    root.removeHandler(kept)
    access.setLevel(level)


def client_of(app: Any) -> httpx.AsyncClient:
    seen = Seen(app, Metrics())
    transport = httpx.ASGITransport(seen, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"]["caller"] = THE_HOLDER
    logging.getLogger("ollama_mcp_server.elsewhere").error("something happened")
    await PlainTextResponse("hello")(scope, receive, send)


async def broken(scope: Scope, receive: Receive, send: Send) -> None:
    raise ValueError(SECRET) from KeyError(SECRET)


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers nothing, as where the client has gone."""


async def no_body(*_: object) -> None:
    raise AssertionError("nothing is read or sent")


async def test_a_request_is_one_line(log: Kept) -> None:
    async with client_of(hello) as client:
        response = await client.get("/v1/models/llama3.2:3b?key=hidden")
    [line] = log.told
    assert line["request_id"] == response.headers["x-request-id"]
    assert line["message"] == "GET /v1/models/llama3.2:3b 200"
    told = {name: line[name] for name in ("level", "method", "route", "status", "caller", "client")}
    assert told == {
        "level": "info",
        "method": "GET",
        "route": "/v1/models/{model:path}",
        "status": 200,
        "caller": "token",
        "client": "127.0.0.1",
    }
    assert line["time"].endswith("Z")
    assert "hidden" not in str(log.lines)


async def test_whatever_is_logged_meanwhile_has_the_same_id(log: Kept) -> None:
    async with client_of(hello) as client:
        await client.get("/health", headers={"X-Request-ID": "trace-7"})
    assert {json.loads(line)["request_id"] for line in log.lines} == {"trace-7"}
    assert len(log.lines) == 2


@pytest.mark.parametrize("given", ["abc-123", "01J9Z.5:x_y/Z+=", "a" * 128])
async def test_a_sane_id_is_taken_and_given_back(given: str) -> None:
    async with client_of(hello) as client:
        response = await client.get("/health", headers={"X-Request-ID": given})
    assert response.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", ["", "a b", "a" * 129, '{"x":1}', "<script>", "a\tb", "ü"])
async def test_any_other_is_replaced(given: str) -> None:
    async with client_of(hello) as client:
        headers = [(b"X-Request-ID", given.encode())]
        response = await client.get("/health", headers=headers)
    [made] = response.headers.get_list("x-request-id")
    assert made != given
    assert len(made) == 16


async def test_our_own_fault_is_a_warning_without_its_words(log: Kept) -> None:
    async with client_of(broken) as client:
        await client.post("/api/ask", content=SECRET)
    [line] = log.told
    assert (line["status"], line["level"]) == (500, "warning")
    assert SECRET not in str(log.lines)


async def test_one_who_left_is_told_from_a_fault(log: Kept) -> None:
    scope: Scope = {"type": "http", "method": "POST", "path": "/api/chat", "headers": []}
    await Seen(silent, Metrics())(scope, no_body, no_body)  # type: ignore[arg-type]
    assert log.told[0]["status"] == LEFT


def test_an_error_is_told_by_its_places(log: Kept) -> None:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError as error:
            raise ValueError(SECRET) from error
    except ValueError:
        logging.getLogger("somewhere").exception("it failed")
    line = json.loads(log.lines[0])
    assert {"ValueError", "KeyError"} <= set(line["error"])
    assert any("test_logs.py" in place for place in line["error"])
    assert SECRET not in log.lines[0]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("got Authorization: Bearer abcdef123456", "got Authorization: Bearer …"),
        ("GET https://x.example/a?key=1 failed", "GET https://x.example/a?… failed"),
        ('"GET /metrics?token=1 HTTP/1.1" 200', '"GET /metrics?… HTTP/1.1" 200'),
        ("redis://u:p and https://u:p@h/x", "redis://u:p and https://…@h/x"),
        ("api_key=sk-123, then", "api_key=…, then"),
        ("x-api-key: sk-123", "x-api-key: …"),
        ("what? nothing", "what? nothing"),
        ("3 tokens: a lot", "3 tokens: a lot"),
    ],
)
def test_secrets_are_taken_out_of_messages(said: str, kept: str) -> None:
    assert cleaned(said) == kept


def test_a_long_message_is_cut() -> None:
    assert len(cleaned("a" * 5000)) == LONGEST + 1


def test_a_line_is_a_line(log: Kept) -> None:
    logging.getLogger("x").error("two\nlines %s", "\u2028")
    assert "\n" not in log.lines[0]


async def test_the_gateway_logs_no_prompt_and_no_key(log: Kept, make_app: MakeApp) -> None:
    app = make_app(auth_token=TOKEN)
    logging.getLogger("ollama_mcp_server").setLevel(logging.DEBUG)
    try:
        async with served(app, token=TOKEN) as client:
            body = {"model": CHAT, "messages": [{"role": "user", "content": SECRET}]}
            assert (await client.post("/api/chat", json=body)).status_code == 200
            assert (await client.post("/api/chat", content=SECRET)).status_code == 400
            wrong = {"authorization": "Bearer not-the-right-token"}
            assert (await client.get(f"/api/ps?t={SECRET}", headers=wrong)).status_code == 401
    finally:
        logging.getLogger("ollama_mcp_server").setLevel(logging.NOTSET)
    assert [line["status"] for line in log.told] == [200, 400, 401]
    assert [line["route"] for line in log.told] == ["/api/chat", "/api/chat", "/api/ps"]
    chat = log.told[0]
    assert (chat["model"], chat["caller"]) == (CHAT, "token")
    assert chat["tokens"] > 0
    text = str(log.lines)
    assert SECRET not in text
    assert TOKEN not in text
    assert "not-the-right-token" not in text


def test_the_process_can_be_told_to_log_so() -> None:
    root, kept = logging.getLogger(), Kept()
    kept.setFormatter(None)
    before = [(handler, handler.formatter) for handler in root.handlers], access.level
    root.addHandler(kept)
    try:
        log_lines("warning")
        assert isinstance(kept.formatter, Lines)
        assert not access.isEnabledFor(logging.INFO)
    finally:
        root.removeHandler(kept)
        for handler, formatter in before[0]:
            handler.setFormatter(formatter)
        access.setLevel(before[1])
