"""What `make bench ARGS=gateway` measures with: every request counted once, and what it was."""

from __future__ import annotations

import sys

from bench.gateway import CHAT, DAEMON, OURS, THEIRS, Found, tables
from bench.load import hammer, stroll
from bench.served import Served
from tests.fake_ollama import FakeOllama

STREAMED, WHOLE = {**CHAT, "stream": True}, {**CHAT, "stream": False}


async def test_a_load_asks_over_all_connections_until_its_time_is_over(daemon: FakeOllama) -> None:
    load = await hammer(daemon.url, STREAMED, 8, 0.1)
    assert len(load.answers) == len(daemon.requests) >= 8
    assert load.unanswered == 0
    assert load.rate > 0
    assert all(0 < answer.first <= answer.whole for answer in load.answers)


async def test_answers_in_one_piece_are_read_to_their_end(daemon: FakeOllama) -> None:
    load = await hammer(daemon.url, WHOLE, 1, 0.1)
    assert len(load.answers) == len(daemon.requests) > 1


async def test_a_stroll_asks_so_often(daemon: FakeOllama) -> None:
    load = await stroll(daemon.url, STREAMED, 2, 3)
    assert len(load.answers) == len(daemon.requests) == 3


async def test_what_is_refused_or_broken_is_no_answer(daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", status=503, error="busy")
    daemon.reply("/api/chat", {"message": {"content": "half"}}, cut=True)
    load = await stroll(daemon.url, STREAMED, 1, 3)
    assert (len(load.answers), load.unanswered) == (1, 2)


def test_a_server_is_started_looked_at_and_ended() -> None:
    command = [sys.executable, "-m", "bench.upstream"]
    with Served(command, says=r"(http://127\.0\.0\.1:\d+)") as server:
        assert server.url.startswith("http://127.0.0.1:")
        assert server.memory() > 1
        assert server.processor() > 0


def test_the_tables_tell_ratios_and_what_is_added() -> None:
    found = {
        (1, side): Found([rate], [rate], [first, first], [first, first], [1.0], 50.0)
        for side, rate, first in ((DAEMON, 1000, 0.5), (OURS, 400, 2.0), (THEIRS, 20, 40.0))
    }
    rates, firsts, taken = tables(found)
    assert "| streamed, 1 connections | 1000 | 400 (400–400) | 20 (20–20) | 20.0 |" in rates
    assert "| 0.5 (0.5–0.5) | 2.0 (2.0–2.0) | 40.0 (40.0–40.0) | 1.5 | ≤ 3 |" in firsts
    assert "| 1 connections | 50 MB | 50 MB | 1.0 ms | 1.0 ms | 1.0 | 0, 0 |" in taken
