"""An authorization server on loopback: its metadata, its keys, and tokens for one client."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from fastmcp.server.auth.providers.jwt import RSAKeyPair
from joserfc import jwk, jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

CLIENT, SECRET = "robot", "a-secret-that-nobody-can-guess"


class Authority:
    """The authorization server; `issuer` is its URL, `asked` what its clients wanted."""

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self.asked: list[dict[str, str]] = []
        self._key = jwk.import_key(RSAKeyPair.generate().private_key.get_secret_value(), "RSA")
        self.app = Starlette(
            routes=[
                Route("/.well-known/oauth-authorization-server", self._metadata),
                Route("/jwks", self._keys),
                Route("/token", self._token, methods=["POST"]),
            ]
        )

    def token(self, key: Any = None, **claims: Any) -> str:
        """Return a token, signed by another key if one is given; a claim of None is left out."""
        now = int(time.time())
        usual = {"iss": self.issuer, "sub": CLIENT, "client_id": CLIENT, "iat": now}
        told = {**usual, "exp": now + 600, "scope": "read infer", **claims}
        told = {name: value for name, value in told.items() if value is not None}
        header = {"alg": "RS256", "kid": "k1"}
        return jwt.encode(header, told, key or self._key, algorithms=["RS256"])

    def unsigned(self, **claims: Any) -> str:
        """Return a token with the algorithm `none`."""
        payload = self.token(**claims).split(".")[1]
        header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).rstrip(b"=")
        return f"{header.decode()}.{payload}."

    async def _metadata(self, _: Request) -> Response:
        return JSONResponse(
            {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/jwks",
                "response_types_supported": ["code"],
                "grant_types_supported": ["client_credentials"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            }
        )

    async def _keys(self, _: Request) -> Response:
        public = self._key.as_dict(private=False)
        return JSONResponse({"keys": [{**public, "kid": "k1", "use": "sig", "alg": "RS256"}]})

    async def _token(self, request: Request) -> Response:
        form = {
            name: values[0] for name, values in parse_qs((await request.body()).decode()).items()
        }
        scheme, _, proof = request.headers.get("authorization", "").partition(" ")
        if scheme != "Basic" or base64.b64decode(proof).decode() != f"{CLIENT}:{SECRET}":
            return JSONResponse({"error": "invalid_client"}, 401)
        self.asked.append(form)
        token = self.token(aud=form.get("resource"), scope=form.get("scope", ""))
        return JSONResponse(
            {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": 600,
                "scope": form.get("scope", ""),
            }
        )


def listening() -> tuple[socket.socket, str]:
    """Return a socket that listens on loopback, and its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@asynccontextmanager
async def serving(app: Any, listener: socket.socket, lifespan: Any = "off") -> AsyncIterator[None]:
    """Serve an app at a socket."""
    config = uvicorn.Config(
        app, log_config=None, ws="none", lifespan=lifespan, timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve([listener]))
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def authority() -> AsyncIterator[Authority]:
    """Serve an authorization server."""
    listener, url = listening()
    made = Authority(url)
    async with serving(made.app, listener):
        yield made
