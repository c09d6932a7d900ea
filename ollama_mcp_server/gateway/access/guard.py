"""Who may come in: Host and Origin, then the key or token, then the scope. Before every route."""

from __future__ import annotations

from collections.abc import Iterable
from contextvars import ContextVar
from fnmatch import translate
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from ...errors import OllamaMCPError, PermissionDenied, Unauthorized
from ...settings import Settings
from ..errors import refusal
from .caller import ANONYMOUS, THE_HOLDER, Caller
from .door import Door
from .keys import Keys
from .scopes import scope_of

if TYPE_CHECKING:
    from .tokens import Tokens

#: Who calls, for what runs within a request; also in `scope["state"]["caller"]`.
CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)

REALM = 'Bearer realm="ollama-mcp-server"'
#: Headers of ours that a page of a named origin may read.
EXPOSED = ("Retry-After", "WWW-Authenticate", "Mcp-Session-Id", "X-Request-Id")
METHODS = ("GET", "HEAD", "POST", "DELETE")


def guarded(app: ASGIApp, settings: Settings, keys: Keys) -> ASGIApp:
    """Return an app behind all that is checked before it: nothing is reached but through here."""
    app = Guard(app, keys, settings.path, _tokens(settings))
    if settings.allowed_origins:
        app = CORSMiddleware(
            app,
            allow_origin_regex=origin_pattern(settings.allowed_origins),
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=EXPOSED,
        )
    hosts = list(settings.allowed_hosts)
    if settings.public_url and (public := urlsplit(settings.public_url).hostname):
        hosts.append(public)
    return Door(app, hosts, settings.allowed_origins)


def _tokens(settings: Settings) -> Tokens | None:
    if settings.jwt_issuer is None:
        return None
    from .tokens import Tokens  # which imports what checks signatures

    return Tokens(settings)


class Guard:
    """ASGI middleware: who calls, and whether the route is for them.

    FastMCP's own `auth=` leaves custom routes open, and knows no keys, so the guard stands before
    all routes. A caller with a key or a token of an authorization server is also the SDK's
    authenticated user, which binds an MCP session to who began it.
    """

    def __init__(
        self, app: ASGIApp, keys: Keys, mcp: str = "/mcp", tokens: Tokens | None = None
    ) -> None:
        """Guard an app.

        Args:
            app: what is guarded.
            keys: who may come in.
            mcp: the path of the MCP endpoint.
            tokens: those of an authorization server, which open too.
        """
        self.app = app
        self._keys = keys
        self._mcp = mcp
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an allowed request on, its caller in its state; answer 401 or 403 to any other."""
        if scope["type"] == "websocket":  # there are none here
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        shown, path = tokens_of(scope["headers"]), str(scope["path"])
        caller, token = await self._caller(shown)
        need = scope_of(scope["method"], path, self._mcp)
        if caller is None and need != "open":
            error = unauthorized(known=bool(shown))
            challenge = self._challenge(path, "invalid_token" if shown else "")
            await refusal(error, path, WWW_Authenticate=challenge)(scope, receive, send)
            return
        if caller is not None and not caller.may(need):
            error = lacking(caller, need, path)
            challenge = self._challenge(path, "insufficient_scope", need)
            await refusal(error, path, WWW_Authenticate=challenge)(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        if caller not in (None, ANONYMOUS, THE_HOLDER):
            scope["user"] = AuthenticatedUser(token)
        before = CALLER.set(caller)
        try:
            await self.app(scope, receive, send)
        finally:
            CALLER.reset(before)

    async def _caller(self, shown: Iterable[bytes]) -> tuple[Caller | None, AccessToken]:
        """Return who shows these, and what the SDK is told of it."""
        for token in shown:
            if caller := self._keys.find(token):
                return caller, access(caller)
            if self._tokens and (found := await self._tokens.find(token)):
                return found
        if self._keys.required or self._tokens:
            return None, access(ANONYMOUS)
        return ANONYMOUS, access(ANONYMOUS)

    def _challenge(self, path: str, error: str, need: str = "any") -> str:
        """Return what a client is told that is not let in: why, and where to get a token."""
        parts = [REALM]
        if error:
            parts.append(f'error="{error}"')
        if self._tokens and path == self._mcp:
            parts += [f'scope="{self._tokens.wanted}"', self._tokens.metadata]
        elif error == "insufficient_scope":
            parts.append(f'scope="{need}"')
        return ", ".join(parts)


def access(caller: Caller) -> AccessToken:
    """Return a caller as the SDK knows one; not the key itself, which nobody needs to have."""
    return AccessToken(token="", client_id=caller.name, scopes=sorted(caller.scopes))


def tokens_of(headers: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
    """Return the tokens that a request shows: as a bearer's, or as Anthropic's clients do."""
    found = []
    for name, value in headers:
        if name == b"authorization":
            scheme, _, token = value.partition(b" ")
            if scheme.lower() == b"bearer" and token.strip():
                found.append(token.strip())
        elif name == b"x-api-key" and value.strip():
            found.append(value.strip())
    return found[:2]


def unauthorized(*, known: bool) -> OllamaMCPError:
    """Return the error for one who shows no key, or one that is not known."""
    return Unauthorized(
        "this key is not known here" if known else "this server needs a key",
        "Send Authorization: Bearer <key>, one of `ollama-mcp-server keys add` or "
        "OLLAMA_MCP_AUTH_TOKEN",
    )


def lacking(caller: Caller, need: str, path: str) -> OllamaMCPError:
    """Return the error for a caller without the scope that a route needs."""
    hint = f"Its scopes are {', '.join(sorted(caller.scopes)) or 'none'}"
    if need == "admin":  # that of no route that there is
        hint += "; is the path right? GET /openapi.json lists the routes"
    return PermissionDenied(f"the key {caller.name} has no scope {need}, which {path} needs", hint)


def origin_pattern(origins: Iterable[str]) -> str:
    """Return a regular expression for the origins that were named; `*` stands for any part."""
    return "|".join(translate(_as_sent(origin)) for origin in origins)


def _as_sent(origin: str) -> str:
    """Return an origin as browsers send it: in lower case, without the scheme's own port."""
    origin = origin.strip().rstrip("/").lower()
    return origin.removesuffix(":443" if origin.startswith("https:") else ":80")
