"""The daemon, started by the servers that need it, and ended with the last of them."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.testbed import api, models, processes
from tests.live.started import PROGRAM, daemons, served, store
from tests.live.workplaces import wait_for
from tests.wire import TERM, Message, Stdio

pytestmark = pytest.mark.live

SHORT = {"model": models.CHAT, "prompt": "Hi", "options": {"num_predict": 2, "num_ctx": 256}}

Serve = Callable[..., Stdio]


@pytest.fixture
def port(ollama_pid: int) -> int:
    """A port at which nothing answers, of a daemon that the test bed has."""
    return processes.free_port()


@pytest.fixture
def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def serve(tmp_path: Path, port: int) -> Iterator[Serve]:
    """Start servers of one user, who has installed Ollama; what they started is gone at the end."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "ollama").symlink_to(PROGRAM)
    told = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": str(store()),
        "OLLAMA_NOPRUNE": "1",
        "OLLAMA_MCP_START_DAEMON": "always",  # the tests may run in a container
    }
    with ExitStack() as stack:

        def start(**more: str) -> Stdio:
            return stack.enter_context(Stdio(tmp_path, **{**told, **more}))

        yield start
    wait_for(lambda: not daemons(port), 10)


def error(result: Message) -> Message:
    return result["structuredContent"]["error"]


def test_the_first_call_starts_it_and_is_answered(serve: Serve, url: str, port: int) -> None:
    with serve() as server:
        assert server.result("tools/list")["tools"]
        assert server.result("resources/list")["resources"]
        assert not daemons(port), "it was started by one who only looks"
        call = server.start("ollama_generate", SHORT)
        answer = call.result()
        assert not answer.get("isError"), answer
        assert any("starting Ollama" in note["message"] for note in call.notes)
        assert len(served(port)) == 1
        assert api.version(url)
        server.end()
        wait_for(lambda: not daemons(port), 10)


def test_two_at_once_start_one_and_the_last_ends_it(serve: Serve, url: str, port: int) -> None:
    pair = [serve(), serve()]
    with ThreadPoolExecutor() as pool:
        told = list(pool.map(lambda server: server.call("ollama_list"), pair))
    assert not any(result.get("isError") for result in told)
    assert len(served(port)) == 1
    pair[0].end(signal.SIGKILL)
    assert not pair[1].call("ollama_generate", **SHORT).get("isError")
    third = serve()
    assert not third.call("ollama_ps").get("isError")
    pair[1].end(TERM)
    assert not third.call("ollama_generate", **SHORT).get("isError")
    assert len(served(port)) == 1
    third.end(signal.SIGKILL)
    wait_for(lambda: not daemons(port), 10)
    assert api.version(url) is None


def test_one_that_runs_already_is_left_alone(serve: Serve, url: str, ollama_host: str) -> None:
    server = serve(OLLAMA_HOST=ollama_host)
    assert not server.call("ollama_list").get("isError")
    server.end()
    assert api.version(ollama_host)
    assert api.version(url) is None


def test_a_port_that_something_else_holds_is_told(serve: Serve, port: int) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", port))  # and does not listen
        failed = error(serve().call("ollama_list"))
    assert failed["code"] == "daemon_unreachable"
    assert "another program holds" in failed["message"]
    assert "OLLAMA_HOST" in failed["hint"]


def test_one_that_cannot_start_says_why(serve: Serve, tmp_path: Path) -> None:
    failed = error(serve(OLLAMA_MODELS="/proc/nowhere").call("ollama_list"))
    assert failed["code"] == "daemon_unreachable"
    assert "cannot be started: " in failed["message"]
    assert "/proc/nowhere" in failed["message"]
    assert str(tmp_path) in failed["hint"]
