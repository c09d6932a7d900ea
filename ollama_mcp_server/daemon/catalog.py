"""Which models are installed and running, and names that come near a wrong one."""

from __future__ import annotations

import difflib
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import (
    CapabilityMissing,
    ModelNotFound,
    OllamaMCPError,
)
from .wire import Part

if TYPE_CHECKING:
    from .client import Client

#: Seconds for which the list of installed models is believed, and that of running ones.
FRESH = 2.0
STILL_RUNNING = 1.0


@dataclass(frozen=True)
class Modelfile:
    """What a model's own file says of its calls.

    Attributes:
        num_ctx: its window, in tokens; None if the daemon's default holds.
        num_predict: the longest answer, in tokens; None if nothing bounds it.
        system: bytes of its own system prompt and messages.
        template: bytes of its template, part of which becomes part of each prompt.
    """

    num_ctx: int | None = None
    num_predict: int | None = None
    system: int = 0
    template: int = 0


class Catalog:
    """The daemon's models, asked when needed and remembered for a moment."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._models: list[Part] = []
        self._until = 0.0
        self._running: list[Part] = []
        self._running_until = 0.0
        self._modelfiles: dict[str, Modelfile] = {}

    async def installed(self) -> list[Part]:
        """Return the rows of `/api/tags`, newest first, as the daemon gives them."""
        if time.monotonic() >= self._until:
            self._models = (await self._client.request("GET", "/api/tags")).get("models") or []
            self._until = time.monotonic() + FRESH
        return self._models

    async def running(self) -> list[Part]:
        """Return the rows of `/api/ps`: one for each runner."""
        self._running = (await self._client.request("GET", "/api/ps")).get("models") or []
        self._running_until = time.monotonic() + STILL_RUNNING
        return self._running

    async def window(self, model: str, *, fresh: bool = True) -> int | None:
        """Return the context window that a loaded model really has (`/api/ps`), None if unknown.

        A runner goes by the name of the model that loaded it. Not `fresh`, the answer may be
        a second old.
        """
        believed = not fresh and time.monotonic() < self._running_until
        rows = self._running if believed else await self.running()
        wanted = full_name(model)
        return next(
            (
                row.get("context_length")
                for row in rows
                if full_name(str(row.get("name"))) == wanted
            ),
            None,
        )

    async def modelfile(self, row: Part) -> Modelfile:
        """Return what the Modelfile of an installed model says (`/api/show`), asked once."""
        digest = str(row.get("digest"))
        if digest not in self._modelfiles:
            shown = await self._client.request("POST", "/api/show", {"model": row["name"]})
            self._modelfiles[digest] = read_modelfile(shown)
        return self._modelfiles[digest]

    def forget(self) -> None:
        """Ask anew next time; for those who have just changed the library."""
        self._until = self._running_until = 0.0

    async def find(self, model: str) -> Part | None:
        """Return the row of an installed model, or None; names as the daemon resolves them."""
        wanted = full_name(model)
        return next(
            (row for row in await self.installed() if full_name(str(row.get("name"))) == wanted),
            None,
        )

    async def explain(self, error: OllamaMCPError) -> None:
        """Add what the library knows to an error: near names, or models that can do it."""
        if not isinstance(error, ModelNotFound | CapabilityMissing):
            return
        try:
            models = await self.installed()
        except OllamaMCPError:
            return  # the error stands, without names
        if isinstance(error, CapabilityMissing):
            able = capable(models, error.details.get("capability", ""))
            error.details["candidates"] = able
            error.hint = (
                f"Installed models that do: {', '.join(able[:5])}"
                if able
                else "No installed model does; get one with ollama_pull"
            )
        elif near := nearest(str(error.details.get("model", "")), [str(m["name"]) for m in models]):
            error.details["nearest"] = near
            error.hint = f"Did you mean {' or '.join(near)}? {error.hint}"


def read_modelfile(shown: Part) -> Modelfile:
    """Return the Modelfile in an answer of `/api/show`; its parameters come as lines of text."""
    pairs = [line.split() for line in str(shown.get("parameters") or "").splitlines()]
    numbers = {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and _is_whole(pair[1])}
    own = str(shown.get("system") or "") + str(shown.get("messages") or "")
    return Modelfile(
        num_ctx=numbers.get("num_ctx"),
        num_predict=numbers.get("num_predict"),
        system=len(own.encode(errors="replace")),
        template=len(str(shown.get("template") or "").encode(errors="replace")),
    )


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def capable(models: Iterable[Part], capability: str) -> list[str]:
    """Return the names of those models that list `capability` (`/api/tags`, capabilities)."""
    return [str(m["name"]) for m in models if capability in (m.get("capabilities") or ())]


def full_name(model: str) -> str:
    """Return a name as the daemon compares it: lower case, with its tag, no default host."""
    name = model.strip().lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def nearest(name: str, names: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` of `names` that come near `name`, the nearest first."""
    known = list(names)
    wanted = full_name(name).removesuffix(":latest")
    base = wanted.partition(":")[0]
    starts = [known_ for known_ in known if base and known_.lower().startswith(base)]
    close = difflib.get_close_matches(wanted, known, count, 0.6)
    bases = {known_.partition(":")[0].lower(): known_ for known_ in reversed(known)}
    close += [bases[b] for b in difflib.get_close_matches(base, bases, count, 0.7)]
    return list(dict.fromkeys([*starts, *close]))[:count]
