"""Which model answers when none is named: a rule that can be told in a sentence."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ..daemon.catalog import Catalog, full_name
from ..daemon.wire import Part
from ..errors import CapabilityMissing
from ..settings import Profile, Settings

#: The alias that serves a capability, where it goes by another name.
ALIASES = {"embedding": "embed"}
#: Of a model's size on disk, what it takes in memory with a modest context.
OVERHEAD = 1.2
_UNITS = {"K": 1e3, "M": 1e6, "B": 1e9, "T": 1e12}


@dataclass(frozen=True)
class Choice:
    """A model, why it was taken if the caller named none, and the profile that names it."""

    model: str
    why: str = ""
    profile: Profile | None = None

    def applied(self, body: Part) -> Part:
        """Return a request with this model; what the caller gave wins over the profile."""
        body = {**body, "model": self.model}
        if (profile := self.profile) is None:
            return body
        if profile.options:
            body["options"] = {**profile.options, **(body.get("options") or {})}
        if profile.keep_alive is not None:
            body.setdefault("keep_alive", profile.keep_alive)
        if profile.system:
            _add_system(body, profile.system)
        return body


def resolve(name: str, settings: Settings) -> Choice:
    """Return the model that a name stands for: an alias, a profile, or a model's own name."""
    name = settings.aliases.get(name, name)
    profile = settings.profiles.get(name)
    if profile is None:
        return Choice(name)
    return Choice(settings.aliases.get(profile.model, profile.model), profile=profile)


async def choose(
    catalog: Catalog, needs: Sequence[str], settings: Settings, *, local: bool
) -> Choice:
    """Return the model for a call that names none.

    Args:
        catalog: the daemon's models.
        needs: capabilities that the call needs, such as completion and tools.
        settings: name the default, and aliases such as vision and embed, each the default of the
            calls that need it.
        local: whether the daemon runs on this machine, so that its memory is known.

    Raises:
        CapabilityMissing: no installed model has them all.
    """
    running = [str(row.get("name")) for row in await catalog.running()]
    memory = physical_memory() if local else None
    names = [settings.model, *(settings.aliases.get(ALIASES.get(need, need)) for need in needs)]
    defaults = [resolve(name, settings) for name in names if name]
    choice = best(await catalog.installed(), running, needs, defaults, memory)
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
    defaults: Sequence[Choice],
    memory: int | None,
) -> Choice | None:
    """Return a configured model, else a loaded one, else the largest that fits; None if none can.

    Only models that have every capability in `needs` count. A model that runs elsewhere
    (remote_host) is never taken unasked: prompts would leave this machine.
    """
    able = [
        row
        for row in installed
        if set(needs) <= set(row.get("capabilities") or ()) and not row.get("remote_host")
    ]
    names = {full_name(str(row["name"])): str(row["name"]) for row in able}
    for default in defaults:
        if full_name(default.model) in names:
            return replace(default, why="it is the configured default")
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


def _add_system(body: Part, system: str) -> None:
    """Put a profile's system prompt into a request that has none, unless it is raw."""
    if "messages" not in body:
        if not body.get("raw"):
            body.setdefault("system", system)
    elif body["messages"] and all(m.get("role") != "system" for m in body["messages"]):
        body["messages"] = [{"role": "system", "content": system}, *body["messages"]]


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
