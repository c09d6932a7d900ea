"""Who may come in: Host and Origin on every route, keys, scopes, CORS."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from ollama_mcp_server.gateway.access.caller import ANONYMOUS, THE_HOLDER, Caller
from ollama_mcp_server.gateway.access.guard import CALLER, Guard, guarded, origin_pattern, tokens_of
from ollama_mcp_server.gateway.access.keyfile import make
from ollama_mcp_server.gateway.access.keys import Keys
from ollama_mcp_server.gateway.access.scopes import ROUTES, SCOPES, scope_of
from ollama_mcp_server.gateway.app import build_gateway, build_routes
from ollama_mcp_server.gateway.gate import Gate
from ollama_mcp_server.gateway.traffic.limits import Limits
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings

TOKEN = "a-token-that-nobody-can-guess"
KEYS = {scope: make(scope, scopes=(scope,)) for scope in SCOPES}
#: One path of each route, with each of its methods; and some that are none.
WALK = [
    (
        method,
        path.replace("{name:path}", "x")
        .replace("{model:path}", "m")
        .replace("{server}/{tool:path}", "s/t")
        .replace("{digest}", "sha256:0"),
    )
    for methods, path, _ in ROUTES
    for method in methods.split()
] + [("POST", "/mcp"), ("GET", "/mcp"), ("GET", "/nothing"), ("POST", "/api/me"), ("PUT", "/")]


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell who calls, as a route of the gateway learns it."""
    caller = scope["state"]["caller"]
    assert caller == CALLER.get()
    user = scope.get("user")
    known = user.access_token.client_id if isinstance(user, AuthenticatedUser) else None
    assert known == (None if caller in (None, ANONYMOUS, THE_HOLDER) else caller.name)
    await JSONResponse({"caller": caller and caller.name})(scope, receive, send)


def client_of(keys: Keys, **settings: Any) -> httpx.AsyncClient:
    app = guarded(echo, Settings(**settings), keys)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8000")


def locked() -> Keys:
    return Keys([key for _, key in KEYS.values()], TOKEN.encode())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


# --- Host and Origin ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example", "file://"]
)
async def test_a_foreign_origin_is_refused_on_every_route(origin: str) -> None:
    async with client_of(Keys(None)) as client:
        for method, path in [*WALK, ("OPTIONS", "/api/delete")]:
            headers = {"Origin": origin, "Content-Type": "text/plain", **bearer(TOKEN)}
            response = await client.request(method, path, headers=headers)
            assert response.status_code == 403, (method, path)
            assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8000", "0.0.0.0", ""])
async def test_a_foreign_host_is_refused_on_every_route(host: str) -> None:
    async with client_of(Keys(None)) as client:
        for method, path in WALK:
            response = await client.request(method, path, headers={"Host": host})
            assert response.status_code == 421, (method, path)


async def test_the_refusals_say_what_to_do_in_the_dialect_of_the_path() -> None:
    async with client_of(Keys(None)) as client:
        response = await client.post("/api/chat", headers={"Host": "ai.example.com"})
        assert "OLLAMA_MCP_ALLOWED_HOSTS" in response.json()["error"]
        response = await client.post("/v1/models", headers={"Origin": "https://app.example"})
        assert response.json()["error"]["type"] == "permission_error"
        assert "OLLAMA_MCP_ALLOWED_ORIGINS" in response.json()["error"]["message"]


async def test_hosts_and_origins_can_be_named() -> None:
    named = {"allowed_hosts": "ai.example.com", "allowed_origins": "https://app.example.com"}
    async with client_of(Keys(None), **named) as client:

        async def status(**headers: str) -> int:
            return (await client.get("/health", headers=headers)).status_code

        assert await status(Host="ai.example.com") == 200
        assert await status(Host="localhost:8000") == 200
        assert await status(Host="evil.example") == 421
        assert await status(Origin="https://app.example.com") == 200
        assert await status(Origin="http://localhost:3000") == 200
        assert await status(Host="ai.example.com", Origin="http://ai.example.com") == 200
        assert await status(Origin="https://evil.example") == 403


# --- CORS -----------------------------------------------------------------------------------------

PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization, content-type",
}


async def test_no_page_reads_answers_unless_its_origin_is_named() -> None:
    async with client_of(Keys(None)) as client:
        for headers in ({"Origin": "http://localhost:3000"}, {}):
            response = await client.get("/api/tags", headers=headers)
            assert response.status_code == 200
            assert not [name for name in response.headers if name.startswith("access-control")]
    async with client_of(Keys(None), allowed_origins="https://app.example.com") as client:
        response = await client.get("/api/tags", headers={"Origin": "http://localhost:3000"})
        assert response.status_code == 200
        assert "access-control-allow-origin" not in response.headers


