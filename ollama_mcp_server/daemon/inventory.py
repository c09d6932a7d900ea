"""What the daemon has, as tools and resources tell it: installed, loaded, and one model closely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from ..errors import DaemonError
from ..faults import place
from .hosts.survey import survey
from .results import ModelList, Result, Running
from .wire import Part

if TYPE_CHECKING:
    from .catalog import Catalog
    from .client import Client

Told = TypeVar("Told", bound=Result)

#: Fields of /api/show that only verbose returns: texts and tables of many kilobytes.
BULKY = ("license", "modelfile", "template", "tensors", "messages", "projector_info")
#: Entries of a table in model_info, at most; a vocabulary has a hundred thousand.
TABLE = 100


def model_list(rows: Sequence[Part], total: int, next_offset: int | None = None) -> ModelList:
    """Return rows of `/api/tags` as a page of `total` models."""
    models = [row_of(row) for row in rows]
    return told(ModelList, {"models": models, "total": total, "next_offset": next_offset})


async def running(client: Client, catalog: Catalog) -> Running:
    """Return what is loaded, and which daemon this is; of several, what each is at in `hosts`."""
    hosts = await survey(client.hosts) if client.hosts else None
    version = await client.request("GET", "/api/version")
    rows, cloud = await catalog.running(), await _cloud_status(client)
    return told(
        Running,
        {
            "models": [row_of(row) for row in rows],
            "version": version.get("version", ""),
            "host": client.address.url,
            "cloud": cloud,
            **({"hosts": hosts} if hosts else {}),
        },
    )


async def shown(client: Client, model: str, *, verbose: bool = False, **more: Any) -> Part:
    """Return what `/api/show` tells of a model, without long tables, and unless `verbose` texts.

    What was left out is told in `warnings`; `more` goes to the daemon.
    """
    body = {"model": model, "verbose": verbose, **more}
    told = await client.request("POST", "/api/show", body)
    if not verbose:
        for field in BULKY:
            told.pop(field, None)
    facts = {k: v for k, v in (told.get("model_info") or {}).items() if v is not None}
    long = [key for key, value in facts.items() if isinstance(value, list) and len(value) > TABLE]
    told["model_info"] = {key: value for key, value in facts.items() if key not in long}
    if long:
        sizes = ", ".join(f"{key} ({len(facts[key]):,} entries)" for key in long)
        told["warnings"] = [f"left out, being too long for one answer: {sizes}"]
    return told


def told(kind: type[Told], fields: Part) -> Told:
    """Return a result made of what the daemon told.

    Raises:
        DaemonError: that lacks what Ollama always tells, or is of another kind.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        wrong = ", ".join(sorted({place(fault["loc"]) for fault in error.errors()})[:3])
        raise DaemonError(
            f"the daemon's answer is not what Ollama answers: {wrong} is missing or wrong",
            "Check OLLAMA_HOST; another program may listen there, or an older Ollama",
        ) from error


async def _cloud_status(client: Client) -> dict[str, Any] | None:
    """Return whether cloud models are disabled, or None where the daemon is too old to tell."""
    try:
        status = await client.request("GET", "/api/status")
    except DaemonError:
        return None
    return status.get("cloud")


def row_of(row: Part) -> Part:
    """Return a row of tags or ps without the doubled name and empty fields."""
    return {key: value for key, value in row.items() if key != "model" and value not in (None, "")}


def line_of(row: Part) -> str:
    """Return in a line what an installed model can do, and its size."""
    details = row.get("details") or {}
    parts = [
        size_of(row.get("size") or 0),
        details.get("parameter_size"),
        f"context {details['context_length']}" if details.get("context_length") else "",
        f"remote at {row['remote_host']}: leaves this machine" if row.get("remote_host") else "",
        f"on {' and '.join(row['hosts'])}" if row.get("hosts") else "",
        "not the same on all" if row.get("digests") else "",
    ]
    able = ", ".join(row.get("capabilities") or ()) or "capabilities unknown"
    return f"{able} ({', '.join(part for part in parts if part)})"


def size_of(size: int) -> str:
    """Return a number of bytes as a person reads it."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
