"""Work on the library that streams status lines: pull, push, create."""

from __future__ import annotations

import shutil
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..daemon.wire import Part
from ..errors import OllamaMCPError, TooLarge
from ..progress import Progress
from .deadline import deadline

if TYPE_CHECKING:
    from ..daemon.client import Client

#: Bytes that must stay free on the disk beside what is downloaded.
MARGIN = 256 * 2**20


@dataclass
class Transfer:
    """What the status lines have told so far."""

    status: str = ""
    completed: dict[str, int] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)

    def add(self, part: Part) -> None:
        """Take in one line of `/api/pull`, `/api/push` or `/api/create`."""
        self.status = part.get("status") or self.status
        if digest := part.get("digest"):
            self.totals[digest] = part.get("total") or 0
            # A resumed or retried layer may report less than before; progress never goes back.
            self.completed[digest] = max(self.completed.get(digest, 0), part.get("completed") or 0)

    @property
    def done(self) -> int:
        """Bytes of all layers that have come or gone so far."""
        return sum(self.completed.values())

    @property
    def total(self) -> int:
        """Bytes of all layers known so far."""
        return sum(self.totals.values())

    @property
    def missing(self) -> int:
        """Bytes still to come, of the layers known so far."""
        return self.total - self.done


async def transfer(
    client: Client,
    path: str,
    body: Part,
    *,
    progress: Progress,
    timeout_ms: int | None = None,
    disk: Path | None = None,
    aside: bool = False,
) -> Transfer:
    """Run a pull, push or create to its end, and return what was moved.

    Args:
        client: the daemon's client.
        path: `/api/pull`, `/api/push` or `/api/create`.
        body: the request, by Ollama's names.
        progress: told the phase and the bytes of each line.
        timeout_ms: milliseconds after which it is stopped; None waits for ever.
        disk: the folder of a local daemon's models; a layer that does not fit there ends the
            work before its bulk is fetched.
        aside: it is done on the way to something else, whose progress it must not use up.

    Raises:
        TooLarge: the disk has not the room; what was downloaded is kept for the next try.
        OllamaMCPError: whatever the daemon or the registry refused.
    """
    moved = Transfer()
    try:
        with deadline(timeout_ms, "Give more timeout; what was moved is kept for the next call"):
            async with aclosing(client.stream(path, {**body, "stream": True})) as parts:
                async for part in parts:
                    known = len(moved.totals)
                    moved.add(part)
                    if disk is not None and len(moved.totals) > known:
                        check_room(moved.missing, shutil.disk_usage(disk).free, body["model"])
                    size = (
                        f" ({_megabytes(moved.done)} of {_megabytes(moved.total)})"
                        if moved.total
                        else ""
                    )
                    if aside:
                        progress.waits(f"pulling {body['model']}: {moved.status}{size}")
                    else:
                        progress.update(moved.status + size, moved.done, moved.total or None)
    except OllamaMCPError as error:
        if moved.done:
            error.details["bytes"] = moved.done
        raise
    return moved


def check_room(needed: int, free: int, model: str) -> None:
    """Raise TooLarge if `needed` bytes and a margin do not fit in `free` bytes."""
    if needed + MARGIN > free:
        raise TooLarge(
            f"{model} needs {_megabytes(needed)} more on disk, and {_megabytes(free)} are free",
            "Free some space (ollama_delete removes a model), or choose a smaller model or tag",
            needed=needed,
            free=free,
        )


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
