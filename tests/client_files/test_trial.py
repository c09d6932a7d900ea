"""A server that does not answer is told in words, with what it said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ollama_mcp_server.clients.trial import reached, tried
from scripts.testbed.processes import free_port
from tests.fake_ollama import FakeOllama

SLEEPS = [sys.executable, "-c", "import time; time.sleep(60)"]
FAILS = [sys.executable, "-c", "import sys; sys.exit('no luck at all')"]


@pytest.mark.parametrize(
    ("command", "limit", "told"),
    [
        (["/nowhere/server"], 30, "No such file"),
        (FAILS, 30, "it said: no luck at all"),
        (SLEEPS, 1, "did not answer within 1 s"),
    ],
)
async def test_why_there_was_no_answer(
    command: list[str], limit: float, told: str, tmp_path: Path
) -> None:
    answer = await tried(command, {}, tmp_path, limit)
    assert answer.error is not None
    assert told in answer.error
    assert "TaskGroup" not in answer.error


@pytest.mark.parametrize("url", ["http://127.0.0.1:{free}/mcp", "http://{daemon}/mcp", "none"])
async def test_why_an_address_does_not_answer(url: str, daemon: FakeOllama) -> None:
    url = url.format(free=free_port(), daemon=daemon.url.removeprefix("http://"))
    answer = await reached(url, {}, 20)
    told = {"none": "no http address", daemon.url + "/mcp": "HTTP 4"}
    assert answer.error is not None
    assert told.get(url, "connection attempts failed") in answer.error
