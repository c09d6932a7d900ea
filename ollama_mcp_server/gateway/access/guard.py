"""Who may come in: Host and Origin, then the key, then the scope. Before every route."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextvars import ContextVar
from fnmatch import translate

from fastmcp.server.http import HostOriginGuardMiddleware
from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...errors import OllamaMCPError, PermissionDenied, Unauthorized
from ...settings import Settings
from ..errors import refusal
from .caller import ANONYMOUS, Caller
from .keys import Keys
from .scopes import scope_of

#: Who calls, for what runs within a request; also in `scope["state"]["caller"]`.
CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)

REALM = 'Bearer realm="ollama-mcp-server"'
#: Headers of ours that a page of a named origin may read.
EXPOSED = ("Retry-After", "WWW-Authenticate", "Mcp-Session-Id", "X-Request-Id")
METHODS = ("GET", "HEAD", "POST", "DELETE")


def guarded(app: ASGIApp, settings: Settings, keys: Keys) -> ASGIApp:
    """Return an app behind all that is checked before it: nothing is reached but through here."""
    app = Guard(app, keys, settings.path)
    if settings.allowed_origins:
        app = CORSMiddleware(
            app,
            allow_origin_regex=origin_pattern(settings.allowed_origins),
            allow_methods=METHODS,
            allow_headers=["*"],
            expose_headers=EXPOSED,
        )
    return Door(app, settings.allowed_hosts, settings.allowed_origins)


class Door:
    """ASGI middleware: the Host must be ours, and an Origin ours, a loopback page's or a named one.

    FastMCP's rules, for every route and in the route's dialect. They hold whatever the method and
    the content type are: a page can send text/plain anywhere without asking first.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str], origins: Sequence[str]) -> None:
        self.app = app
        self._hosts = tuple(hosts)
        self._origins = tuple(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an allowed request on; answer 421 or 403 to any other."""
        if scope["type"] != "http" or (status := await self._status(scope, receive)) is None:
            await self.app(scope, receive, send)
            return
        if status == 421:
            error = PermissionDenied(
                "this server does not go by the name that the Host header gives",
                "Add the name to OLLAMA_MCP_ALLOWED_HOSTS",
            )
        else:
            error = PermissionDenied(
                "pages of this origin may not call this server",
                "Add the origin to OLLAMA_MCP_ALLOWED_ORIGINS",
            )
        response = refusal(error, scope["path"])
        response.status_code = status
        await response(scope, receive, send)

    async def _status(self, scope: Scope, receive: Receive) -> int | None:
        """Return the status by which FastMCP refuses a request; None if it does not."""
        statuses: list[int] = []

        async def passed(scope: Scope, receive: Receive, send: Send) -> None:
            pass

        async def refused(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        judge = HostOriginGuardMiddleware(passed, self._hosts, self._origins, mode="strict")
        await judge(scope, receive, refused)
        return statuses[0] if statuses else None


class Guard:
    """ASGI middleware: who calls, and whether the route is for them.

    FastMCP's own `auth=` leaves custom routes open, so the guard stands before all of them. The
    caller is also the SDK's authenticated user, which binds an MCP session to who began it.
    """

    def __init__(
        self, app: ASGIApp, keys: Keys, mcp: str = "/mcp", *, elsewhere: Collection[str] = ()
    ) -> None:
        """Guard an app.

        Args:
            app: what is guarded.
            keys: who may come in.
            mcp: the path of the MCP endpoint.
            elsewhere: paths whose callers are checked by what stands there, such as an OAuth
                provider of FastMCP's.
        """
        self.app = app
        self._keys = keys
        self._mcp = mcp
        self._elsewhere = frozenset(elsewhere)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an allowed request on, its caller in its state; answer 401 or 403 to any other."""
        if scope["type"] == "websocket":  # there are none here
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        tokens = tokens_of(scope["headers"])
        caller = self._caller(tokens)
        path: str = scope["path"]
        need = "open" if path in self._elsewhere else scope_of(scope["method"], path, self._mcp)
        if caller is None and need != "open":
            await refusal(
                unauthorized(known=bool(tokens)),
                path,
                WWW_Authenticate=REALM + (', error="invalid_token"' if tokens else ""),
            )(scope, receive, send)
            return
        if caller is not None and not caller.may(need):
            await refusal(
                lacking(caller, need, path),
                path,
                WWW_Authenticate=f'{REALM}, error="insufficient_scope", scope="{need}"',
            )(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        if caller is not None:
            scope["user"] = AuthenticatedUser(
                AccessToken(token="", client_id=caller.name, scopes=sorted(caller.scopes))
            )
        before = CALLER.set(caller)
        try:
            await self.app(scope, receive, send)
        finally:
            CALLER.reset(before)

    def _caller(self, tokens: Iterable[bytes]) -> Caller | None:
        for token in tokens:
            if caller := self._keys.find(token):
                return caller
        return None if self._keys.required else ANONYMOUS


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
