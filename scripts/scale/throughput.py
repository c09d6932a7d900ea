"""Answers a second, with one daemon and with two."""

from __future__ import annotations

import time
from pathlib import Path

import anyio

from tests.fake_ollama import CATALOGUE

from . import traffic
from .fates import Fate, Tally, Verdict
from .stage import Stage, scripted, stage
from .upstream import SECONDS, SLOTS

#: Clients: more than both daemons have places.
NUMBER = 4 * SLOTS
#: Seconds that are not counted, and those that are.
WARMING, COUNTED = 1.5, 8.0
#: Times as many answers that two daemons are to give.
LEAST = 1.8


def two_are_twice_one(cache: Path) -> list[Verdict]:
    """Compare two scripted daemons with one, behind the same two servers and HAProxy."""
    rates = []
    for number in (1, 2):
        with scripted(number) as hosts, stage(cache, hosts) as shown:
            rates.append(anyio.run(_rate, shown, list(hosts)))
    one, two = rates
    most = SLOTS / SECONDS
    told = f"{one:.1f} and {two:.1f} answers/s of {most:.0f} and {2 * most:.0f} possible"
    ratio = two / one if one else 0.0
    return [
        Verdict(f"two daemons do ≥ {LEAST} × as much", ratio >= LEAST, f"{ratio:.2f} ×: {told}")
    ]


async def _rate(shown: Stage, hosts: list[str]) -> float:
    asked = {
        "model": CATALOGUE[0].name,
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": False,
    }
    tally, until = Tally(), anyio.Event()
    async with traffic.client(shown.url, shown.headers("load")) as http:
        for host in hosts:  # loaded at each, or the one that has it would get all
            await http.post("/api/chat", json=asked, headers={"X-Ollama-Host": host})
        async with anyio.create_task_group() as group:
            for _ in range(NUMBER):
                group.start_soon(
                    traffic.keep_on, "whole", lambda: traffic.whole(http, "/api/chat", asked),
                    tally, until,
                )  # fmt: skip
            await anyio.sleep(WARMING)
            began = time.monotonic()
            await anyio.sleep(COUNTED)
            ended = time.monotonic()
            until.set()
    counted = [one for one in tally.since(began).outcomes if one.at < ended]
    return sum(one.fate is Fate.ANSWERED for one in counted) / (ended - began)
