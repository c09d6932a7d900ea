"""The client: nothing lost, nothing leaked, every failure ours."""

from __future__ import annotations

import sys
from typing import Any

import anyio
import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.daemon import client as module
from ollama_mcp_server.daemon import replies
from ollama_mcp_server.daemon.client import Client, pause_before
from ollama_mcp_server.errors import (
    DaemonError,
    DaemonUnreachable,
    InvalidArgument,
    QueueFull,
    TimedOut,
)
from tests.conftest import MakeApp
from tests.fake_ollama import FakeOllama

BODY = {"model": "llama3.2:3b", "messages": [{"role": "user", "content": "Hi"}]}
DONE = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}


@pytest.fixture
def ollama(app: App) -> Client:
    return app.client


async def collect(ollama: Client, **waiting: Any) -> list[dict[str, Any]]:
    return [part async for part in ollama.stream("/api/chat", BODY, **waiting)]


def part(text: str) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": text}, "done": False}


async def test_parts_come_as_they_were_sent(ollama: Client, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", part("a") | {"new_field": {"x": 1}}, DONE)
    assert (await collect(ollama))[0]["new_field"] == {"x": 1}


async def test_unicode_line_ends_do_not_split_a_line(ollama: Client, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", '{"message":{"content":"a\x85b\u2028c"},"done":false}\n', DONE)
    assert (await collect(ollama))[0]["message"]["content"] == "a\x85b\u2028c"


async def test_a_stream_that_ends_without_its_final_part_is_an_error(
    ollama: Client, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", part("half an"))
    with pytest.raises(DaemonError, match="cut"):
        await collect(ollama)


async def test_a_dropped_connection_is_an_error(ollama: Client, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", part("half an"), cut=True)
    with pytest.raises(DaemonError, match="broke"):
        await collect(ollama)


@pytest.mark.parametrize(
    "garbage", ["<html>", "{", "[1]\n", "null\n", "\x00\xff\n", "[" * 100_000, '{"a":' * 100_000]
)
async def test_garbage_is_an_error(ollama: Client, daemon: FakeOllama, garbage: str) -> None:
    daemon.reply("/api/chat", part("a"), garbage)
    with pytest.raises(DaemonError, match="not JSON"):
        await collect(ollama)


async def test_an_error_in_mid_stream_is_an_error(ollama: Client, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", part("a"), error="an error was encountered while running the model")
    with pytest.raises(DaemonError, match="while running the model"):
        await collect(ollama)


async def test_a_line_without_end_is_refused(
    ollama: Client, daemon: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replies, "MAX_LINE", 1000)
    daemon.reply("/api/chat", *["x" * 600] * 3)
    with pytest.raises(DaemonError, match="without an end"):
        await collect(ollama)


async def test_a_long_line_costs_as_much_as_it_is_long(ollama: Client, daemon: FakeOllama) -> None:
    text = "x" * 65_536
    pieces = ['{"message":{"content":"', *[text] * 400, '"},"done":false}\n']
    daemon.reply("/api/chat", *pieces, DONE)
    with anyio.fail_after(20):  # 26 MB took minutes when each piece was joined to all before
        parts = await collect(ollama)
    assert len(parts[0]["message"]["content"]) == 400 * len(text)


@pytest.mark.parametrize(
    "strange",
    [
        {"response": 5},
        {"message": "a"},
        {"message": {"content": ["a"]}},
        {"message": {"tool_calls": 3}},
        {"models": [{"name": 1}]},
        {"models": [1]},
        {"done": True, "eval_count": "many"},
    ],
)
async def test_what_ollama_never_says_is_an_error(
    ollama: Client, daemon: FakeOllama, strange: dict[str, Any]
) -> None:
    daemon.reply("/api/chat", strange, DONE)
    with pytest.raises(DaemonError, match="not what Ollama answers"):
        await collect(ollama)


async def test_of_a_refusal_no_more_is_read_than_says_why(
    ollama: Client, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", *["x" * 65_536] * 4, 60.0, status=500)
    with anyio.fail_after(10), pytest.raises(DaemonError):
        await collect(ollama)


async def test_a_refusal_in_a_coding_that_there_is_not(ollama: Client, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", "Oh", status=500, headers={"content-type": "text/html; charset=hex"})
    with pytest.raises(DaemonError):
        await collect(ollama)


async def test_what_the_daemon_knows_it_must_tell_in_time(
    ollama: Client, daemon: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.3)
    daemon.hold("/api/tags")
    with pytest.raises(TimedOut, match="did not answer") as late:
        await ollama.request("GET", "/api/tags")
    assert late.value.hint
    await daemon.until(lambda: daemon.requests[0].closed_early)
    daemon.reply("/api/embed", {"embeddings": []}, delay=0.8)
    assert await ollama.request("POST", "/api/embed", {"model": "m"}) == {"embeddings": []}


async def test_a_lone_surrogate_is_the_callers_fault(ollama: Client) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "\ud800"}]}
    with pytest.raises(InvalidArgument, match="Unicode"):
        await anext(ollama.stream("/api/chat", body))


async def test_nothing_listens(make_app: MakeApp) -> None:
    app = make_app(ollama_host="127.0.0.1:9")
    with pytest.raises(DaemonUnreachable, match="ollama serve"):
        await app.client.request("GET", "/api/tags")


async def test_a_full_queue_is_waited_for_and_announced(
    ollama: Client, daemon: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.01, 0.02))
    daemon.reply("/api/chat", status=503, error="server busy", times=2)
    daemon.reply("/api/chat", DONE)
    told: list[str] = []
    assert len(await collect(ollama, waiting=told.append)) == 1
    assert len(told) == 2
    assert all(line.startswith("queued") for line in told)


async def test_a_queue_that_stays_full_is_an_error(
    ollama: Client, daemon: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSES", (0.01,))
    daemon.reply("/api/chat", status=503, error="server busy", times=2)
    with pytest.raises(QueueFull):
        await collect(ollama)
    assert len(daemon.requests) == 2


async def test_nothing_else_is_tried_again(ollama: Client, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", status=500, error="boom", times=2)
    with pytest.raises(DaemonError):
        await collect(ollama)
    assert len(daemon.requests) == 1


def test_retry_after_is_honoured_within_bounds() -> None:
    assert pause_before(1, None) == module.PAUSES[0]
    assert pause_before(1, 3.0) == 3.0
    assert pause_before(1, 3600.0) is None
    assert pause_before(len(module.PAUSES) + 1, None) is None


async def test_leaving_a_stream_closes_the_request(ollama: Client, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", part("a"), 30.0, DONE)
    stream = ollama.stream("/api/chat", BODY)
    await anext(stream)
    await stream.aclose()
    await daemon.until(lambda: daemon.requests[0].closed_early)


async def test_no_key_goes_to_a_loopback_daemon(
    make_app: MakeApp, daemon: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_API_KEY", "secret-key")
    app = make_app(headers={"X-Extra": "1"})
    await app.client.request("GET", "/api/tags")
    assert "authorization" not in daemon.requests[0].headers
    assert daemon.requests[0].headers["x-extra"] == "1"


async def test_the_key_goes_to_a_remote_daemon(make_app: MakeApp) -> None:
    app = make_app(ollama_host="https://ollama.example", api_key="secret-key")
    assert app.client._client.headers["authorization"] == "Bearer secret-key"


async def test_a_header_of_ones_own_wins_over_the_key(make_app: MakeApp) -> None:
    app = make_app(
        ollama_host="https://o.example", api_key="k", headers={"authorization": "Basic x"}
    )
    assert app.client._client.headers["authorization"] == "Basic x"


async def test_credentials_of_the_address_are_sent_and_not_told(
    make_app: MakeApp, daemon: FakeOllama
) -> None:
    host = daemon.url.removeprefix("http://")
    app = make_app(ollama_host=f"http://me:secret@{host}")
    await app.client.request("GET", "/api/tags")
    assert daemon.requests[0].headers["authorization"].startswith("Basic ")
    assert "secret" not in app.client.address.url


async def test_a_redirect_is_told_and_not_followed(ollama: Client, daemon: FakeOllama) -> None:
    daemon.reply("/api/tags", status=307, headers={"Location": "https://elsewhere/"})
    with pytest.raises(DaemonError, match="elsewhere"):
        await ollama.request("GET", "/api/tags")


async def test_no_proxy_is_taken_for_loopback(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    app = make_app(proxy="http://127.0.0.1:9")
    assert await app.client.request("GET", "/api/version")


async def test_a_socks_proxy_without_its_package_is_told(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(DaemonUnreachable, match="SOCKS"):
        _ = make_app(ollama_host="http://192.0.2.1").client
