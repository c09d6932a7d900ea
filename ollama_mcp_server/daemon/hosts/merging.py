"""One library from those of several hosts; pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..catalog import full_name
from ..wire import Part

#: A host's name, and the rows that it answered.
Rows = tuple[str, list[Part]]


def installed(answers: Sequence[Rows]) -> list[Part]:
    """Return the rows of `/api/tags` of several hosts, newest first; `hosts` tells where each is.

    A name is one row, that of the first host that has it. Where its content is not the same on
    all, `digests` tells it by host.
    """
    found: dict[str, dict[str, Part]] = {}
    for host, rows in answers:
        for row in rows:
            found.setdefault(full_name(str(row.get("name"))), {})[host] = row
    merged = [_one(rows) for rows in found.values()]
    return sorted(merged, key=lambda row: str(row.get("modified_at")), reverse=True)


def _one(rows: dict[str, Part]) -> Part:
    digests = {host: row.get("digest") for host, row in rows.items()}
    one = {**next(iter(rows.values())), "hosts": list(rows)}
    return one | {"digests": digests} if len(set(digests.values())) > 1 else one


def running(answers: Sequence[Rows]) -> list[Part]:
    """Return the rows of `/api/ps` of several hosts, in their order; `host` tells where each is."""
    return [{**row, "host": host} for host, rows in answers for row in rows]
