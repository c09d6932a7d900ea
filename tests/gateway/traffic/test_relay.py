"""What goes to the daemon as it is, and comes back as it comes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.errors import Cancelled, DaemonError, TimedOut, TooLarge
from ollama_mcp_server.gateway.access.keyfile import digest
from ollama_mcp_server.gateway.traffic import outlet as outlets
from ollama_mcp_server.gateway.traffic.outlet import AHEAD, Intake, Outlet, answer, last_words
from ollama_mcp_server.gateway.traffic.relay import Meter, named
from ollama_mcp_server.settings import Settings
from tests.conftest import CHAT, EMBEDDER, HELLO, MakeApp
from tests.fake_ollama import FakeOllama
from tests.gateway.serving import served, tapped

#: Requests of every kind, right and wrong.
REQUESTS: list[tuple[str, str, Any]] = [
    ("GET", "/api/version", None),
    ("HEAD", "/api/version", None),
    ("GET", "/api/tags", None),
    ("HEAD", "/api/tags", None),
    ("GET", "/api/ps", None),
    ("GET", "/api/status", None),
    ("POST", "/api/show", {"model": CHAT}),
    ("POST", "/api/show", {"model": "nobody"}),
    ("POST", "/api/embed", {"model": EMBEDDER, "input": ["a", "b"]}),
    ("POST", "/api/embed", {"model": CHAT, "input": "a"}),
    ("POST", "/api/generate", {"model": "nobody", "prompt": "x"}),
    ("POST", "/api/chat", {"model": "nobody", "messages": HELLO}),
    ("POST", "/api/chat", {"messages": HELLO}),
    ("POST", "/api/chat", []),
    ("POST", "/api/copy", {"source": CHAT, "destination": "mine"}),
    ("DELETE", "/api/delete", {"model": "nobody"}),
    ("POST", "/api/me", None),
    ("GET", "/api/chat", None),
    ("GET", "/api/nothing", None),
    ("HEAD", f"/api/blobs/sha256:{'0' * 64}", None),
]


@pytest.fixture
async def gateway(app: App) -> AsyncIterator[httpx.AsyncClient]:
    async with served(app) as client:
        yield client


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS)
async def test_the_answer_is_the_daemons_own(
    method: str, path: str, body: Any, gateway: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    ours = await gateway.request(method, path, json=body)
    async with httpx.AsyncClient(trust_env=False) as client:
        its = await client.request(method, daemon.url + path, json=body)
    assert (ours.status_code, ours.content) == (its.status_code, its.content)
    for name in ("content-type", "content-length"):
        assert ours.headers.get(name) == its.headers.get(name)
    assert len(ours.headers.get_list("date")) == 1


async def test_a_request_is_passed_on_byte_by_byte(make_app: MakeApp) -> None:
    answer = (
        b"HTTP/1.1 418 I'm a teapot\r\nContent-Type: text/x-tea\r\nX-Tea: green\r\n"
        b"Access-Control-Allow-Origin: *\r\nSet-Cookie: a=b\r\nContent-Length: 3\r\n\r\ntea"
    )
    body = '{"model": "m",\t"prompt":"\\u00e9 é",  "x":1.0}\n'.encode()
    async with tapped(answer) as tap:
        app = make_app(ollama_host=tap.url, headers={"X-Key": "ours"})
        async with served(app) as client:
            said = await client.post(
                "/api/generate?a=%2F&b=c%20d",
                content=body,
                headers={
                    "content-type": "application/x-www-form-urlencoded",
                    "authorization": "Bearer theirs",
                    "x-api-key": "theirs",
                    "x-key": "theirs",
                    "cookie": "theirs=1",
                    "origin": str(client.base_url),
                    "x-forwarded-for": "192.0.2.1",
                    "user-agent": "curl",
                },
            )
    assert tap.request.startswith(b"POST /api/generate?a=%2F&b=c%20d HTTP/1.1\r\n")
    assert tap.request.endswith(b"\r\n\r\n" + body)
    headers = tap.headers
    assert headers["host"] == tap.url.removeprefix("http://")
    assert headers["content-type"] == "application/x-www-form-urlencoded"
    assert (headers["user-agent"], headers["x-key"]) == ("curl", "ours")
    assert b"theirs" not in tap.request
    assert not {"authorization", "x-api-key", "cookie", "origin", "x-forwarded-for"} & set(headers)
    assert (said.status_code, said.content) == (418, b"tea")
    assert (said.headers["content-type"], said.headers["x-tea"]) == ("text/x-tea", "green")
    assert not {"access-control-allow-origin", "set-cookie"} & set(said.headers)


async def test_without_a_content_type_the_daemon_gets_none(make_app: MakeApp) -> None:
    async with tapped(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as tap:
        async with served(make_app(ollama_host=tap.url)) as client:
            await client.post("/api/generate", content=b'{"model":"m"}')
        assert "content-type" not in tap.headers


async def test_the_first_line_does_not_wait_for_the_second(make_app: MakeApp) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"
    async with (
        tapped(head + b'{"response":"a"}\n', b'{"done":true}\n') as tap,
        served(make_app(ollama_host=tap.url)) as client,
        client.stream("POST", "/api/generate", json={"model": "m"}) as response,
    ):
        pieces = response.aiter_raw()
        assert await anext(pieces) == b'{"response":"a"}\n'
        assert not tap.on.is_set()


@pytest.mark.parametrize("path", ["/api/chat", "/api/generate", "/api/embed", "/api/pull"])
@pytest.mark.parametrize("begun", [True, False])
async def test_a_client_that_leaves_ends_the_daemons_request(
    path: str, begun: bool, gateway: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    if begun:
        daemon.reply(path, {"status": "begun"}, 60.0)
    else:
        daemon.hold(path)
    body = {"model": CHAT, "messages": HELLO, "prompt": "x", "input": "x"}
    with pytest.raises(httpx.ReadTimeout):
        async with gateway.stream("POST", path, json=body, timeout=0.5) as response:
            assert begun
            async for _ in response.aiter_raw():
                pass
    await daemon.until(lambda: daemon.requests[-1].closed_early)


async def test_a_slow_reader_keeps_nobody_from_the_daemon(
    make_app: MakeApp, daemon: FakeOllama
) -> None:
    line = {"response": "x" * 1000, "done": False}
    daemon.reply("/api/generate", *[line] * 900, {"done": True})
    app = make_app(parallel=1)
    body = {"model": CHAT, "prompt": "x"}
    async with served(app) as client:
        host, port = client.base_url.host, client.base_url.port
        _, writer = await asyncio.open_connection(host, port, limit=1024)
        told = json.dumps(body).encode()
        writer.write(
            b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s"
            % (len(told), told)
        )
        await daemon.until(lambda: bool(daemon.requests) and daemon.requests[0].done)
        said = await client.post("/api/generate", json={**body, "stream": False}, timeout=5)
        assert said.json()["done"]
        writer.close()


async def test_without_a_daemon_the_error_says_what_to_do() -> None:
    async with served(App(Settings(ollama_host="127.0.0.1:9"))) as client:
        for method, path in (("GET", "/api/tags"), ("POST", "/api/chat"), ("POST", "/api/embed")):
            said = await client.request(method, path, json={"model": "m", "messages": HELLO})
            assert said.status_code == 503
            assert list(said.json()) == ["error"]
            assert "nothing answers at http://127.0.0.1:9" in said.json()["error"]
            assert "`ollama serve`" in said.json()["error"]
        for method in ("GET", "HEAD"):
            said = await client.request(method, "/")
            assert (said.status_code, said.headers["content-length"]) == (200, "17")
        assert (await client.get("/")).text == "Ollama is running"


async def test_a_stream_that_breaks_off_ends_with_an_error_line(
    gateway: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    daemon.reply("/api/generate", {"response": "a", "done": False}, cut=True)
    said = await gateway.post("/api/generate", json={"model": CHAT, "prompt": "x"})
    first, last = (json.loads(line) for line in said.text.splitlines())
    assert first["response"] == "a"
    assert "the connection to Ollama" in last["error"]


async def test_an_answer_in_one_piece_that_breaks_off_is_no_answer(
    gateway: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    headers = {"Content-Length": "100", "Content-Type": "application/json"}
    daemon.reply("/api/generate", "{", headers=headers, cut=True)
    with pytest.raises(httpx.RemoteProtocolError):
        await gateway.post("/api/generate", json={"model": CHAT, "stream": False})


async def test_blobs_are_passed_on_in_pieces(
    gateway: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    blob = b"GGUF" + bytes(3 * 2**20)
    name = f"sha256:{hashlib.sha256(blob).hexdigest()}"

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(blob), 2**16):
            yield blob[start : start + 2**16]

    assert (await gateway.head(f"/api/blobs/{name}")).status_code == 404
    said = await gateway.post(f"/api/blobs/{name}", content=pieces())
    assert (said.status_code, daemon.requests[-1].raw == blob) == (201, True)
    assert daemon.requests[-1].headers["transfer-encoding"] == "chunked"
    assert (await gateway.head(f"/api/blobs/{name}")).status_code == 200
    await gateway.post(f"/api/blobs/{name}", content=blob)
    assert daemon.requests[-1].headers["content-length"] == str(len(blob))


async def test_who_leaves_in_the_middle_of_a_blob_leaves_no_request_behind(
    make_app: MakeApp,
) -> None:
    async with tapped() as tap, served(make_app(ollama_host=tap.url)) as client:
        _, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
        writer.write(
            b"POST /api/blobs/sha256:0 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999\r\n\r\n"
            + bytes(70_000)
        )
        while not (tap.requests and len(tap.requests[0]) > 70_000):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        writer.close()
        await asyncio.wait_for(tap.left.wait(), 5)


async def test_a_request_that_is_too_large_is_refused(
    gateway: httpx.AsyncClient, daemon: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ollama_mcp_server.gateway.traffic.relay.MAX_BODY", 100)
    said = await gateway.post("/api/generate", content=b" " * 101)
    assert said.status_code == 413
    assert "more than 100 bytes" in said.json()["error"]
    assert daemon.requests == []


async def test_keys_hold_for_the_daemons_routes(make_app: MakeApp, daemon: FakeOllama) -> None:
    keys = [
        {"name": "some", "sha256": digest(b"some"), "models": ["llama*"]},
        {"name": "all", "sha256": digest(b"all"), "scopes": ["read", "infer", "manage"]},
    ]
    app = make_app(keys=json.dumps({"keys": keys}))
    async with served(app, token="some") as client:
        twice = f'{{"model": "{CHAT}", "Model": "{EMBEDDER}", "prompt": "x"}}'
        for content, told in (
            (json.dumps({"model": EMBEDDER, "input": "x"}), "may not use the model"),
            (twice, "may not use the model"),
            ("{", "no JSON object"),
        ):
            said = await client.post("/api/generate", content=content)
            assert told in said.json()["error"]
            assert said.status_code in (400, 403)
        said = await client.post("/api/generate", json={"model": CHAT, "prompt": "x"})
        assert said.status_code == 200
        assert (await client.post("/api/pull", json={"model": CHAT})).status_code == 403
        assert (await client.get("/")).text == "Ollama is running"
        assert (await client.get("/api/tags", headers={"authorization": ""})).status_code == 401
    assert [request.path for request in daemon.requests] == ["/api/generate"]
    async with served(make_app(keys=json.dumps(keys)), token="all") as client:
        assert (await client.post("/api/pull", json={"model": "gemma3:1b"})).status_code == 200
        assert (await client.post("/api/me")).status_code == 403


async def test_tokens_count_against_the_key(make_app: MakeApp, daemon: FakeOllama) -> None:
    keys = [{"name": "few", "sha256": digest(b"few"), "tokens_per_minute": 3}]
    body = {"model": CHAT, "prompt": "Hello there", "stream": False}
    async with served(make_app(keys=json.dumps(keys)), token="few") as client:
        assert (await client.post("/api/generate", json=body)).status_code == 200
        said = await client.post("/api/generate", json=body)
        assert (said.status_code, "Retry-After" in said.headers) == (429, True)
        assert "tokens" in said.json()["error"]


def test_the_models_that_a_request_names_are_found_in_every_spelling() -> None:
    said = b'{"model":"a","MODEL":"b","Name":"c","from":"d","x":{"model":"e"},"\xc5\xbfource":"f"}'
    assert named(said) == ["a", "b", "c", "d", "f"]
    assert named(b" ") == []


@pytest.mark.parametrize(
    ("pieces", "tokens"),
    [
        ([b'{"prompt_eval_count":7,', b'"eval_count": 5}\n'], 12),
        ([b'{"message":{"content":"\\"eval_count\\":99"}}\n'] * 3, 2),
        ([b"x" * 5000, b'{"usage":{"prompt_tokens":1,"completion_tokens":2}}'], 3),
        ([b'{"error":"no"}'], 0),
        ([], 0),
    ],
)
def test_tokens_are_counted_by_the_end_of_an_answer(pieces: list[bytes], tokens: int) -> None:
    meter = Meter()
    for piece in pieces:
        meter.see(piece)
    assert meter.tokens == tokens


async def test_who_stops_sending_or_reading_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "STALLED", 0.05)

    async def silent() -> Any:
        await asyncio.sleep(60)

    with pytest.raises(TimedOut):
        await Intake(silent).whole()
    with pytest.raises(Cancelled):
        await Outlet().write(bytes(AHEAD + 1))


async def test_who_sends_drop_by_drop_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlets, "ARRIVED", 0.1)

    async def drop() -> Any:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"a", "more_body": True}

    with pytest.raises(TimedOut, match="took more than"):
        await Intake(drop).whole()


async def test_a_client_that_hangs_up_while_it_sends_is_gone() -> None:
    events = [{"type": "http.request", "body": b"a", "more_body": True}]

    async def receive() -> Any:
        return events.pop() if events else {"type": "http.disconnect"}

    with pytest.raises(Cancelled):
        await Intake(receive).whole()
    events.append({"type": "http.request", "body": b"abc", "more_body": True})
    with pytest.raises(TooLarge):
        await Intake(receive, 2).whole()


@pytest.mark.parametrize(
    ("path", "kind", "told"),
    [
        ("/api/chat", b"application/x-ndjson", b'{"error":"broken."}\n'),
        ("/v1/chat/completions", b"text/event-stream", b'data: {"error":{"message":"broken.",'),
        ("/v1/messages", b"text/event-stream", b'event: error\ndata: {"type":"error",'),
        ("/api/tags", b"application/json", b""),
    ],
)
def test_the_last_words_of_a_stream_are_in_its_dialect(path: str, kind: bytes, told: bytes) -> None:
    said = last_words(DaemonError("broken"), path, [(b"content-type", kind)])
    assert said.startswith(told)
    assert bool(said) == bool(told)


@pytest.mark.parametrize("breaks", [False, True])
async def test_what_is_there_at_the_end_goes_out_in_one_message(breaks: bool) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    async def work(outlet: Outlet) -> None:
        outlet.start(200, [(b"content-type", b"image/png")])
        await outlet.write(b"a")
        await outlet.write(b"b")
        if breaks:
            raise DaemonError("the connection broke")

    await answer({"type": "http", "path": "/api/x"}, Intake(receive), send, work)
    assert sent[1:] == [{"type": "http.response.body", "body": b"ab", "more_body": breaks}]