async def test_a_named_origin_asks_first_without_a_key_and_reads_answers_and_refusals() -> None:
    origin = {"Origin": "https://app.example.com"}
    async with client_of(locked(), allowed_origins="https://app.example.com") as client:
        response = await client.options("/v1/chat/completions", headers={**origin, **PREFLIGHT})
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == origin["Origin"]
        assert "authorization" in response.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in response.headers
        for headers, status in ((bearer(KEYS["read"][0]), 200), ({}, 401)):
            response = await client.get("/api/tags", headers={**origin, **headers})
            assert response.status_code == status
            assert response.headers["access-control-allow-origin"] == origin["Origin"]
            assert "Retry-After" in response.headers["access-control-expose-headers"]
        evil = {"Origin": "https://evil.example", **PREFLIGHT}
        assert (await client.options("/v1/chat/completions", headers=evil)).status_code == 403


async def test_without_cors_a_preflight_opens_nothing() -> None:
    async with client_of(locked()) as client:
        headers = {"Origin": "http://localhost:3000", **PREFLIGHT}
        response = await client.options("/v1/chat/completions", headers=headers)
        assert response.status_code == 401
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("named", "origin", "fits"),
    [
        ("https://app.example.com", "https://app.example.com", True),
        ("https://App.example.com/", "https://app.example.com", True),
        ("https://app.example.com:443", "https://app.example.com", True),
        ("http://app:80", "http://app", True),
        ("https://app:80", "https://app:80", True),
        ("https://*.example.com", "https://a.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("https://app.example.com", "https://app.example.com.evil", False),
        ("https://app.example.com", "https://appxexample.com", False),
        ("*", "null", True),
    ],
)
async def test_origins_are_compared_whole(named: str, origin: str, fits: bool) -> None:
    assert bool(re.compile(origin_pattern(["https://x.example", named])).fullmatch(origin)) is fits


# --- keys and scopes ------------------------------------------------------------------------------

WRONG = {
    "none": {},
    "another": bearer("omcp_another-token-of-some-length"),
    "a beginning": bearer(TOKEN[:-1]),
    "more": bearer(f"{TOKEN}x"),
    "empty": bearer(""),
    "no scheme": {"Authorization": TOKEN},
    "the token as Basic": {"Authorization": f"Basic {TOKEN}"},
    "not UTF-8": {"Authorization": b"Bearer \xff\xfe\x00"},
    "an empty x-api-key": {"X-Api-Key": " "},
    "a cookie": {"Cookie": f"token={TOKEN}"},
    "a hash": bearer(KEYS["admin"][1].sha256),
}


@pytest.mark.parametrize("headers", WRONG.values(), ids=WRONG)
async def test_without_a_key_only_what_is_open_is_served(headers: dict[str, Any]) -> None:
    async with client_of(locked()) as client:
        for method, path in WALK:
            response = await client.request(method, path, headers=headers)
            if scope_of(method, path) == "open":
                assert response.status_code == 200, (method, path)
                continue
            assert response.status_code == 401, (method, path)
            assert response.headers["WWW-Authenticate"].startswith("Bearer realm=")
            assert TOKEN not in response.text


@pytest.mark.parametrize("scope", SCOPES)
async def test_a_key_opens_what_its_scope_says_and_nothing_else(scope: Any) -> None:
    token, _ = KEYS[scope]
    async with client_of(locked()) as client:
        for method, path in WALK:
            need = scope_of(method, path)
            response = await client.request(method, path, headers=bearer(token))
            if need in ("open", "any", scope) or scope == "admin":
                assert response.status_code == 200, (method, path)
                assert method == "HEAD" or response.json() == {"caller": scope}
                continue
            assert response.status_code == 403, (method, path)
            challenge = response.headers["WWW-Authenticate"]
            assert f'error="insufficient_scope", scope="{need}"' in challenge


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/v1/chat/completions", ("error", "code", "invalid_api_key")),
        ("/v1/messages", ("error", "type", "authentication_error")),
        ("/api/chat", ("error",)),
        ("/mcp", ("error", "code", "unauthorized")),
        ("/api/ask", ("error", "code", "unauthorized")),
    ],
)
async def test_a_refusal_speaks_the_dialect_of_its_path(path: str, told: tuple[str, ...]) -> None:
    async with client_of(locked()) as client:
        answer = (await client.post(path)).json()
    *steps, last = told
    if len(told) == 1:
        assert isinstance(answer["error"], str)
        return
    for step in steps:
        answer = answer[step]
    assert answer == last


