"""Tokens of an authorization server: who gets in with one, who does not, and what they are told."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastmcp import Client
from fastmcp.client.auth import ClientCredentialsOAuthProvider
from fastmcp.server.auth.providers.jwt import RSAKeyPair
from joserfc import jwk
from pydantic import ValidationError

from ollama_mcp_server.app import App
from ollama_mcp_server.auth import refusal_to_bind
from ollama_mcp_server.gateway.access.keyfile import make
from ollama_mcp_server.gateway.access.tokens import metadata_url, scopes_of
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from ollama_mcp_server.transport.web import build_web
from tests.conftest import CHAT, HELLO
from tests.fake_ollama import FakeOllama
from tests.gateway.access.authority import CLIENT, SECRET, Authority, authority, listening, serving
from tests.wire import NEW, envelope

TOKEN = "a-token-that-nobody-can-guess"
WELL_KNOWN = "/.well-known/oauth-protected-resource/mcp"
#: tools/list in the new era.
LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": envelope()}}
HEADERS = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": NEW,
    "Mcp-Method": "tools/list",
}


@dataclass
class House:
    """A server that takes tokens of an authority, at `url`."""

    authority: Authority
    url: str

    @property
    def mcp(self) -> str:
        """The MCP endpoint, which is the audience of its tokens."""
        return f"{self.url}/mcp"

    def token(self, **claims: Any) -> str:
        """Return a token for this server."""
        return self.authority.token(**{"aud": self.mcp, **claims})

    async def post(self, token: str = "", path: str = "/mcp", body: Any = LIST) -> httpx.Response:
        """Send a request with a token."""
        shown = {"Authorization": f"Bearer {token}".encode()} if token else {}
        headers: dict[str, Any] = {**HEADERS, **shown}
        async with httpx.AsyncClient(base_url=self.url, trust_env=False) as client:
            return await client.post(path, json=body, headers=headers)


@asynccontextmanager
async def house(daemon: FakeOllama, **more: Any) -> AsyncIterator[House]:
    async with authority() as known:
        listener, url = listening()
        settings = Settings(
            ollama_host=daemon.url,
            public_url=url,
            jwt_issuer=known.issuer,
            jwt_jwks_uri=f"{known.issuer}/jwks",
            **more,
        )
        app = App(settings)
        async with serving(build_web(build_server(app), app), listener, "on"):
            yield House(known, url)


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_a_client_finds_its_way_to_a_token_and_calls_a_tool(
    daemon: FakeOllama, era: str
) -> None:
    async with house(daemon) as served:
        auth = ClientCredentialsOAuthProvider(
            client_id=CLIENT, client_secret=SECRET, issuer=served.authority.issuer
        )
        async with Client(served.mcp, auth=auth, mode=era) as client:
            told = await client.call_tool("ollama_chat", {"model": CHAT, "messages": HELLO})
            assert told.structured_content["content"] == "You said: Hello there"
            names = {tool.name for tool in await client.list_tools()}
        assert {"ollama_chat", "ollama_list"} <= names
        assert not {"ollama_delete", "ollama_agent"} & names, "the token is for read and infer"
        (asked,) = served.authority.asked
        assert asked["resource"] == served.mcp
        assert asked["scope"] == "read infer"


async def test_who_has_no_token_is_told_where_to_get_one(daemon: FakeOllama) -> None:
    async with house(daemon) as served:
        refused = await served.post()
        assert refused.status_code == 401
        challenge = refused.headers["WWW-Authenticate"]
        assert challenge.startswith("Bearer ")
        assert "error=" not in challenge
        assert 'scope="read infer"' in challenge
        assert f'resource_metadata="{served.url}{WELL_KNOWN}"' in challenge
        async with httpx.AsyncClient(trust_env=False) as client:
            told = (await client.get(f"{served.url}{WELL_KNOWN}")).json()
        assert told["resource"] == served.mcp
        assert told["authorization_servers"] == [served.authority.issuer]
        assert told["scopes_supported"] == ["read", "infer", "manage", "agent", "admin"]


async def test_what_does_not_hold_is_refused(daemon: FakeOllama) -> None:
    now = int(time.time())
    other = jwk.import_key(RSAKeyPair.generate().private_key.get_secret_value(), "RSA")
    async with house(daemon) as served:
        assert (await served.post(served.token())).status_code == 200
        wrong = {
            "issuer": served.token(iss="https://evil.example"),
            "no issuer": served.token(iss=None),
            "audience": served.token(aud=f"{served.url}/other"),
            "no audience": served.token(aud=None),
            "expired": served.token(exp=now - 1),
            "no end": served.token(exp=None),
            "not begun": served.token(nbf=now + 600),
            "nobody's": served.token(sub=None, client_id=None),
            "signature": served.token(key=other),
            "alg none": served.authority.unsigned(aud=served.mcp),
            "no JWT": "a.b.c",
            "not ASCII": "ä.b.c",
        }
        for why, token in wrong.items():
            refused = await served.post(token)
            assert refused.status_code == 401, why
            challenge = refused.headers["WWW-Authenticate"]
            assert 'error="invalid_token"' in challenge, why
            assert WELL_KNOWN in challenge, why
            assert token not in refused.text


async def test_a_token_without_a_scope_of_ours_is_forbidden(daemon: FakeOllama) -> None:
    async with house(daemon) as served:
        for scope in (None, "", "openid profile", "mcp:read"):
            refused = await served.post(served.token(scope=scope))
            assert refused.status_code == 403, scope
            challenge = refused.headers["WWW-Authenticate"]
            assert 'error="insufficient_scope"' in challenge
            assert 'scope="read infer"' in challenge
            assert WELL_KNOWN in challenge


async def test_scopes_that_are_required(daemon: FakeOllama) -> None:
    async with house(daemon, jwt_required_scopes="mcp:tools", gateway=True) as served:
        refused = await served.post(served.token(scope="read infer"))
        assert refused.status_code == 403
        assert 'scope="mcp:tools"' in refused.headers["WWW-Authenticate"]
        assert (await served.post(served.token(scope="mcp:tools"))).status_code == 200
        # which holds on every route of the gateway, and says what is missing there
        token = served.token(scope="mcp:tools read")
        chat = {"model": CHAT, "messages": HELLO, "stream": False}
        refused = await served.post(token, "/api/chat", chat)
        assert refused.status_code == 403
        assert 'scope="infer"' in refused.headers["WWW-Authenticate"]
        assert (await served.post(served.token(scope="mcp:tools"), "/api/chat", chat)).is_success


async def test_the_token_and_keys_open_beside_it(daemon: FakeOllama) -> None:
    key, kept = make("one", scopes=("read",))
    keys = json.dumps([kept.model_dump(mode="json")])
    async with house(daemon, auth_token=TOKEN, keys=keys) as served:
        for token in (TOKEN, key, served.token()):
            assert (await served.post(token)).status_code == 200
        assert (await served.post("another-token")).status_code == 401


def test_scopes_of_a_token() -> None:
    none: frozenset[str] = frozenset()
    assert scopes_of(["read", "email"], none) == {"read"}
    assert scopes_of(["ollama:read", "ollama/infer", "ollama.agent"], none) == {
        "read",
        "infer",
        "agent",
    }
    assert scopes_of(["calendar:admin", "admins", "READ"], none) == none
    assert scopes_of(["mcp"], frozenset(["mcp"])) == {"read", "infer"}
    assert scopes_of(["mcp", "manage"], frozenset(["mcp"])) == {"manage"}
    assert scopes_of(["admin"], frozenset(["mcp"])) == none


@pytest.mark.parametrize(
    ("url", "told"),
    [
        (
            "https://mcp.example.com",
            "https://mcp.example.com/.well-known/oauth-protected-resource/mcp",
        ),
        ("https://a.b/x/", "https://a.b/.well-known/oauth-protected-resource/x/mcp"),
    ],
)
def test_where_the_metadata_is(url: str, told: str) -> None:
    assert metadata_url(Settings(public_url=url)) == told


def test_the_settings_go_together() -> None:
    whole = {
        "jwt_issuer": "https://id.example.com",
        "jwt_jwks_uri": "https://id.example.com/jwks",
        "public_url": "https://ai.example.com",
    }
    assert refusal_to_bind(Settings(host="0.0.0.0", **whole)) is None
    for missing in ("jwt_jwks_uri", "public_url"):
        with pytest.raises(ValidationError, match="OLLAMA_MCP_PUBLIC_URL"):
            Settings(**{**whole, missing: None})


async def test_the_public_name_is_a_host(daemon: FakeOllama) -> None:
    app = App(Settings(ollama_host=daemon.url, public_url="https://ai.example.com"))
    web = httpx.ASGITransport(build_web(build_server(app), app))
    async with httpx.AsyncClient(transport=web, base_url="http://ai.example.com") as client:
        assert (await client.get("/health")).status_code == 200
        assert (await client.get("/health", headers={"Host": "evil.example"})).status_code == 421
