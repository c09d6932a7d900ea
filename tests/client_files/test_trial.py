"""A server that does not answer is told in words, with what it said."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ollama_mcp_server.clients.trial import tried

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
