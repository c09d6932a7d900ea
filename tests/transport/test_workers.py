"""Several processes on one port: both answer, a dead one is replaced, all end together."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path

import pytest

from ollama_mcp_server.settings import Settings
from ollama_mcp_server.transport.workers import cautions
from tests.conftest import CHAT, HELLO
from tests.fake_ollama import FakeOllama
from tests.wire import COMMAND, OLD, ROOT, TERM, Http, HttpClient


def workers(server: Http) -> list[int]:
    """Return the processes that serve: the children that were started to do so."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    mine = [(pid, said) for pid, parent, said in rows if int(parent) == server.process.pid]
    return [int(pid) for pid, said in mine if "spawn_main" in said]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Let a process do nothing for a while."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def eventually(daemon: FakeOllama, condition: Callable[[], bool]) -> None:
    daemon.wait_for(condition, 60)


def answers(server: Http) -> bool:
    try:
        return server.ask("GET", "/health")[0] == 200
    except (OSError, HTTPException):
        return False


def test_two_processes_serve_one_port(daemon: FakeOllama, tmp_path: Path) -> None:
    flags = ("--workers", "2", "--gateway")
    with Http(tmp_path, *flags, OLLAMA_HOST=daemon.url) as server:
        assert "OLLAMA_MCP_STATE_URL" in server.err.wait(lambda line: "STATE_URL" in line)
        assert answers(server)
        pids = workers(server)
        assert len(pids) == 2
        assert server.call("ollama_list")["structuredContent"]["models"]
        # each by itself
        for other in pids:
            with stopped(other):
                assert answers(server)
                assert server.call("ollama_list")["structuredContent"]["models"]

        # the older era has no sessions, which would be in one process only
        old = HttpClient(server.url, OLD[-1])
        assert "Mcp-Session-Id" not in old.headers
        for other in pids:
            with stopped(other):
                assert old.call("ollama_list")["structuredContent"]["models"]
        assert old.ask("GET", "", Accept="text/event-stream")[0] == 405

        # one that is killed is replaced
        os.kill(pids[0], signal.SIGKILL)
        eventually(daemon, lambda: len(set(workers(server)) - set(pids)) == 1)
        assert answers(server)
        (new,) = set(workers(server)) - set(pids)
        with stopped(pids[1]):
            assert answers(server)
        assert new in workers(server)

        # all end together, and running answers before
        daemon.hold("/api/chat")
        call = server.start("ollama_chat", {"model": CHAT, "messages": HELLO})
        eventually(daemon, lambda: any(one.path == "/api/chat" for one in daemon.requests))
        server.process.send_signal(TERM)
        eventually(daemon, lambda: not answers(server))
        assert server.process.poll() is None
        daemon.release("/api/chat")
        assert call.result(10)["structuredContent"]["content"] == "You said: Hello there"
        server.wait()
        assert server.process.returncode == 128 + TERM
        eventually(daemon, lambda: not server.has_orphans)
        assert "Traceback" not in server.stderr


def test_nobody_is_left_when_the_first_is_killed_and_a_taken_address_is_told(
    daemon: FakeOllama, tmp_path: Path
) -> None:
    with Http(tmp_path, "--workers", "2", OLLAMA_HOST=daemon.url) as server:
        second = ended(tmp_path, "--port", str(server.port))
        assert second.returncode == 3
        assert "cannot serve on 127.0.0.1" in second.stderr
        assert answers(server)
        assert len(workers(server)) == 2
        server.process.kill()
        server.wait()
        eventually(daemon, lambda: not server.has_orphans)


def test_processes_that_cannot_start_are_not_started_again(tmp_path: Path) -> None:
    ran = ended(tmp_path, "--port", "0", "--toolsets", "nonsense")
    assert ran.returncode == 2
    assert "there is no toolset or tool nonsense" in ran.stderr


def ended(home: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    """Run a server of two processes that ends by itself."""
    ran = subprocess.run(
        [*COMMAND, "--transport", "http", "--workers", "2", *flags],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Traceback" not in ran.stderr
    return ran


@pytest.mark.parametrize(("url", "told"), [(None, 1), ("memory", 1), ("disk", 0), ("redis://h", 0)])
def test_what_processes_do_not_share_is_told(url: str | None, told: int) -> None:
    assert len(cautions(Settings(workers=2, state_url=url))) == told