async def test_an_unknown_key_is_told_from_none() -> None:
    async with client_of(locked()) as client:
        none = await client.get("/api/tags")
        wrong = await client.get("/api/tags", headers=bearer("sk-wrong"))
    assert "invalid_token" not in none.headers["WWW-Authenticate"]
    assert 'error="invalid_token"' in wrong.headers["WWW-Authenticate"]
    assert "sk-wrong" not in wrong.text


async def test_the_key_of_anthropics_clients_counts() -> None:
    token, _ = KEYS["infer"]
    async with client_of(locked()) as client:
        for headers in (
            {"x-api-key": token},
            {"x-api-key": token, **bearer("dummy")},
            {"x-api-key": "dummy", **bearer(token)},
            {"Authorization": f"BEARER   {token} "},
        ):
            response = await client.post("/v1/messages", headers=headers)
            assert response.json() == {"caller": "infer"}


async def test_the_one_token_opens_everything() -> None:
    async with client_of(Keys(None, TOKEN.encode())) as client:
        for method, path in WALK:
            response = await client.request(method, path, headers=bearer(TOKEN))
            assert response.status_code == 200, (method, path)
        assert response.json() == {"caller": THE_HOLDER.name}


async def test_where_no_key_is_needed_any_will_do() -> None:
    # OpenAI's clients insist on sending one
    async with client_of(Keys(None)) as client:
        for headers in ({}, bearer("sk-dummy")):
            response = await client.post("/v1/chat/completions", headers=headers)
            assert response.json() == {"caller": ANONYMOUS.name}


async def test_websockets_are_closed_and_the_lifespan_passes() -> None:
    sent: list[Any] = []
    seen: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError

    whole = guarded(app, Settings(), locked())
    await whole({"type": "websocket", "path": "/", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
    await whole({"type": "lifespan"}, receive, send)
    assert seen == ["lifespan"]


def test_the_tokens_of_a_request() -> None:
    assert tokens_of([(b"authorization", b"Bearer a"), (b"x-api-key", b"b")]) == [b"a", b"b"]
    assert tokens_of([(b"authorization", b"Basic a"), (b"x-api-key", b"")]) == []


async def test_callers_of_requests_side_by_side_are_not_mixed_up() -> None:
    seen: set[Caller | None] = set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.add(CALLER.get())
        await echo(scope, receive, send)

    guard = Guard(app, locked())
    transport = httpx.ASGITransport(guard)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for scope in SCOPES:
            await client.post("/mcp", headers=bearer(KEYS[scope][0]))
    assert {caller.name for caller in seen if caller} == set(SCOPES)
    assert CALLER.get() is None


# --- the gateway's own routes ---------------------------------------------------------------------

#: Routes for whatever is in no table: only an admin comes there.
CATCH_ALL = {"/api/{path:path}"}


def served(routes: Any) -> list[tuple[str, str, str]]:
    """Return pattern, method and an example of each route, those of routers included."""
    found = []
    for route in routes:
        if hasattr(route, "methods"):
            path = re.sub(r"\{(\w+)(:path)?\}", "x", route.path)
            methods = route.methods or ("GET", "HEAD", "POST", "DELETE")
            found += [(route.path, method, path) for method in methods]
        else:
            found += served(getattr(route, "original_router", route).routes)
    return found


async def test_every_route_of_the_gateway_is_in_the_table_and_closed_but_for_the_open(
    make_app: Any,
) -> None:
    app = make_app(gateway=True, auth_token=TOKEN)
    server = build_server(app)
    mcp = server.http_app(path="/mcp", host_origin_protection=False)
    gate = Gate(app, Limits(1, 1), None, server)
    walk = served([*build_routes(gate, mcp).routes, *mcp.routes])
    assert {"/mcp", "/api/chat", "/openapi.json"} <= {pattern for pattern, _, _ in walk}
    known = {pattern for pattern, method, path in walk if scope_of(method, path) != "admin"}
    assert {pattern for pattern, _, _ in walk} - known <= CATCH_ALL
    web = build_gateway(app, server, mcp)
    transport = httpx.ASGITransport(web)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        for _, method, path in walk:
            status = (await client.request(method, path)).status_code
            assert (status != 401) == (scope_of(method, path) == "open"), (method, path, status)
