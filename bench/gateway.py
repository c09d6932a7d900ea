"""Measure the gateway against ollama-mcp-bridge and the daemon itself, interleaved in one run."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from scripts.testbed.cache import folder
from scripts.testbed.processes import free_port

from .load import Answer, hammer, stroll
from .peer import bridge
from .served import Served

CONNECTIONS = (1, 16, 256)
DAEMON, OURS, THEIRS = "the daemon itself", "ollama-mcp-server", "ollama-mcp-bridge"
#: Requests for a time to the first token, in each round.
ASKS = 30
#: Seconds after which no further round begins; the first takes about 50 on two cores.
ENOUGH = 70.0
CHAT = {
    "model": "llama3.2:3b",
    "messages": [{"role": "user", "content": "Hi there, how are you today?"}],
}


@dataclass
class Found:
    """What was measured of one server at one number of connections."""

    #: Requests a second of each round: streamed, and whole.
    streamed: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    #: Milliseconds to the first token of each request, at an even pace and under full load.
    calm: list[float] = field(default_factory=list)
    loaded: list[float] = field(default_factory=list)
    #: Milliseconds of processor time for a streamed request, of each round.
    processor: list[float] = field(default_factory=list)
    #: Resident MB after the load of the first round.
    memory: float = 0.0
    #: Requests that it refused, or did not answer in time.
    unanswered: int = 0


def main(words: Sequence[str] | None = None) -> None:
    """Run the rounds, and print tables of Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="rounds at most (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.7, help="of each load (%(default)s)")
    given = parser.parse_args(words)
    with servers(bridge(folder())) as sides:
        found = asyncio.run(measured(sides, CONNECTIONS, given.rounds, given.seconds))
    print("\n\n".join(tables(found)))


@contextmanager
def servers(python: Path) -> Iterator[dict[str, Served]]:
    """Start the scripted daemon, and before it the gateway and, by that Python, the bridge."""
    here = r"(http://127\.0\.0\.1:\d+)"
    with (
        TemporaryDirectory() as scratch,
        Served([sys.executable, "-m", "bench.upstream"], says=here) as daemon,
    ):
        ours = [sys.executable, "-m", "ollama_mcp_server", "--transport", "http", "--gateway"]
        ours += ["--port", "0", "--parallel", "256", "--queue", "512"]
        env = {"OLLAMA_HOST": daemon.url, "HOME": scratch}
        servers = Path(scratch, "servers.json")
        servers.write_text('{"mcpServers": {}}')  # it does not start without, or without a daemon
        theirs: list[str | Path] = [python, "-m", "ollama_mcp_bridge.main", "--config", servers]
        theirs += ["--host", "127.0.0.1", "--port", str(free_port()), "--ollama-url", daemon.url]
        with (
            Served(ours, env, says=f"server: {here}") as gateway,
            Served(theirs, says=f"running on {here}") as peer,
        ):
            yield {DAEMON: daemon, OURS: gateway, THEIRS: peer}


async def measured(
    sides: Mapping[str, Served], connections: Sequence[int], rounds: int, seconds: float
) -> dict[tuple[int, str], Found]:
    """Return what was found for each number of connections and each server."""
    found = {(number, side): Found() for number in connections for side in sides}
    for server in sides.values():
        await hammer(server.url, {**CHAT, "stream": True}, 4, 0.3)  # for what is made only once
    end = time.monotonic() + ENOUGH
    for turn in range(rounds):
        if turn and time.monotonic() > end:
            break
        for number in connections:
            for side, server in sides.items():
                await measure(found[number, side], server, number, seconds)
    return found


