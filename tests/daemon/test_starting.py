"""A daemon that is started when it is needed; here a small program that answers as one."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.daemon import keeper, keeping, starting
from ollama_mcp_server.daemon.installed import only_looking
from ollama_mcp_server.errors import DaemonUnreachable
from ollama_mcp_server.progress import Progress
from ollama_mcp_server.settings import Settings
from scripts.testbed.processes import free_port

#: Answers every GET; writes its process id into a file, and a few words to its log.
PROGRAM = f"""#!{sys.executable} -IS
import http.server, os, pathlib, socket, sys, time
host, port = os.environ["OLLAMA_HOST"].removeprefix("http://").split(":")
if reason := os.environ.get("FAILS"):
    sys.exit(f"Error: {{reason}}")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{{"version": "0.9.9"}}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): print("asked", flush=True)
time.sleep(float(os.environ.get("SLOW", 0)))
made = http.server.ThreadingHTTPServer((host, int(port)), Handler)
with open(os.environ["PIDS"], "a") as file:
    print(os.getpid(), file=file)
made.serve_forever()
"""

MakeUser = Callable[..., App]


@pytest.fixture
def pids(tmp_path: Path) -> Callable[[], list[int]]:
    """Return the processes of the daemons that were started so far."""

    def read() -> list[int]:
        file = tmp_path / "pids"
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    return read


@pytest.fixture
async def user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pids: Callable[[], list[int]]
) -> AsyncIterator[MakeUser]:
    """Make servers of one user who has installed the program; all is over after the test."""
    program = tmp_path / "bin" / "ollama"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    port, made = free_port(), []

    def make(**settings: Any) -> App:
        told = {"ollama_host": f"127.0.0.1:{port}", "start_daemon": "always", **settings}
        made.append(App(Settings(**told)))
        return made[-1]

    yield make
    for app in made:
        await app.aclose()
    await until(lambda: not any(map(lives, pids())))


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


async def ask(app: App) -> Any:
    return await app.client.request("GET", "/api/version")


async def fails(app: App) -> DaemonUnreachable:
    with pytest.raises(DaemonUnreachable) as raised:
        await ask(app)
    return raised.value


async def test_it_is_started_once_and_ends_with_the_last_who_uses_it(
    user: MakeUser, pids: Callable[[], list[int]], tmp_path: Path
) -> None:
    one, two, three = user(), user(), user()
    told = await asyncio.gather(*(ask(app) for app in (one, one, two)))
    assert len(told) == 3
    (pid,) = pids()
    await one.aclose()
    assert await ask(three), "it uses what it has not started"
    await two.aclose()
    assert await ask(three)
    assert lives(pid)
    await three.aclose()
    await until(lambda: not lives(pid))
    folder = tmp_path / "state" / "ollama-mcp-server" / "daemon"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert await ask(user()), "and is started again"
    assert len(pids()) == 2


async def test_who_only_looks_starts_nothing(user: MakeUser, pids: Callable[[], list[int]]) -> None:
    with only_looking():
        assert "ollama serve" in (await fails(user())).hint
    assert not pids()


@pytest.mark.parametrize("settings", [{"start_daemon": "never"}, {"ollama_host": "192.0.2.1"}])
def test_where_none_may_be_started_there_is_nothing_that_could(
    user: MakeUser, settings: dict[str, Any]
) -> None:
    assert not isinstance(user(**settings).client._client._transport, starting.Way)


async def test_it_is_told_and_the_phase_goes_on(user: MakeUser, monkeypatch: Any) -> None:
    monkeypatch.setenv("SLOW", "0.3")
    notes: list[str] = []

    async def report(_: float, __: float | None, message: str) -> None:
        notes.append(message)

    async with Progress(report, "asking m") as progress:
        await ask(user())
        assert progress.message == "asking m"
    assert any("Ollama does not run" in note and "starting Ollama" in note for note in notes)


async def test_who_does_not_wait_leaves_it_to_the_next(
    user: MakeUser, pids: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOW", "0.5")
    app = user()
    task = asyncio.create_task(ask(app))
    log = Path(os.environ["XDG_STATE_HOME"], "ollama-mcp-server", "daemon")
    await until(lambda: list(log.glob("*.log")))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await ask(app)
    assert len(pids()) == 1


async def test_one_that_dies_is_started_again(
    user: MakeUser, pids: Callable[[], list[int]]
) -> None:
    app = user()
    await ask(app)
    os.kill(pids()[0], signal.SIGKILL)
    await until(lambda: not lives(pids()[0]))
    assert await ask(app)
    assert len(pids()) == 2


async def test_one_that_cannot_start_says_why(
    user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAILS", "no room for models")
    error = await fails(user())
    assert error.message.endswith("Ollama cannot be started: no room for models")
    assert "log" in error.hint


async def test_one_that_never_answers_is_waited_for_no_longer_than_said(
    user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLOW", "60")
    monkeypatch.setattr(starting, "PATIENCE", 0.5)
    assert "did not answer within 0.5 s" in (await fails(user())).message


async def test_none_is_installed(user: MakeUser, tmp_path: Path) -> None:
    (tmp_path / "bin" / "ollama").unlink()
    error = await fails(user())
    assert "not installed" in error.message
    assert "ollama.com" in error.hint


async def test_a_folder_that_cannot_be_made_is_told(
    user: MakeUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/proc/nowhere")
    assert "/proc/nowhere" in (await fails(user())).message


def test_one_address_has_one_name() -> None:
    names = [keeping.name_of(url) for url in ("http://localhost:11434", "http://127.0.0.1:11434")]
    assert names == ["127.0.0.1-11434"] * 2
    assert keeping.name_of("http://[::1]:11434") == "_1-11434"


def test_the_log_is_bounded_and_the_one_before_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "LOG", 100)
    journal = keeper.Journal(tmp_path / "log")
    for number in range(20):
        journal.write(f"{number:09}\n".encode())
    assert (tmp_path / "log").read_text().splitlines()[-1] == f"{19:09}"
    assert (tmp_path / "log.1").stat().st_size == 100
    assert len(list(tmp_path.iterdir())) == 2
    journal._file.close()
