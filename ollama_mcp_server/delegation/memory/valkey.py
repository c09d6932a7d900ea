"""State in a Valkey or Redis, which several servers may share."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from ...errors import OllamaMCPError
from .state import State


def on_valkey(url: str, lasts: float, patience: float) -> State:
    """Return the state at an address, which has `patience` seconds to answer.

    Raises:
        OllamaMCPError: it is no address, or the package redis is not installed.
    """
    try:
        from key_value.aio.stores.redis import RedisStore
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        raise OllamaMCPError(
            "state in Valkey or Redis needs the package redis, which is not installed",
            "Install it: pip install 'ollama-mcp-server[redis]'",
        ) from None
    try:
        where = _without_login(url)
        client = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=patience,
            socket_connect_timeout=patience,
            retry=Retry(NoBackoff(), 1),  # a pooled connection may have died since its last use
        )
    except ValueError:  # its text may hold a part of the password
        raise OllamaMCPError(
            "OLLAMA_MCP_STATE_URL is no valid address of a Valkey or Redis",
            "As in redis://:PASSWORD@HOST:6379/0; a password's special characters as %2F, %40",
        ) from None
    return State(
        RedisStore(client=client),
        where,
        lasts,
        told=lambda: _redis_errors(where),
        prefix="ollama-mcp-server:",
        close=client.aclose,
    )


def _without_login(url: str) -> str:
    """Return scheme, host, port and database of an address.

    Raises:
        ValueError: the port is none.
    """
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or 'localhost'}{port}{parts.path}"


@contextmanager
def _redis_errors(where: str) -> Iterator[None]:
    from redis import exceptions

    try:
        yield
    except (
        exceptions.AuthenticationError,
        exceptions.AuthorizationError,
        exceptions.NoPermissionError,
    ) as error:
        raise OllamaMCPError(
            f"{where} refused the user name or the password",
            "Check OLLAMA_MCP_STATE_URL: redis://USER:PASSWORD@HOST:PORT/0",
        ) from error
    except (exceptions.ConnectionError, exceptions.TimeoutError, OSError) as error:
        failure = OllamaMCPError(
            f"nothing answers at {where}, where conversations are kept",
            "Start that Valkey or Redis, or check OLLAMA_MCP_STATE_URL; calls without a "
            "conversation work all the same",
        )
        failure.retryable = True
        raise failure from error
    except exceptions.OutOfMemoryError as error:
        raise OllamaMCPError(
            f"{where} has no memory left", "Raise its maxmemory, or forget some conversations"
        ) from error
    except exceptions.RedisError as error:
        raise OllamaMCPError(
            f"{where} refused the request ({type(error).__name__})",
            "It must be a Valkey or Redis that can be written to; its log has more",
        ) from error