async def measure(found: Found, server: Served, number: int, seconds: float) -> None:
    """Add a round at a number of connections to what was found of a server."""
    streamed, whole = {**CHAT, "stream": True}, {**CHAT, "stream": False}
    load = await stroll(server.url, streamed, number, ASKS)
    found.calm += firsts(load.answers)
    used = server.processor()
    load = await hammer(server.url, streamed, number, seconds)
    if load.answers:
        found.processor.append((server.processor() - used) / len(load.answers) * 1000)
    found.streamed.append(load.rate)
    found.loaded += firsts(load.answers)
    found.unanswered += load.unanswered
    await stroll(server.url, whole, 1, 1)  # once it has dealt with what was left
    load = await hammer(server.url, whole, number, seconds)
    found.whole.append(load.rate)
    found.unanswered += load.unanswered
    found.memory = found.memory or server.memory()
    await stroll(server.url, whole, 1, 1)


def firsts(answers: Iterable[Answer]) -> list[float]:
    """Return the milliseconds to the first token of each answer."""
    return [answer.first * 1000 for answer in answers]


def tables(found: Mapping[tuple[int, str], Found]) -> Iterator[str]:
    """Yield the tables: requests a second, time to the first token, and what it takes."""
    connections = sorted({number for number, _ in found})
    middle = statistics.median
    yield "\n".join([
        f"| requests/s | {DAEMON} | {OURS} | {THEIRS} | ratio | aim |",
        "|---|---|---|---|---|---|",
        *(
            f"| {kind}, {number} connections | {middle(daemon):.0f} | {middle(ours):.0f} "
            f"({min(ours):.0f}–{max(ours):.0f}) | {middle(theirs):.0f} "
            f"({min(theirs):.0f}–{max(theirs):.0f}) | {ratio(ours, theirs)} | ≥ 5 |"
            for kind in ("streamed", "whole")
            for number in connections
            for daemon, ours, theirs in [
                [getattr(found[number, side], kind) for side in (DAEMON, OURS, THEIRS)]
            ]
        ),
    ])  # fmt: skip
    yield "\n".join([
        f"| first token after, in ms | {DAEMON} | {OURS} | {THEIRS} | added by ours | aim |",
        "|---|---|---|---|---|---|",
        *(
            f"| {words}, {number} connections | {spread(daemon)} | {spread(ours)} "
            f"| {spread(theirs)} | {middle(ours) - middle(daemon):.1f} | {aim} |"
            for kind, words, aim in (("calm", "20 requests/s", "≤ 3"), ("loaded", "full load", ""))
            for number in connections
            for daemon, ours, theirs in [
                [getattr(found[number, side], kind) for side in (DAEMON, OURS, THEIRS)]
            ]
        ),
    ])  # fmt: skip
    yield "\n".join([
        f"| what it takes | memory, {OURS} | memory, {THEIRS} | processor, {OURS} "
        f"| processor, {THEIRS} | ratio | unanswered |",
        "|---|---|---|---|---|---|---|",
        *(
            f"| {number} connections | {ours.memory:.0f} MB | {theirs.memory:.0f} MB "
            f"| {spent(ours)} | {spent(theirs)} "
            f"| {ratio(theirs.processor, ours.processor)} "
            f"| {ours.unanswered}, {theirs.unanswered} |"
            for number in connections
            for ours, theirs in [(found[number, OURS], found[number, THEIRS])]
        ),
    ])  # fmt: skip


def ratio(one: Sequence[float], other: Sequence[float]) -> str:
    """Return how many times more one is than the other."""
    if not one or not other:
        return "–"
    below = statistics.median(other)
    return f"{statistics.median(one) / below:.1f}" if below else "∞"


def spent(found: Found) -> str:
    """Return the processor time of a request, if any was answered."""
    return f"{statistics.median(found.processor):.1f} ms" if found.processor else "–"


def spread(values: Sequence[float]) -> str:
    """Return the median, and the tenth and the ninetieth of a hundred."""
    if len(values) < 2:
        return "none"
    tenths = statistics.quantiles(values, n=10)
    return f"{statistics.median(values):.1f} ({tenths[0]:.1f}–{tenths[-1]:.1f})"


if __name__ == "__main__":
    main()
