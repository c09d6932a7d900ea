"""The start, what it leaves in memory, and the list of tools."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping

from .child import Child
from .table import OURS, median, row, timed

BARE = [sys.executable, "-m", "bench.hello"]
SDK = [sys.executable, "-m", "bench.sdk"]


def cold_start(runs: int, env: Mapping[str, str]) -> None:
    """Spawn, initialize, first tools/list answered; both with compiled bytecode."""

    def start(command: list[str]) -> None:
        with Child(command, env) as child:
            took.append((time.perf_counter() - began) * 1000 if child.ask("tools/list") else 0)

    commands = {"ours": OURS, "FastMCP": BARE, "SDK": SDK}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for run in range(runs + 1):
        for name, command in commands.items():
            took: list[float] = []
            began = time.perf_counter()
            start(command)
            if run:  # the first of each writes the bytecode
                times[name] += took
    ours = median(times["ours"])
    spread = f"{min(times['ours']):.0f}–{max(times['ours']):.0f}"
    for name, budget in (("FastMCP", "≤ 1"), ("SDK", "as near to 1 as can be")):
        bare = median(times[name])
        row(
            "spawn → first tools/list, stdio",
            f"{ours:.0f} ms ({spread})",
            f"bare {name} {bare:.0f} ms",
            ours / bare,
            budget,
        )


def at_rest(env: Mapping[str, str]) -> None:
    """Measure the memory after the first tools/list."""
    with Child(OURS, env) as ours, Child(BARE) as bare:
        ours.ask("tools/list")
        bare.ask("tools/list")
        mine, theirs = ours.memory(), bare.memory()
    row("memory at rest", f"{mine:.0f} MB", f"bare FastMCP {theirs:.0f} MB", mine / theirs, "≤ 1")


def warm_list(calls: int, env: Mapping[str, str]) -> None:
    """Time tools/list once running, and weigh it."""
    with Child(OURS, env) as child:
        size = len(json.dumps(child.ask("tools/list"), separators=(",", ":")).encode())
        took = median([timed(lambda: child.ask("tools/list")) for _ in range(calls)])
    row("tools/list, running", f"{took:.1f} ms, {size / 1000:.1f} kB", "", None, "≤ 5 ms, ≤ 40 kB")
