"""No room: the daemon's disk is full in a pull, its queue is full."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from scripts.testbed import binaries, cache, daemon, models, registry, runner
from tests.proof.faults.conftest import told
from tests.proof.faults.scene import Scene
from tests.wire import Stdio

pytestmark = pytest.mark.live

#: Ollama on a disk of 24 MB of its own, which ends with it; `-r` where nobody is root here.
TIGHT = """#!/bin/sh
exec unshare -m{more} sh -c 'mount -t tmpfs -o size=24m tmpfs "$OLLAMA_MODELS" && exec "$0" "$@"' \
{program} "$@"
"""


@pytest.fixture
def tight(tmp_path: Path) -> Iterator[daemon.Daemon]:
    """A daemon without models on a disk that is too small for one."""
    program = tmp_path / "ollama"
    more = "" if os.geteuid() == 0 else "Ur"
    program.write_text(TIGHT.format(more=more, program=binaries.install(cache.folder())))
    program.chmod(0o755)
    with daemon.start(cache.folder(), store=tmp_path / "store", program=program) as ollama:
        yield ollama


def test_a_disk_that_is_full_in_a_pull(scene: Scene, tight: daemon.Daemon, tmp_path: Path) -> None:
    with registry.start(cache.folder()) as shelf:
        name = f"{shelf.name}/lab/embed:1"
        copied = {"source": models.EMBED, "destination": name}
        ask(scene.ollama.url, "copy", **copied)
        ask(scene.ollama.url, "push", model=name, insecure=True, stream=False)
        gone = {"model": name}
        httpx.request("DELETE", f"{scene.ollama.url}/api/delete", json=gone, trust_env=False)
        with Stdio(tmp_path, **told(tight.url)) as server:
            full = Scene(server, server, tight, scene.wire, scene.figures)
            error = full.error("too_large", "ollama_pull", within=60, model=name, insecure=True)
            assert str(tmp_path) not in str(error)  # where the store is
            assert "ollama_delete" in error["hint"]
            listed = server.call("ollama_list")
            assert listed["structuredContent"]["models"] == []


def ask(url: str, path: str, **body: object) -> None:
    httpx.post(f"{url}/api/{path}", json=body, timeout=60, trust_env=False).raise_for_status()


def test_a_queue_that_stays_full(scene: Scene, tmp_path: Path) -> None:
    narrow = {
        "OLLAMA_MAX_QUEUE": "1",
        "OLLAMA_NUM_PARALLEL": "1",
        "OLLAMA_MAX_LOADED_MODELS": "1",
    }
    with (
        daemon.start(cache.folder(), env=narrow) as ollama,
        Stdio(tmp_path, **told(ollama.url)) as server,
    ):
        full = Scene(server, server, ollama, scene.wire, scene.figures)
        story = full.start()
        (held,) = runner.pids(ollama.pid)
        os.kill(held, signal.SIGSTOP)
        embed = {"model": models.EMBED, "input": "Hi"}
        waiting = [server.start("ollama_embed", embed) for _ in range(2)]
        time.sleep(0.3)
        late = server.start("ollama_embed", embed)
        late.until("queued")
        error = full.error("queue_full", late, within=45)
        assert error["retryable"]
        os.kill(held, signal.SIGCONT)
        for call in (story, *waiting):
            assert not call.result().get("isError")
        assert not server.call("ollama_embed", **embed).get("isError")


def test_conversations_that_cannot_be_written(scene: Scene, tmp_path: Path) -> None:
    more = {"OLLAMA_MCP_STATE_URL": f"file://{tmp_path / 'state'}"}
    with Stdio(tmp_path, **told(scene.wire.url, **more)) as server:
        full = Scene(server, server, scene.ollama, scene.wire, scene.figures)
        chat = {
            "model": models.CHAT,
            "messages": [{"role": "user", "content": "Hi"}],
            "conversation": "new",
            "options": {"num_predict": 2},
        }
        assert not server.call("ollama_chat", **chat).get("isError")
        longest(server.process.pid, 0)
        result = server.call("ollama_chat", **chat)
        assert result.get("isError"), result
        assert str(tmp_path) not in str(result)
        scene.figures |= {"error": result["structuredContent"]["error"]["code"]}
        longest(server.process.pid, resource.RLIM_INFINITY)
        full.works()
        assert not server.call("ollama_chat", **chat).get("isError")


def longest(pid: int, size: int) -> None:
    """Let no file that a process writes be longer than this; the kernel refuses what is."""
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
