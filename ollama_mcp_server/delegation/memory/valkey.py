"""State in a Valkey or Redis, which several servers may share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ...errors import OllamaMCPError
from .state import State

if TYPE_CHECKING:
    from redis.asyncio import Redis

#: Begins the names of all that is kept there, for others may use the same.
PREFIX = "ollama-mcp-server:"
#: Connections at once, and seconds that who needs one more waits for it.
CONNECTIONS = 16
WAITS = 30.0
_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
}


@dataclass(frozen=True)
class Connection:
    """A Valkey or Redis; `where` holds no password, and nothing is connected before the first use.

    Its client returns text, not bytes.
    """

    client: Redis
    where: str

    @contextmanager
    def told(self) -> Iterator[None]:
        """Turn what the client raises into OllamaMCPError."""
        from redis import exceptions

        try:
            yield
        except (
            exceptions.AuthenticationError,
            exceptions.AuthorizationError,
            exceptions.NoPermissionError,
        ) as error:
            raise OllamaMCPError(
                f"{self.where} refused the user name or the password",
                "Check OLLAMA_MCP_STATE_URL: redis://USER:PASSWORD@HOST:PORT/0",
            ) from error
        except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
            failure = OllamaMCPError(
                f"nothing answers at {self.where}",
                "Start that Valkey or Redis, or check OLLAMA_MCP_STATE_URL; what needs nothing of "
                "what is kept there works all the same",
            )
            failure.retryable = True
            raise failure from error
        except exceptions.OutOfMemoryError as error:
            raise OllamaMCPError(
                f"{self.where} has no memory left",
                "Raise its maxmemory, or let it hold less: forget conversations",
            ) from error
        except exceptions.RedisError as error:
            raise OllamaMCPError(
                f"{self.where} refused the request ({type(error).__name__})",
                "It must be a Valkey or Redis that can be written to; its log has more",
            ) from error


def address_of(url: str) -> str | None:
    """Return the address as the package redis takes it; None if it is of no Valkey or Redis."""
    scheme, colon, rest = url.strip().partition(":")
    known = _SCHEMES.get(scheme.lower())
    return f"{known}:{rest}" if known and colon else None


def connect(url: str, patience: float) -> Connection:
    """Return the Valkey or Redis at an address, which has `patience` seconds to answer.

    Raises:
        OllamaMCPError: it is no address, or the package redis is not installed.
    """
    try:
        from redis import exceptions
        from redis.asyncio import BlockingConnectionPool, Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        raise missing("redis") from None
    try:
        where = _without_login(url)
        pool = BlockingConnectionPool.from_url(
            url,
            decode_responses=True,
            max_connections=CONNECTIONS,
            timeout=WAITS,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            # a pooled connection may have died since its last use
            retry=Retry(NoBackoff(), 1, supported_errors=(exceptions.ConnectionError,)),
        )
    except ValueError:  # its text may hold a part of the password
        raise OllamaMCPError(
            "OLLAMA_MCP_STATE_URL is no valid address of a Valkey or Redis",
            "As in redis://:PASSWORD@HOST:6379/0; a password's special characters as %2F, %40",
        ) from None
    return Connection(Redis.from_pool(pool), where)


def on_valkey(url: str, lasts: float, patience: float) -> State:
    """Return the state at an address, which has `patience` seconds to answer.

    Raises:
        OllamaMCPError: it is no address, or the package redis is not installed.
    """
    try:
        from key_value.aio.stores.redis import RedisStore
    except ImportError:
        raise missing("redis") from None
    opened = connect(url, patience)
    return State(
        RedisStore(client=opened.client),
        opened.where,
        lasts,
        told=opened.told,
        prefix=PREFIX,
        close=opened.client.aclose,
    )


def missing(package: str) -> OllamaMCPError:
    """Return the error of one who has not installed a package that this needs."""
    return OllamaMCPError(
        f"state in Valkey or Redis needs the package {package}, which is not installed",
        "Install it: pip install 'ollama-mcp-server[redis]'",
    )


def _without_login(url: str) -> str:
    """Return scheme, host, port and database of an address.

    Raises:
        ValueError: the port is none.
    """
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or 'localhost'}{port}{parts.path}"
