"""Who may speak to the HTTP transport: the token, and the rule about public addresses."""

import hmac
import ipaddress

from pydantic import SecretStr
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .settings import Settings

#: Routes that need no token.
OPEN_ROUTES = ("/health",)


def refusal_to_bind(settings: Settings, has_keys: bool = False) -> str | None:
    """Return why the server must not bind to its address, or None if it may."""
    if settings.auth_token or has_keys or settings.insecure or is_loopback(settings.host):
        return None
    return (
        f"refusing to serve on {settings.host} without a token: anyone who reaches this "
        "machine could use it. Set OLLAMA_MCP_AUTH_TOKEN (make one with `openssl rand -hex "
        "32`), bind to 127.0.0.1, or pass --insecure if something before it checks callers."
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class BearerGuard:
    """ASGI middleware over the whole app: every route but the open ones needs the token.

    FastMCP's own `auth=` leaves custom routes open, so the guard stands before all of them.
    """

    def __init__(self, app: ASGIApp, token: SecretStr) -> None:
        self.app = app
        self._token = token.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an allowed request on; answer 401 to any other."""
        if scope["type"] != "http" or scope["path"] in OPEN_ROUTES or self._knows(scope):
            await self.app(scope, receive, send)
            return
        refused = JSONResponse(
            {
                "error": {
                    "code": "unauthorized",
                    "message": "this server needs a token",
                    "hint": "Send Authorization: Bearer <OLLAMA_MCP_AUTH_TOKEN>",
                    "retryable": False,
                }
            },
            401,
            {"WWW-Authenticate": 'Bearer realm="ollama-mcp-server"'},
        )
        await refused(scope, receive, send)

    def _knows(self, scope: Scope) -> bool:
        given: bytes = dict(scope["headers"]).get(b"authorization", b"")
        scheme, _, token = given.partition(b" ")
        # In constant time, so that the answer's delay tells nothing of the token.
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)
