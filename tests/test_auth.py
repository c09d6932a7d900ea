"""Who may speak to the HTTP transport: tokens, Host and Origin, public addresses, large bodies."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from ollama_mcp_server import cli
from ollama_mcp_server.app import App
from ollama_mcp_server.auth import is_loopback, refusal_to_bind
from ollama_mcp_server.gateway.access.keyfile import Key, make, save
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from ollama_mcp_server.transport.sessions import MAX_BODY
from ollama_mcp_server.transport.web import build_web
from tests.conftest import CHAT, HELLO
from tests.fake_ollama import FakeOllama
from tests.tools.test_chat import RED
from tests.wire import NEW, call_params, envelope

TOKEN = "a-token-that-nobody-can-guess"
GUARDS = ("", TOKEN)
EVERYWHERE = ("/mcp", "/health", "/ready", "/", "/nothing/there")


def web_of(**settings: Any) -> Any:
    app = App(Settings(**settings))
    return build_web(build_server(app), app)


def client_of(web: Any) -> httpx.AsyncClient:
    """Return a client that reaches the whole web app as over a socket of 127.0.0.1:8000."""
    transport = httpx.ASGITransport(web)
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000")


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a web app whose MCP endpoint runs."""
    web = web_of(**settings)
    async with web.router.lifespan_context(web), client_of(web) as client:
        yield client


@pytest.fixture(scope="module")
def webs(one_daemon: FakeOllama) -> dict[str, Any]:
    """A web app without a token and one with it, whose MCP endpoints do not run."""
    return {token: web_of(ollama_host=one_daemon.url, auth_token=token or None) for token in GUARDS}


@pytest.fixture
async def client(webs: Any, daemon: FakeOllama) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(webs[""]) as client:
        yield client


@pytest.fixture
async def guarded(webs: Any, daemon: FakeOllama) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(webs[TOKEN]) as client:
        yield client


