"""Which hosts a request may go to, and in which order they are tried; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InvalidArgument
from ..catalog import full_name

#: Requests about a model that exactly one host must have, for they change or publish it.
ONE = frozenset(("/api/copy", "/api/delete", "/api/push"))
#: Requests that change a library, so that none is sent twice.
CHANGES = ONE | {"/api/create", "/api/pull"}
BLOBS = "/api/blobs/"
#: Fields that name the model which a request needs.
_SUBJECTS = {"/api/copy": ("source",), "/api/create": ("from",)}


@dataclass(frozen=True)
class State:
    """What is known of a host; models by their full names."""

    name: str
    is_up: bool = True
    loaded: frozenset[str] = frozenset()
    installed: frozenset[str] = frozenset()
    #: Requests to models that are under way, and how many may be; None for any number.
    running: int = 0
    limit: int | None = None

    @property
    def is_free(self) -> bool:
        """Whether another request may go there now."""
        return self.limit is None or self.running < self.limit

    def has(self, model: str) -> bool:
        """Return whether it can answer for a model."""
        return model in self.loaded or model in self.installed


def subject(path: str, body: Mapping[str, Any] | None) -> str | None:
    """Return the model that must be there for a request, None if it needs none."""
    values = ((body or {}).get(name) for name in _SUBJECTS.get(path, ("model", "name")))
    return next((value for value in values if isinstance(value, str) and value), None)


def candidates(
    path: str, states: Sequence[State], model: str | None, host: str | None
) -> list[str]:
    """Return the names of the hosts that a request is tried at, the best first.

    Args:
        path: of the request.
        states: of all hosts, in the order of the settings.
        model: that it needs, if any.
        host: that the caller names, if any.

    Raises:
        InvalidArgument: the caller has to say which.
    """
    if host is not None:
        return [host]
    if path == "/api/pull" or path.startswith(BLOBS):
        return firsts(states)
    if path == "/api/create":
        based = [s.name for s in states if s.is_up and model and s.has(full_name(model))]
        return based or firsts(states)
    if path in ONE and model:
        check_one([s.name for s in states if s.has(full_name(model))], model)
    return chosen(states, model)


def chosen(states: Sequence[State], model: str | None) -> list[str]:
    """Return the hosts that may answer for a model, the best first.

    One that has it loaded comes first, then one that has it installed and is least busy; one that
    is at its limit comes after all that are not. Where none that is up has it, those that had it
    are tried; where none ever had it, all that are up, and the first will say so.
    """
    name = full_name(model) if model else ""
    having = [s for s in states if s.has(name)]
    able = [s for s in having or states if s.is_up] or having or list(states)
    able.sort(key=lambda s: (not s.is_free, name not in s.loaded, s.running))
    return [s.name for s in able]


def firsts(states: Sequence[State]) -> list[str]:
    """Return the hosts that are up, in the order of the settings; all of them if none is."""
    return [s.name for s in states if s.is_up] or [s.name for s in states]


def check_one(hosts: Sequence[str], model: str) -> None:
    """Raise InvalidArgument if several hosts have a model that is to be changed or published."""
    if len(hosts) > 1:
        raise InvalidArgument(
            f"{model} is installed on {' and '.join(hosts)}",
            f"Say which is meant: host {' or '.join(hosts)}",
            hosts=list(hosts),
        )
