"""API keys: who has one, and whether one is needed."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...errors import InvalidArgument
from ...settings import Settings, keys_file
from .caller import THE_HOLDER, Caller
from .keyfile import Key, digest, load, parse

logger = logging.getLogger(__name__)


class Keys:
    """The keys that count now. The file is looked at for each request: a removed key ends at once.

    Once a key was needed, one is needed until the server ends: a file that goes away lets nobody
    in.
    """

    def __init__(
        self, keys: Sequence[Key] | None, token: bytes | None = None, file: Path | None = None
    ) -> None:
        """Know these keys, or those in a file, and the one token; an empty list lets nobody in.

        Raises:
            InvalidArgument: the file cannot be read.
        """
        self.required = keys is not None or token is not None
        self._token = [(digest(token), THE_HOLDER)] if token else []
        self._file = file
        self._seen: tuple[int, ...] | None = None
        self._learn(keys or ())
        self._look()

    def find(self, token: bytes) -> Caller | None:
        """Return who has a token; in constant time, so that the delay tells nothing of the keys."""
        try:
            self._look()
        except InvalidArgument as error:
            logger.error("the keys stay as they were: %s", error)
        given, found = digest(token), None
        for known, caller in self._known:
            if hmac.compare_digest(known, given):
                found = caller
        return found

    def _look(self) -> None:
        """Learn the file's keys if it has changed."""
        if self._file is None or (looks := looks_of(self._file)) == self._seen:
            return
        self._seen = looks  # first, so that a file that changes meanwhile is read again
        self.required = True
        self._learn(() if looks is None else load(self._file))

    def _learn(self, keys: Iterable[Key]) -> None:
        self._known = [*((key.sha256, key.caller()) for key in keys), *self._token]


def read_keys(settings: Settings) -> Keys:
    """Return the keys that the settings name: OLLAMA_MCP_KEYS, or else the file; and the token.

    Raises:
        InvalidArgument: they cannot be read, or a file that was named is not there.
    """
    token = settings.auth_token.get_secret_value().encode() if settings.auth_token else None
    if settings.keys is not None:
        return Keys(parse(settings.keys.get_secret_value(), "OLLAMA_MCP_KEYS"), token)
    if settings.keys_file is not None and not settings.keys_file.exists():
        raise InvalidArgument(
            f"there is no file of keys {settings.keys_file}",
            "Make it with `ollama-mcp-server keys add NAME`, or unset OLLAMA_MCP_KEYS_FILE",
        )
    return Keys(None, token, where(settings))


def where(settings: Settings) -> Path | None:
    """Return the file of keys, which need not be there; None for a user without a home."""
    file = settings.keys_file or keys_file()
    return file if file.is_absolute() else None


def looks_of(file: Path) -> tuple[int, ...] | None:
    """Return what changes when a file does; None if it is not there."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
