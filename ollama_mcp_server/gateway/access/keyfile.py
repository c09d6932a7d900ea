"""The file of API keys: each hashed, with what it allows.

A key is 256 random bits. Nobody can try so many, so that its SHA-256 may stand in a file as it
is: a slow hash or a salt helps where people choose passwords, and would cost every request.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import InvalidArgument, NotFound, PermissionDenied
from ...faults import place, sentence, words
from .caller import HOLDER, NOBODY, Caller
from .scopes import DEFAULT_SCOPES, Scope

#: How every key begins, so that scanners for leaked secrets can tell one.
PREFIX = "omcp_"
#: Group and others must not write the file: who can, can let himself in.
WRITABLE_BY_OTHERS = 0o022

Limit = Annotated[int, Field(ge=1)]


class Key(BaseModel):
    """A key as it is kept: everything but the key itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    scopes: tuple[Scope, ...] = DEFAULT_SCOPES
    models: tuple[str, ...] | None = None
    requests_per_minute: Limit | None = None
    tokens_per_minute: Limit | None = None
    concurrency: Limit | None = None
    #: When it was made, in ISO 8601.
    created: str | None = None

    def caller(self) -> Caller:
        """Return who calls with this key."""
        return Caller(
            self.name,
            frozenset(self.scopes),
            self.models,
            self.requests_per_minute,
            self.tokens_per_minute,
            self.concurrency,
        )


def load(file: Path) -> list[Key]:
    """Return the keys in a file.

    Raises:
        InvalidArgument: it cannot be read, is not what it should be, or others may write it.
    """
    try:
        mode, text = file.stat().st_mode, file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise InvalidArgument(f"the file of keys {file} cannot be read: {what}") from error
    if os.name == "posix" and mode & WRITABLE_BY_OTHERS:
        raise InvalidArgument(
            f"others may write the file of keys {file}, and so let themselves in",
            f"Run `chmod 600 {file}`",
        )
    return parse(text, str(file))


def parse(text: str, source: str) -> list[Key]:
    """Return the keys in a JSON text: a list, or an object whose `keys` is one.

    Raises:
        InvalidArgument: it is no such thing; `source` says where it stands.
    """
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"{source} is not valid JSON") from error
    listed = value.get("keys") if isinstance(value, dict) else value
    if not isinstance(listed, list):
        raise InvalidArgument(
            f"{source} holds no keys", 'It must be {"keys": [{"name": …, "sha256": …}, …]}'
        )
    keys = [_key(entry, f"{source}: keys[{number}]") for number, entry in enumerate(listed)]
    for number, key in enumerate(keys):
        check_name(key.name, keys[:number])
    return keys


def _key(entry: Any, source: str) -> Key:
    try:
        return Key.model_validate(entry)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        told = sentence(place(fault["loc"]), words(fault))
        raise InvalidArgument(f"{source}: {told}") from None


def check_name(name: str, others: Iterable[Key]) -> None:
    """Let a name pass that is nobody's yet.

    Raises:
        InvalidArgument: a key has it, or callers without a key have.
    """
    if name in (NOBODY, HOLDER):
        raise InvalidArgument(f"no key can be named {name}", "That is who calls without a key")
    if any(name == other.name for other in others):
        raise InvalidArgument(
            f"there is a key {name} already", f"Take another name, or `keys remove {name}` first"
        )


def make(name: str, **allowed: Any) -> tuple[str, Key]:
    """Return a new key, and what is kept of it; `allowed` are the fields of Key.

    Raises:
        InvalidArgument: a field is not what it should be.
    """
    token = PREFIX + secrets.token_urlsafe(32)
    created = datetime.now(timezone.utc).isoformat(timespec="seconds")
    entry = {"name": name, "sha256": digest(token.encode()), "created": created, **allowed}
    return token, _key(entry, "the key")


def added(keys: Sequence[Key], key: Key) -> list[Key]:
    """Return the keys with one more.

    Raises:
        InvalidArgument: its name is taken.
    """
    check_name(key.name, keys)
    return [*keys, key]


def removed(keys: Sequence[Key], name: str) -> list[Key]:
    """Return the keys without one.

    Raises:
        NotFound: there is none of this name.
    """
    left = [key for key in keys if key.name != name]
    if len(left) == len(keys):
        names = ", ".join(key.name for key in keys)
        raise NotFound(
            f"there is no key {name}", f"There are {names}" if names else "There are none at all"
        )
    return left


def save(file: Path, keys: Sequence[Key]) -> None:
    """Write the keys to a file of the owner's own; whoever reads it meanwhile sees old or new.

    Raises:
        PermissionDenied: it cannot be written.
    """
    entries = [key.model_dump(mode="json", exclude_none=True) for key in keys]
    text = json.dumps({"keys": entries}, ensure_ascii=False, indent=2) + "\n"
    try:
        file = file.resolve()  # a link stays one
        file.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
        try:
            with os.fdopen(number, "w", encoding="utf-8") as stream:
                stream.write(text)
            Path(name).replace(file)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise PermissionDenied(
            f"the file of keys {file} cannot be written: {error.strerror}",
            "Name another with OLLAMA_MCP_KEYS_FILE",
        ) from error


def digest(token: bytes) -> str:
    """Return what is kept of a token."""
    return hashlib.sha256(token).hexdigest()