def request(tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the parts of a POST that calls a tool in the new era."""
    params = {**call_params(tool, arguments), "_meta": envelope()}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": NEW,
        "Mcp-Method": "tools/call",
        "Mcp-Name": tool,
    }
    return {"content": json.dumps(message), "headers": headers}


def answer(response: httpx.Response) -> dict[str, Any]:
    """Return the result in a response, which is JSON or a stream of events."""
    lines = [line for line in response.text.splitlines() if line.startswith("data: {")]
    return json.loads(lines[-1][6:] if lines else response.text)["result"]


# --- Host and Origin ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example"]
)
async def test_a_foreign_origin_is_refused_everywhere(
    client: httpx.AsyncClient, path: str, origin: str
) -> None:
    assert (await client.get(path, headers={"Origin": origin})).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "0.0.0.0:8000"])
async def test_a_foreign_host_is_refused_everywhere(client: httpx.AsyncClient, host: str) -> None:
    for path in EVERYWHERE:
        assert (await client.get(path, headers={"Host": host})).status_code == 421, path


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "localhost", "[::1]:8000"])
async def test_every_name_of_this_machine_is_a_host(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/health", headers={"Host": host})).status_code == 200


async def test_a_page_of_this_machine_may_call(client: httpx.AsyncClient) -> None:
    headers = {"Origin": "http://localhost:3000"}
    assert (await client.get("/health", headers=headers)).status_code == 200


async def test_further_hosts_and_origins_can_be_allowed(
    daemon: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_MCP_ALLOWED_HOSTS", "mcp, ai.example.com")
    monkeypatch.setenv("OLLAMA_MCP_ALLOWED_ORIGINS", "https://app.example.com")
    async with client_of(web_of(ollama_host=daemon.url)) as client:

        async def status(**headers: str) -> int:
            return (await client.get("/health", headers=headers)).status_code

        assert await status(Host="ai.example.com") == 200
        assert await status(Host="mcp:8000") == 200
        assert await status(Host="evil.example") == 421
        assert await status(Origin="https://app.example.com") == 200
        assert await status(Origin="http://app.example.com") == 403
        assert await status(Origin="https://evil.example") == 403


# --- public addresses -----------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]"])
def test_a_loopback_address_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    assert refusal_to_bind(Settings(host=host)) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "ai.example.com", ""])
def test_any_other_address_needs_one_or_the_word_insecure(host: str) -> None:
    refusal = refusal_to_bind(Settings(host=host))
    assert refusal
    for way_out in ("OLLAMA_MCP_AUTH_TOKEN", "127.0.0.1", "--insecure"):
        assert way_out in refusal
    assert refusal_to_bind(Settings(host=host, insecure=True)) is None
    assert refusal_to_bind(Settings(host=host, auth_token=TOKEN)) is None


def test_the_refusal_ends_the_process_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.serve(Settings(transport="http", host="0.0.0.0"))
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("ollama-mcp-server: refusing to serve on 0.0.0.0 without a token")


# --- the token ------------------------------------------------------------------------------------

WRONG = {
    "none": {},
    "another": {"Authorization": "Bearer another-token-of-some-length"},
    "a beginning of it": {"Authorization": f"Bearer {TOKEN[:-1]}"},
    "more than it": {"Authorization": f"Bearer {TOKEN}x"},
    "empty": {"Authorization": "Bearer "},
    "no value": {"Authorization": ""},
    "no scheme": {"Authorization": TOKEN},
    "Basic": {"Authorization": f"Basic {base64.b64encode(f':{TOKEN}'.encode()).decode()}"},
    "the token as Basic": {"Authorization": f"Basic {TOKEN}"},
    "not ASCII": {"Authorization": "Bearer schlüssel".encode()},
    "not UTF-8": {"Authorization": b"Bearer \xff\xfe\x00"},
    "another header": {"X-Token": TOKEN},
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
async def test_without_the_token_everything_but_health_is_401(
    guarded: httpx.AsyncClient, headers: dict[str, Any]
) -> None:
    for path in EVERYWHERE:
        response = await guarded.post(path, headers=headers)
        if path == "/health":
            continue
        assert response.status_code == 401, path
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert response.json()["error"]["code"] == "unauthorized"
        assert TOKEN not in response.text
    assert (await guarded.get("/health", headers=headers)).status_code == 200


async def test_every_route_is_open_by_name_or_needs_the_token(
    webs: Any, guarded: httpx.AsyncClient
) -> None:
    paths = [route.path for route in webs[TOKEN].routes]
    assert {"/mcp", "/health", "/ready"} <= set(paths)
    for path in paths:
        for method in ("GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT"):
            status = (await guarded.request(method, path)).status_code
            is_open = path == "/health" and method in ("GET", "HEAD")
            assert (status != 401) == is_open, (method, path, status)


@pytest.mark.parametrize(
    "near", ["/health/", "/%2Fhealth", "/health%2F..%2Fmcp", "/HEALTH", "/healthz"]
)
async def test_what_only_looks_like_an_open_route_is_closed(
    guarded: httpx.AsyncClient, near: str
) -> None:
    assert (await guarded.get(near)).status_code == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
async def test_with_the_token_a_call_is_answered(daemon: FakeOllama, scheme: str) -> None:
    call = request("ollama_list")
    call["headers"]["Authorization"] = f"{scheme} {TOKEN}"
    async with serving(ollama_host=daemon.url, auth_token=TOKEN) as guarded:
        response = await guarded.post("/mcp", **call)
    assert response.status_code == 200
    assert answer(response)["structuredContent"]["models"]
    assert TOKEN not in response.text


async def test_the_token_does_not_open_the_door_to_a_foreign_origin(
    guarded: httpx.AsyncClient,
) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}", "Origin": "https://evil.example"}
    assert (await guarded.get("/ready", headers=headers)).status_code == 403


async def test_a_token_need_not_be_ascii(daemon: FakeOllama) -> None:
    token = "ein-schlüssel-den-niemand-rät"
    async with serving(ollama_host=daemon.url, auth_token=token) as client:
        headers = {"Authorization": f"Bearer {token}".encode()}
        assert (await client.get("/ready", headers=headers)).status_code == 200


def test_a_short_token_is_refused_and_not_repeated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_MCP_AUTH_TOKEN", "hunter2")
    with pytest.raises(SystemExit) as ended:
        cli.read_settings([])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "16 characters" in told
    assert "hunter2" not in told


def test_secrets_do_not_show_in_the_settings() -> None:
    settings = Settings(auth_token=TOKEN, api_key="sk-123456789", headers={"X-Key": "sk-987"})
    for secret in (TOKEN, "sk-123456789", "sk-987"):
        assert secret not in repr(settings)
        assert secret not in str(settings.model_dump())
        assert secret not in repr(App(settings))
    assert isinstance(settings.auth_token, SecretStr)


# --- keys -----------------------------------------------------------------------------------------


def keys_file(folder: Path, *keys: Key) -> Path:
    """Keep keys in a file, as `keys add` does."""
    save(folder / "keys.json", keys)
    return folder / "keys.json"


async def test_keys_open_without_the_gateway_too_and_their_scopes_hold(
    daemon: FakeOllama, tmp_path: Path
) -> None:
    reader, kept = make("reader", scopes=("read",))
    asker, other = make("asker", scopes=("infer",), requests_per_minute=1)
    file = keys_file(tmp_path, kept, other)

    async def said(key: str, tool: str, **arguments: Any) -> str | None:
        """Call a tool; returns the code of its error."""
        call = request(tool, **arguments)
        call["headers"]["Authorization"] = f"Bearer {key}"
        response = await client.post("/mcp", **call)
        assert response.status_code == 200, response.text
        return answer(response)["structuredContent"].get("error", {}).get("code")

    async with serving(ollama_host=daemon.url, keys_file=file, auth_token=TOKEN) as client:
        assert (await client.post("/mcp", **request("ollama_list"))).status_code == 401
        chat = {"model": CHAT, "messages": HELLO}
        for key, refused in ((TOKEN, None), (reader, "permission_denied"), (asker, None)):
            assert await said(key, "ollama_chat", **chat) == refused
        assert await said(asker, "ollama_chat", **chat) == "rate_limited"
        assert await said(reader, "ollama_list") is None
        assert (await client.get("/ready", headers={"X-Api-Key": reader})).status_code == 200
        assert (await client.get("/ready", headers={"X-Api-Key": asker})).status_code == 403
        # a key that is removed ends at once
        save(file, [other])
        gone = await client.get("/ready", headers={"X-Api-Key": reader})
        assert gone.status_code == 401


def test_an_address_that_is_not_loopback_may_have_keys_in_place_of_a_token(tmp_path: Path) -> None:
    _, kept = make("one")
    settings = Settings(host="0.0.0.0", keys_file=keys_file(tmp_path, kept))
    assert cli.has_keys(settings)
    assert refusal_to_bind(settings, cli.has_keys(settings)) is None
    assert not cli.has_keys(Settings(host="0.0.0.0"))


def test_keys_that_cannot_be_read_end_the_process(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.serve(Settings(transport="http", keys_file=tmp_path / "none.json"))
    assert ended.value.code == 2
    assert "there is no file of keys" in capsys.readouterr().err


# --- bodies and probes ----------------------------------------------------------------------------


def padded(png: bytes, size: int) -> bytes:
    """Make a picture this large by a chunk that no reader knows."""
    body = b"juNk" + bytes(size - len(png) - 12)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:33] + chunk + png[33:]


async def test_a_picture_of_20_mib_reaches_the_daemon(daemon: FakeOllama) -> None:
    picture = base64.b64encode(padded(base64.b64decode(RED), 15 * 2**20)).decode()
    assert len(picture) == 20 * 2**20
    call = request("ollama_generate", model="llava:7b", prompt="What is it?", images=[picture])
    async with serving(ollama_host=daemon.url) as client:
        response = await client.post("/mcp", **call)
    assert response.status_code == 200, response.text
    assert not answer(response).get("isError"), response.text[:500]
    assert daemon.requests[-1].body["images"] == [picture]


async def test_a_body_over_64_mib_is_refused() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 2**20 + 1):
            yield bytes(2**20)

    assert MAX_BODY == 64 * 2**20
    call = request("ollama_list")
    async with serving() as client:
        declared = {**call["headers"], "Content-Length": str(MAX_BODY + 1)}
        response = await client.post("/mcp", content=call["content"], headers=declared)
        assert response.status_code == 413
        response = await client.post("/mcp", content=chunks(), headers=call["headers"])
        assert response.status_code == 413


async def test_health_needs_no_daemon_and_ready_does(daemon: FakeOllama) -> None:
    async with serving(ollama_host="127.0.0.1:9") as client:
        assert (await client.get("/health")).status_code == 200
        response = await client.get("/ready")
        assert response.status_code == 503
        assert "ollama serve" in response.json()["hint"]
    async with serving(ollama_host=daemon.url) as client:
        response = await client.get("/ready")
        assert response.status_code == 200
        assert response.json() == {"status": "ok", "ollama": "0.34.4"}
        daemon.reply("/api/version", status=500, error="out of order")
        assert (await client.get("/ready")).status_code == 503


async def test_nothing_about_the_daemon_is_told_without_the_token(
    guarded: httpx.AsyncClient,
) -> None:
    assert (await guarded.get("/health")).json() == {"status": "ok"}
