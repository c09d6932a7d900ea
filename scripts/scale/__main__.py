"""Show the scaled-out system at work while parts of it die: `make scale`.

Prints a verdict for each thing that is to hold, and then all as a table. `--write` puts the table
into docs/benchmarks.md. The exit status is 1 if something does not hold.
"""

from __future__ import annotations

import argparse
import logging
import os
import platform
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import ExitStack
from datetime import date
from functools import partial
from pathlib import Path

import anyio

from scripts.testbed import cache
from scripts.testbed.steps import SetupError, execute, tell

from . import batches, failures, limits
from .fates import Verdict
from .repeats import nothing_acts_twice
from .report import placed, table
from .stage import Ollamas, Stage, Store, stage
from .throughput import two_are_twice_one

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/benchmarks.md"
#: What is shown with real Ollamas, and without, in this order.
REAL = ("limits", "daemon", "server", "batch", "valkey")
ALONE: dict[str, Callable[[Path], list[Verdict]]] = {
    "repeats": nothing_acts_twice,
    "throughput": two_are_twice_one,
}
NAMES = (*REAL, *ALONE)

Scene = Callable[[], Awaitable[list[Verdict]]]


def main() -> int:
    """Run the scenes and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.scale", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the table into the documentation")
    parser.add_argument("--only", choices=NAMES, action="append", help="this scene; repeatable")
    given = parser.parse_args()
    logging.disable(logging.WARNING)  # what the SDK says of sessions that are gone
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # cleans up too
    began, verdicts = time.monotonic(), []
    try:
        for verdict in shown(given.only or NAMES, cache.folder()):
            print(verdict.line, flush=True)
            verdicts.append(verdict)
    except SetupError as error:
        print(f"scale: {error}", file=sys.stderr)
        return 1
    text = f"{measured(time.monotonic() - began)}\n\n{table(verdicts)}"
    print(f"\n{text}")
    if given.write:
        PAGE.write_text(placed(PAGE.read_text("utf-8"), text), "utf-8")
    return 0 if all(one.passed for one in verdicts) else 1


def shown(names: Collection[str], place: Path) -> Iterator[Verdict]:
    """Run scenes, and yield what each shows.

    Raises:
        SetupError: something that is needed cannot be had or does not start.
    """
    if not set(names).isdisjoint(REAL):
        tell("starting two Ollamas, Valkey, two servers and HAProxy")
        with ExitStack() as stack:
            ollamas = stack.enter_context(Ollamas(place))
            store = stack.enter_context(Store(place))
            theirs = stack.enter_context(stage(place, ollamas.urls, store.url))
            for name, played in scenes(theirs, ollamas, store).items():
                if name in names:
                    tell(name)
                    yield from anyio.run(played)
    for name, scene in ALONE.items():
        if name in names:
            tell(name)
            yield from scene(place)


def scenes(theirs: Stage, ollamas: Ollamas, store: Store) -> dict[str, Scene]:
    """Return the scenes with real Ollamas, by name."""
    return {
        "limits": partial(limits.limits_hold, theirs),
        "daemon": partial(failures.a_daemon_dies, theirs, ollamas),
        "server": partial(failures.a_server_dies, theirs),
        "batch": partial(batches.its_server_dies, theirs),
        "valkey": partial(failures.valkey_restarts, theirs, store),
    }


def measured(seconds: float) -> str:
    """Return where and when this was."""
    commit = execute(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT).strip()
    where = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    return f"Shown on {where}, {date.today()}, commit {commit}, in {seconds:.0f} s:"


if __name__ == "__main__":
    sys.exit(main())
