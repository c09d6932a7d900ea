"""Access tokens of an authorization server: JWTs, verified by FastMCP, and what they allow."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from fastmcp.server.auth import AccessToken, RemoteAuthProvider
from fastmcp.server.auth.providers.jwt import JWTVerifier
from mcp.server.auth.routes import build_resource_metadata_url
from pydantic import AnyHttpUrl, ConfigDict, TypeAdapter

from ...settings import Settings
from .caller import Caller
from .scopes import DEFAULT_SCOPES, SCOPES, Scope

if TYPE_CHECKING:
    from starlette.routing import Route

#: What may stand before a scope of ours, where an authorization server has names for all.
BEFORE = ("", "ollama:", "ollama/", "ollama.")
#: Seconds that two machines' clocks may differ.
SKEW = 60
#: Clients compare an issuer's name letter by letter: no slash may be put at its end.
_AS_IT_IS = TypeAdapter(AnyHttpUrl, config=ConfigDict(url_preserve_empty_path=True))


class Tokens:
    """The tokens of one authorization server."""

    def __init__(self, settings: Settings) -> None:
        """Take tokens of the issuer that the settings name."""
        self._required = frozenset(settings.jwt_required_scopes)
        self._verifier = verifier(settings)
        #: What is told of them in a WWW-Authenticate header: where their issuer is named.
        self.metadata = f'resource_metadata="{metadata_url(settings)}"'
        #: The scopes that a client should ask for.
        self.wanted = " ".join(settings.jwt_required_scopes or DEFAULT_SCOPES)

    async def find(self, token: bytes) -> tuple[Caller, AccessToken] | None:
        """Return who has a token, with the token as the SDK knows it; None if it does not hold."""
        if token.count(b".") != 2 or not token.isascii():
            return None
        found = await self._verifier.verify_token(token.decode())
        if found is None or not holds(found, time.time()):
            return None
        name = f"oauth:{found.subject or found.client_id}"
        caller = Caller(name, scopes_of(found.scopes, self._required))
        known = {"client_id": name, "token": "", "scopes": sorted(caller.scopes)}
        return caller, found.model_copy(update=known)


def verifier(settings: Settings) -> JWTVerifier:
    """Return what verifies tokens: their signature, issuer, audience and end."""
    return JWTVerifier(
        jwks_uri=settings.jwt_jwks_uri,
        issuer=settings.jwt_issuer,
        audience=list(settings.jwt_audience) or f"{settings.public_url}{settings.path}",
        algorithm=settings.jwt_algorithm,
    )


def metadata(settings: Settings) -> list[Route]:
    """Return the route that tells where to get a token (RFC 9728); none where none is taken."""
    if settings.jwt_issuer is None or settings.public_url is None:
        return []
    provider = RemoteAuthProvider(
        verifier(settings),
        [_AS_IT_IS.validate_python(settings.jwt_issuer)],
        settings.public_url,
        scopes_supported=[*settings.jwt_required_scopes] or [*SCOPES],
        resource_name="ollama-mcp-server",
    )
    return provider.get_routes(settings.path)


def metadata_url(settings: Settings) -> str:
    """Return where that is."""
    resource = AnyHttpUrl(f"{settings.public_url}{settings.path}")
    return str(build_resource_metadata_url(resource))


def holds(token: AccessToken, now: float) -> bool:
    """Return whether a verified token ends at some time, has begun, and tells whose it is."""
    begins = token.claims.get("nbf", 0)
    if token.expires_at is None or not isinstance(begins, int | float) or begins > now + SKEW:
        return False
    return bool(token.subject) or token.client_id != "unknown"


def scopes_of(scopes: Iterable[str], required: frozenset[str]) -> frozenset[Scope]:
    """Return which scopes of ours a token's are; none if it lacks a required one.

    One that has those that are required, and none of ours, allows what a new key does.
    """
    held = frozenset(scopes)
    if not required <= held:
        return frozenset()
    ours = frozenset(scope for scope in SCOPES if held & {f"{before}{scope}" for before in BEFORE})
    return ours or frozenset(DEFAULT_SCOPES if required else ())
