"""Which store a URL names: memory, files, or a Valkey or Redis (py-key-value-aio)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ...errors import OllamaMCPError
from .disk import on_disk
from .state import LASTS, State
from .valkey import address_of, on_valkey

if TYPE_CHECKING:
    from pydantic import SecretStr

#: Entries of a collection that are kept in memory, at most; the least recently used makes room.
MAX_ENTRIES = 1_000
#: Seconds that a Valkey or Redis has to answer.
PATIENCE = 5.0

_CHOICES = "Set it to disk, file:///FOLDER, redis://HOST:PORT, rediss://… or valkey://…"


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
        return on_disk(folder, lasts)
    if scheme == "file":
        parts = urlsplit(given)
        return on_disk(Path(url2pathname(parts.path) if not parts.netloc else ""), lasts)
    if (address := address_of(given)) is not None:
        return on_valkey(address, lasts, patience)
    raise OllamaMCPError("OLLAMA_MCP_STATE_URL names no store that there is", _CHOICES)


def _in_memory(lasts: float) -> State:
    from key_value.aio.stores.memory import MemoryStore

    store = MemoryStore(max_entries_per_collection=MAX_ENTRIES)
    return State(store, "the server's memory", lasts)
