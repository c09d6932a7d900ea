"""Which model answers when none is named: a rule that can be told in a sentence."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..daemon.catalog import Catalog, full_name
from ..daemon.wire import Part
from ..errors import CapabilityMissing

#: Of a model's size on disk, what it takes in memory with a modest context.
OVERHEAD = 1.2
_UNITS = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


@dataclass(frozen=True)
class Choice:
    """A model, and why it was taken."""

    model: str
    why: str


async def choose(
    catalog: Catalog, needs: Sequence[str], configured: str | None, *, local: bool
) -> Choice:
    """Return the model for a call that names none.

    Args:
        catalog: the daemon's models.
        needs: capabilities that the call needs, such as completion and tools.
        configured: the default of the settings.
        local: whether the daemon runs on this machine, so that its memory is known.

    Raises:
        CapabilityMissing: no installed model has them all.
    """
    running = [str(row.get("name")) for row in await catalog.running()]
    memory = physical_memory() if local else None
    choice = best(await catalog.installed(), running, needs, configured, memory)
    if choice is None:
        raise CapabilityMissing(
            f"no model was named, and no installed one does {' and '.join(needs)}",
            "Get one with ollama_pull, such as qwen3:4b (or all-minilm to embed)",
        )
    return choice


def best(
    installed: Iterable[Part],
    running: Iterable[str],
    needs: Sequence[str],
    configured: str | None,
    memory: int | None,
) -> Choice | None:
    """Return the configured model, else a loaded one, else the largest that fits; None if none can.

    Only models that have every capability in `needs` count. A model that runs elsewhere
    (remote_host) is never taken unasked: prompts would leave this machine.
    """
    able = [
        row
        for row in installed
        if set(needs) <= set(row.get("capabilities") or ()) and not row.get("remote_host")
    ]
    names = {full_name(str(row["name"])): str(row["name"]) for row in able}
    if configured and full_name(configured) in names:
        return Choice(configured, "it is the configured default")
    for name in running:
        if full_name(name) in names:
            return Choice(names[full_name(name)], "it is loaded")
    fitting = [
        row for row in able if not memory or (row.get("size") or 0) * OVERHEAD <= memory
    ] or able
    # Sorted from the least important to the most: by name, then the newest, then the largest.
    ranked = sorted(fitting, key=lambda row: str(row["name"]))
    ranked.sort(key=lambda row: str(row.get("modified_at")), reverse=True)
    ranked.sort(key=parameters, reverse=True)
    return Choice(str(ranked[0]["name"]), "it is the largest that fits") if ranked else None


def parameters(row: Part) -> float:
    """Return how many parameters a model has (`details.parameter_size`: "8.0B"), 0 if unknown."""
    text = str((row.get("details") or {}).get("parameter_size") or "").upper()
    number, unit = text[:-1], text[-1:]
    try:
        return float(number) * _UNITS[unit]
    except (KeyError, ValueError):
        return 0


def physical_memory() -> int | None:
    """Return this machine's memory in bytes, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def needs_of(body: Part) -> list[str]:
    """Return the capabilities that a request to `/api/chat` or `/api/generate` needs."""
    messages = body.get("messages") or ()
    wanted = {
        "tools": body.get("tools"),
        "vision": body.get("images") or any(message.get("images") for message in messages),
        "thinking": body.get("think"),
        "insert": body.get("suffix"),
    }
    return ["completion", *(name for name, value in wanted.items() if value)]
