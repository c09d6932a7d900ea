"""Where things outlive a call: in memory, in files, or in Valkey or Redis (py-key-value-aio).

Everything in a State lasts a week after its last change, and then goes by itself.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from anyio import to_thread

from ...errors import OllamaMCPError, PermissionDenied

if TYPE_CHECKING:
    from key_value.aio.protocols import AsyncKeyValue
    from pydantic import SecretStr

#: Seconds that an entry is kept after its last change.
LASTS = 7 * 86_400
#: Entries of a collection that are kept in memory, at most; the least recently used makes room.
MAX_ENTRIES = 1_000
#: Seconds that a Valkey or Redis has to answer.
PATIENCE = 5.0

_CHOICES = "Set it to disk, file:///FOLDER, redis://HOST:PORT, rediss://… or valkey://…"
_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "valkey": "redis",
    "valkeys": "rediss",
}


@dataclass(frozen=True)
class State:
    """A store, and how to tell of it; `where` holds no password.

    Its methods raise OllamaMCPError if the store is out of reach or refuses.
    """

    store: AsyncKeyValue
    where: str
    lasts: float = LASTS
    #: Turns what this kind of store raises into our errors.
    told: Callable[[], AbstractContextManager[None]] = nullcontext
    #: Begins the names of collections, where others may use the same store.
    prefix: str = ""
    #: Drops what has expired, where the store does not do so by itself.
    sweep: Callable[[], None] | None = None
    close: Callable[[], Awaitable[None]] | None = None

    async def get(self, collection: str, key: str) -> dict[str, Any] | None:
        """Return an entry, or None if there is none or it has expired."""
        with self.told():
            return await self.store.get(key, collection=self.prefix + collection)

    async def put(self, collection: str, entries: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep entries under their keys, on Valkey and Redis all or none; others stay."""
        keys, values = list(entries), list(entries.values())
        with self.told():
            await self.store.put_many(
                keys, values, collection=self.prefix + collection, ttl=self.lasts
            )

    async def delete(self, collection: str, key: str) -> bool:
        """Drop an entry; return whether it was there."""
        with self.told():
            return await self.store.delete(key, collection=self.prefix + collection)

    async def tidy(self) -> None:
        """Give back the room of what has expired."""
        if self.sweep:
            with self.told():
                await to_thread.run_sync(self.sweep)

    async def aclose(self) -> None:
        """Close the connections."""
        if self.close:
            await self.close()


def open_store(
    url: SecretStr | None, folder: Path, *, lasts: float = LASTS, patience: float = PATIENCE
) -> State:
    """Return the state that a URL names; nothing is connected before the first use.

    Args:
        url: `disk`, `file:///FOLDER`, `redis://…`, `rediss://…` or `valkey://…`; None is memory.
        folder: where `disk` is: the user's own folder for state.
        lasts: seconds that an entry is kept after its last change.
        patience: seconds that a server has to answer.

    Raises:
        PermissionDenied: the folder is another user's.
        OllamaMCPError: the URL names no store, its extra is missing, or the folder cannot be made.
    """
    given = url.get_secret_value().strip() if url else "memory"
    scheme = given.partition(":")[0].lower()
    if given == "memory":
        return _in_memory(lasts)
    if given == "disk":
        return _on_disk(folder, lasts)
    if scheme == "file":
        parts = urlsplit(given)
        return _on_disk(Path(url2pathname(parts.path) if not parts.netloc else ""), lasts)
    if scheme in _SCHEMES:
        return _on_redis(_SCHEMES[scheme] + given[len(scheme) :], lasts, patience)
    raise OllamaMCPError("OLLAMA_MCP_STATE_URL names no store that there is", _CHOICES)


def _in_memory(lasts: float) -> State:
    from key_value.aio.stores.memory import MemoryStore

    store = MemoryStore(max_entries_per_collection=MAX_ENTRIES)
    return State(store, "the server's memory", lasts)


def _on_disk(folder: Path, lasts: float) -> State:
    from key_value.aio.stores.filetree import FileTreeStore

    if not folder.is_absolute():
        raise OllamaMCPError(
            "OLLAMA_MCP_STATE_URL names no folder, or this user has no home to hold one",
            "Set it to file:///FOLDER, with the full path",
        )
    # A room of our own, so that a folder shared with others can be given.
    room = folder / "store"
    with _file_errors(folder):
        _make_private(room)
        _forget_old_place(room)
        store = FileTreeStore(data_directory=room)
    return State(
        store,
        str(folder),
        lasts,
        told=lambda: _file_errors(folder),
        sweep=lambda: _sweep(room, lasts),
    )


def _make_private(room: Path) -> None:
    """Make a folder that its owner alone may enter; whatever is made in it is closed by that."""
    room.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    room.mkdir(mode=0o700, exist_ok=True)
    found = room.lstat()
    ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    if not (ours and stat.S_ISDIR(found.st_mode)):
        raise PermissionDenied(
            f"{room} is another user's, or a link", "Remove it, or set OLLAMA_MCP_STATE_URL anew"
        )
    room.chmod(0o700)


def _sweep(room: Path, lasts: float) -> None:
    """Remove the files of what has expired, and those that a crash left half written."""
    for file in room.glob("*/*"):
        with suppress(FileNotFoundError):
            if file.stat().st_mtime < time.time() - lasts:
                file.unlink()


def _forget_old_place(room: Path) -> None:
    """Remove the notes in which the store keeps its full path, if the folder has been moved.

    It would refuse to work there otherwise.
    """
    for note in room.glob("*-info.json"):
        try:
            place = Path(json.loads(note.read_bytes())["directory"]).parent
        except ValueError:
            place = None
        if place != room.resolve():
            note.unlink(missing_ok=True)


@contextmanager
def _file_errors(folder: Path) -> Iterator[None]:
    from key_value.aio.errors import BaseKeyValueError

    try:
        yield
    except (OSError, BaseKeyValueError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError):
            raise OllamaMCPError(
                f"the state in {folder} cannot be read or written: {cause.strerror}",
                "Check the folder's permissions and the space on its disk",
            ) from error
        raise OllamaMCPError(
            f"a file of the state in {folder} is damaged",
            "Restore it, or remove the folder store in there, which forgets everything",
        ) from error


def _on_redis(url: str, lasts: float, patience: float) -> State:
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
