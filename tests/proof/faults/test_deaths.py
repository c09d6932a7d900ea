"""Each part is killed (SIGKILL), frozen or away: the others say so, and go on when it is back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest

from scripts.testbed import cache, daemon, models, processes, runner
from tests.proof.faults.conftest import told
from tests.proof.faults.scene import STORY, WORD, Scene, wait_for
from tests.wire import EVERY, OLD, Http, Stdio

pytestmark = pytest.mark.live

WAYS = pytest.mark.parametrize("kind", ["stdio", "http"])


class Mortal:
    """A daemon that may die, and be started again at its port."""

    def __init__(self, **more: Any) -> None:
        self.port, self.more = processes.free_port(), more
        self.running: daemon.Daemon | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> daemon.Daemon:
        self.stop()
        self.running = daemon.start(cache.folder(), port=self.port, **self.more)
        return self.running

    def stop(self) -> None:
        """Stop it as `ollama serve` is stopped, if it runs."""
        if self.running:
            self.running.stop()
        self.running = None

    def send(self, number: int) -> None:
        assert self.running
        os.kill(self.running.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.stop()


@pytest.fixture
def mortal() -> Iterator[Mortal]:
    one = Mortal()
    yield one
    one.stop()


@pytest.fixture
def server(kind: str, mortal: Mortal, tmp_path: Path) -> Iterator[Stdio | Http]:
    """A server of ours before that daemon, which need not run."""
    made = {"stdio": Stdio, "http": Http}[kind](tmp_path, **told(mortal.url))
    with made as running:
        yield running


@pytest.fixture
def before(scene: Scene, server: Stdio | Http, mortal: Mortal) -> Scene:
    """The scene before a daemon that runs and may die."""
    found = Scene(server, server, mortal.start(), scene.wire, scene.figures)
    found.begin()
    return found


@WAYS
def test_none_at_the_start(scene: Scene, server: Stdio | Http, mortal: Mortal) -> None:
    late = Scene(server, server, scene.ollama, scene.wire, scene.figures)
    assert len(server.result("tools/list")["tools"]) > 10
    for tool, arguments in {"ollama_generate": STORY, "ollama_ps": {}}.items():
        error = late.error("daemon_unreachable", tool, within=10, **arguments)
        assert "ollama serve" in error["hint"]
        assert error["retryable"]
    late.ollama = mortal.start()
    late.begin()
    late.end()


@WAYS
def test_it_dies_in_an_answer_and_comes_back(before: Scene, mortal: Mortal) -> None:
    call = before.start()
    mortal.kill()
    error = before.error("daemon_error", call)
    assert error["retryable"]
    assert error["details"]["content"]
    before.error("daemon_unreachable", "ollama_generate", within=10, **STORY)
    before.ollama = mortal.start()
    before.end()


@WAYS
def test_it_is_restarted_between_two_calls(before: Scene, mortal: Mortal) -> None:
    calls = [before.peer.start("ollama_generate", WORD) for _ in range(8)]
    for call in calls:
        assert not call.result().get("isError")
    before.ollama = mortal.start()
    for _ in range(3):
        before.works()  # although what is kept of connections leads to the one before
    before.figures |= {"error": "none"}
    before.end()


@WAYS
def test_it_is_frozen_and_goes_on(before: Scene, mortal: Mortal) -> None:
    mortal.send(signal.SIGSTOP)
    arguments = {**STORY, "timeout": 1000}
    before.error("timeout", "ollama_generate", within=10, **arguments)
    late = before.peer.start("ollama_generate", WORD)
    time.sleep(0.5)
    assert not late.has_reply
    mortal.send(signal.SIGCONT)
    assert not late.result().get("isError")
    before.end()


@WAYS
def test_its_runner_dies_in_an_answer(before: Scene) -> None:
    call = before.start()
    (victim,) = runner.pids(before.ollama.pid)
    os.kill(victim, signal.SIGKILL)
    assert before.error("daemon_error", call)["details"]["content"]
    before.end()


@pytest.mark.parametrize("scene", EVERY, indirect=True, ids=lambda way: "-".join(way))
def test_a_runner_that_dies_while_nobody_asks_is_not_missed(scene: Scene) -> None:
    for victim in runner.pids(scene.ollama.pid):
        os.kill(victim, signal.SIGKILL)
    scene.works()
    scene.figures |= {"error": "none"}


def test_a_model_is_deleted_in_an_answer(scene: Scene, tmp_path: Path) -> None:
    with ExitStack() as stack:
        # in the cache, for the store's files are hard links
        folder = Path(stack.enter_context(TemporaryDirectory(dir=cache.folder())), "store")
        store = daemon.clone_store(daemon.shared_store(cache.folder()), folder)
        ollama = stack.enter_context(daemon.start(cache.folder(), store=store))
        server = stack.enter_context(Stdio(tmp_path, **told(ollama.url)))
        bereft = Scene(server, server, ollama, scene.wire, scene.figures)
        gone = {"model": models.TOOLS}
        call = bereft.start("ollama_generate", **{**STORY, **gone})
        httpx.request("DELETE", f"{ollama.url}/api/delete", json=gone, trust_env=False)
        assert call.result()["structuredContent"]["done_reason"] in ("stop", "length")
        time.sleep(2.1)  # until the list is asked for anew
        error = bereft.error("model_not_found", "ollama_generate", **{**STORY, **gone})
        assert "ollama_pull" in error["hint"]
        bereft.works()


@WAYS
def test_our_server_dies_and_the_daemon_is_free(before: Scene, server: Stdio | Http) -> None:
    for _ in range(3):
        before.peer.start("ollama_generate", STORY)
    before.start()
    began = time.monotonic()
    server.process.kill()
    server.wait()
    runner.wait_until_idle(before.ollama.pid, window=0.1)
    before.figures |= {"error": "none", "seconds": round(time.monotonic() - began, 2)}
    assert not server.has_orphans


def test_one_of_two_processes_dies_and_is_replaced(scene: Scene, tmp_path: Path) -> None:
    with Http(tmp_path, "--workers", "2", era=OLD[-1], **told(scene.wire.url)) as server:
        workers = wait_for(lambda: found if len(found := children(server)) == 2 else None)
        began = time.monotonic()
        os.kill(workers[0], signal.SIGKILL)
        wait_for(lambda: len(children(server)) == 2 and workers[0] not in children(server))
        scene.figures |= {"error": "none", "seconds": round(time.monotonic() - began, 2)}
        for _ in range(8):
            result = server.call("ollama_generate", **WORD)
            assert not result.get("isError"), result


def children(server: Http) -> list[int]:
    """Return the ids of the processes that serve, and not of multiprocessing's own."""
    own = []
    for pid in runner.pids(server.process.pid):
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
        if b"resource_tracker" not in words and words:
            own.append(pid)
    return own
