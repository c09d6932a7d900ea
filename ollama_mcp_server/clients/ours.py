"""The entries of this server in a client's file, and what is needed to try them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from .catalogue import Client
from .entries import ADDRESSES
from .launch import is_ours

#: What an entry is called if nothing else was said.
NAME = "ollama"
#: With it begin the variables that clients fill in: `${input:key}`, `${env:HOME}`, `${HOME}`.
VARIABLE = "${"


@dataclass(frozen=True)
class Entry:
    """An entry that starts this server, or that is its address."""

    name: str
    command: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    #: Whether the client is told not to use it.
    is_off: bool = False

    @property
    def may_be_tried(self) -> bool:
        """Whether it is in use, and more than the client knows how it is started or called."""
        words = (*self.command, self.url or "", *self.headers.values())
        return not self.is_off and not any(VARIABLE in word for word in words)

    @property
    def likeness(self) -> tuple[Any, ...]:
        """What two entries have in common that need not both be tried."""
        env, headers = frozenset(self.env.items()), frozenset(self.headers.items())
        return tuple(self.command), env, self.url, headers

    @property
    def secrets(self) -> list[str]:
        """What no report may repeat."""
        return [*self.env.values(), *self.headers.values(), urlsplit(self.url or "").query]


def own_entries(
    client: Client, held: Mapping[str, Any], endpoint: str | None = None
) -> list[Entry]:
    """Return this server's entries among all of a client's file.

    Args:
        client: whose file it is.
        held: its entries by their names.
        endpoint: the address at which this server listens; an entry with it is ours, whatever its
            name, and so is every address named NAME.
    """
    found = []
    for name, entry in held.items():
        if not isinstance(entry, dict):
            continue
        off = entry.get("disabled") is True or entry.get("enabled") is False
        url = next((str(entry[key]) for key in sorted(ADDRESSES) if key in entry), None)
        if client.command in entry:
            words, env = client.launch(entry)
            if is_ours(words):
                # A variable that only the client knows is not set here: its text is no value.
                env = {key: value for key, value in env.items() if VARIABLE not in value}
                found.append(Entry(name, words, env, is_off=off))
        elif url and (name == NAME or same_place(url, endpoint)):
            headers = entry.get("headers") or entry.get("http_headers")
            sent = headers.items() if isinstance(headers, dict) else ()
            told = {key: str(value) for key, value in sent}
            found.append(Entry(name, url=url, headers=told, is_off=off))
    return found


def same_place(one: str, other: str | None) -> bool:
    """Return whether two addresses are the same on this computer, however it is called."""
    return other is not None and _place(one) == _place(other)


def _place(url: str) -> tuple[str, int | None, str]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    host = parts.hostname or ""
    here = host in ("localhost", "::1", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
    return "127.0.0.1" if here else host, port, parts.path.rstrip("/")
