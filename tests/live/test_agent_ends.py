"""Agents at whose work something ends: a reason each time, and nobody left behind."""

from __future__ import annotations

import os
import secrets
import signal
from pathlib import Path
from typing import Any

import pytest

from scripts.testbed import models, runner
from scripts.testbed.daemon import Daemon
from tests.live.workplaces import ours, own, running, wait_for
from tests.wire import NEW, OLD, TERM, Call, Message, Stdio

pytestmark = pytest.mark.live

ERAS = [OLD[-1], NEW]
#: The test bed's model calls the one tool that it is offered, and then says what that told it.
WEATHER = {"model": models.TOOLS, "task": "What is the weather in Oslo?", "tools": ["get_weather"]}
#: Writes for many seconds, and calls nothing.
ESSAY = {
    "model": models.CHAT,
    "task": "Count: 1, 2, 3, 4, 5, 6,",
    "servers": [],
    "options": {"num_predict": 1500, "temperature": 0},
}


@pytest.fixture
def token() -> str:
    return secrets.token_hex(6)


@pytest.fixture
def beat(tmp_path: Path) -> Path:
    """The file that a tool at work touches again and again, until it is gone."""
    return tmp_path / "beat"


def beats(file: Path) -> bool:
    """Return whether the file was touched again."""
    before = file.stat().st_mtime_ns if file.exists() else 0
    try:
        return wait_for(lambda: file.exists() and file.stat().st_mtime_ns > before, 0.5)
    except TimeoutError:
        return False


def at_work(server: Stdio, beat: Path, **arguments: Any) -> Call:
    """Start a run, and wait until its tool is at work."""
    call = server.start("ollama_agent", {**WEATHER, **arguments})
    try:
        wait_for(beat.exists)
    except TimeoutError:
        raise AssertionError(call.inbox.items[-5:]) from None
    return call


def said(result: Message) -> Message:
    return result["structuredContent"]


@pytest.mark.parametrize("number", [signal.SIGKILL, TERM, None], ids=["KILL", "TERM", "closed"])
def test_the_end_of_our_server_ends_its_children(
    number: int | None, ollama: Daemon, tmp_path: Path, beat: Path, token: str
) -> None:
    city, family = own("city.py", token, "beats", str(beat)), own("family.py", token)
    with ours(tmp_path, ollama.url, city, family) as server:
        at_work(server, beat)
        assert len(running(token)) >= 4, "the family has two children, which ignore SIGTERM"
        server.end(number)
        wait_for(lambda: not running(token), 10)
    runner.wait_until_idle(ollama.pid)


@pytest.mark.parametrize("era", ERAS)
def test_a_cancelled_call_stops_the_tool_and_its_server_serves_on(
    era: str, ollama: Daemon, tmp_path: Path, beat: Path, token: str
) -> None:
    city = own("city.py", token, "beats", str(beat))
    with ours(tmp_path, ollama.url, city, era=era) as server:
        at_work(server, beat).cancel()
        wait_for(lambda: not beats(beat))
        beat.unlink()
        again = at_work(server, beat)
        beat.unlink()
        assert token in said(again.result())["steps"][0]["result"]
        server.end()
        assert not running(token)


@pytest.mark.parametrize("era", ERAS)
def test_a_cancelled_call_stops_the_model(
    era: str, ollama: Daemon, tmp_path: Path, token: str
) -> None:
    with ours(tmp_path, ollama.url, own("city.py", token), era=era) as server:
        call = server.start("ollama_agent", ESSAY)
        call.until("writing")
        assert not runner.is_idle(ollama.pid, 0.1)
        call.cancel()
        runner.wait_until_idle(ollama.pid, 2)
        assert said(server.call("ollama_agent", **WEATHER))["stop_reason"] == "answered"
        server.end()
        assert not running(token)


def test_a_server_that_is_killed_at_work_is_started_again_once(
    ollama: Daemon, tmp_path: Path, beat: Path, token: str
) -> None:
    with ours(tmp_path, ollama.url, own("city.py", token, "beats", str(beat))) as server:
        call = at_work(server, beat)
        for _ in range(2):
            wait_for(lambda: beats(beat))
            for child in (killed := running(token)):
                os.kill(child, signal.SIGKILL)
            wait_for(lambda killed=killed: not set(killed) & set(running(token)))
        result = said(call.result())
        assert "ended" in result["steps"][0]["error"], result
        assert result["stop_reason"] == "answered"
        assert not beats(beat)
        server.end()
        assert not running(token)


@pytest.mark.parametrize(
    ("way", "reason"),
    [("dies", "status 7"), ("floods", "floods its output"), ("beats", "within 0.7 s")],
)
def test_a_server_that_goes_wrong_in_a_call_gives_a_reason(
    way: str, reason: str, ollama: Daemon, tmp_path: Path, beat: Path, token: str
) -> None:
    with ours(tmp_path, ollama.url, own("city.py", token, way, str(beat))) as server:
        timeout = 700 if way == "beats" else 30_000
        result = said(server.call("ollama_agent", **WEATHER, tool_timeout=timeout))
        assert reason in result["steps"][0]["error"], result
        assert result["stop_reason"] == "answered"
        wait_for(lambda: not beats(beat))
        server.end()
        assert not running(token)


def test_servers_that_never_start_are_told_of_and_litter_is_passed_over(
    ollama: Daemon, tmp_path: Path, token: str
) -> None:
    others = own("fails.py", token), own("hangs.py", token)
    with ours(tmp_path, ollama.url, *others, own("city.py", token, "litters")) as server:
        result = said(server.start("ollama_agent", WEATHER).result(60))
        assert token in result["steps"][0]["result"]
        told = "\n".join(result["warnings"])
        assert "fails is down since" in told
        assert "hangs is down since" in told
        server.end()
        assert not running(token)

    with ours(tmp_path, ollama.url, own("fails.py", token)) as server:
        error = said(server.call("ollama_agent", **WEATHER))["error"]
        assert error["message"].startswith("MCP server failed to initialize")
        assert "status 3" in error["message"]


def test_a_run_that_takes_long_is_handed_over_as_a_job(
    ollama: Daemon, tmp_path: Path, beat: Path, token: str
) -> None:
    city = own("city.py", token, "beats", str(beat))
    with ours(tmp_path, ollama.url, city, OLLAMA_MCP_WAIT="1") as server:
        began = said(at_work(server, beat).result())
        assert began["status"] == "running"
        beat.unlink()
        done = said(server.call("ollama_job", job=began["job"], wait=20))
        assert token in done["steps"][0]["result"]
        assert done["stop_reason"] == "answered"

        beat.touch()
        again = said(at_work(server, beat).result())
        assert beats(beat)
        server.call("ollama_job", job=again["job"], action="cancel")
        assert not beats(beat)
        server.end()
        assert not running(token)
