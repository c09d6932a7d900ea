"""The way to the daemon is slow, stalls or breaks, before an answer and in the middle of one."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from scripts.testbed import models
from tests.proof.faults.conftest import REMOTE, told
from tests.proof.faults.scene import STORY, WORD, Scene
from tests.wire import EVERY, Stdio

pytestmark = pytest.mark.live

#: Seconds after which the list of models is asked for anew.
FRESH = 2.1
EVERYWHERE = pytest.mark.parametrize(
    "scene", [*EVERY, REMOTE], indirect=True, ids=lambda way: "-".join(way)
)
BOTH = pytest.mark.parametrize("scene", [EVERY[1], REMOTE], indirect=True, ids=lambda way: way[1])


@EVERYWHERE
def test_a_connection_that_is_cut_in_an_answer(scene: Scene) -> None:
    call = scene.start()
    scene.wire.cut()
    error = scene.error("daemon_error", call)
    assert error["retryable"]
    assert error["details"]["content"]
    scene.error("daemon_unreachable", "ollama_ps")


@BOTH
@pytest.mark.parametrize("size", [0, 1, 300])
def test_an_answer_that_is_cut_after_some_bytes(scene: Scene, size: int) -> None:
    call = scene.start()
    scene.wire.fault("limit_data", bytes=size)
    error = scene.error("daemon_error", call)
    assert error["details"]["content"]


@BOTH
def test_a_connection_that_is_reset_in_an_answer(scene: Scene) -> None:
    call = scene.start()
    scene.wire.fault("reset_peer", timeout=0)
    assert scene.error("daemon_error", call)["details"]["content"]


@pytest.mark.parametrize("size", [1, 40, 200])
def test_an_answer_that_never_gets_beyond_its_first_bytes(scene: Scene, size: int) -> None:
    time.sleep(FRESH)
    scene.wire.fault("limit_data", bytes=size)
    scene.error("daemon_error", "ollama_list")


@EVERYWHERE
def test_a_stream_that_stalls_ends_when_the_time_is_up(scene: Scene) -> None:
    call = scene.peer.start("ollama_generate", {**STORY, "timeout": 2500})
    call.until("writing")
    scene.wire.fault("timeout", timeout=0)
    error = scene.error("timeout", call, within=12)
    assert error["details"]["content"]


def test_a_stream_that_stalls_is_handed_over_as_a_job(scene: Scene, tmp_path: Path) -> None:
    with Stdio(tmp_path, **told(scene.wire.url, OLLAMA_MCP_WAIT="4")) as server:
        server.call("ollama_generate", **WORD)
        call = server.start("ollama_generate", STORY)
        call.until("writing")
        scene.wire.fault("timeout", timeout=0)
        began = time.monotonic()
        handed = call.result(10)["structuredContent"]
        scene.figures |= {"error": "job", "seconds": round(time.monotonic() - began, 2)}
        assert handed["status"] == "running"
        ended = server.call("ollama_job", job=handed["job"], action="cancel")
        assert ended["structuredContent"]["status"] == "cancelled"


def test_a_connection_that_stalls_and_is_then_closed(scene: Scene) -> None:
    call = scene.start()
    scene.wire.fault("timeout", timeout=400)  # it counts from the last byte of the daemon's
    assert scene.error("daemon_error", call, within=20)["details"]["content"]


#: Calls that ask the daemon something which it knows at once.
QUICK: dict[str, dict[str, Any]] = {
    "ollama_list": {},
    "ollama_ps": {},
    "ollama_show": {"model": models.CHAT},
    "ollama_copy": {"source": models.CHAT, "destination": "testbed/never"},
    "ollama_chat": {"model": models.CHAT, "messages": [{"role": "user", "content": "Hi"}]},
    "ollama_embed": {"model": models.EMBED, "input": "Hi"},
}


def test_a_daemon_that_takes_requests_and_never_answers(scene: Scene) -> None:
    time.sleep(FRESH)
    scene.wire.fault("timeout", timeout=0)
    calls = {tool: scene.peer.start(tool, arguments) for tool, arguments in QUICK.items()}
    for tool, call in calls.items():
        error = scene.error("timeout", call, within=60)
        assert error["retryable"], tool


def test_a_request_that_never_arrives(scene: Scene) -> None:
    scene.wire.fault("timeout", upstream=True, timeout=0)
    arguments = {**STORY, "timeout": 1000}
    scene.error("timeout", "ollama_generate", within=10, **arguments)


def test_an_address_that_takes_no_connection(scene: Scene, tmp_path: Path) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        where = full.getsockname()
        waiting = [socket.socket() for _ in range(3)]
        try:
            for one in waiting:
                one.setblocking(False)
                one.connect_ex(where)
            with Stdio(tmp_path, **told(f"http://127.0.0.1:{where[1]}")) as server:
                server.result("tools/list")
                far = Scene(server, server, scene.ollama, scene.wire, scene.figures)
                far.error("daemon_unreachable", "ollama_list", within=20)
        finally:
            for one in waiting:
                one.close()


SLOW = {
    "latency": {"latency": 150, "jitter": 100},
    "bandwidth": {"rate": 12},
    "slicer": {"average_size": 3, "size_variation": 2, "delay": 50},
}


@pytest.mark.parametrize("kind", SLOW)
@BOTH
def test_a_slow_wire_loses_nothing(scene: Scene, kind: str) -> None:
    short = {**STORY, "options": {"temperature": 0, "num_predict": 60}}
    whole = scene.peer.call("ollama_generate", **short)["structuredContent"]
    scene.wire.fault(kind, **SLOW[kind])
    scene.wire.fault(kind, upstream=True, **SLOW[kind])
    began = time.monotonic()
    said = scene.peer.call("ollama_generate", **short)["structuredContent"]
    scene.figures |= {"error": "none", "seconds": round(time.monotonic() - began, 2)}
    assert said["usage"]["completion_tokens"] == whole["usage"]["completion_tokens"]
    assert len(said["content"]) > 50


def test_cuts_at_random_while_many_call(scene: Scene) -> None:
    stop, codes = threading.Event(), []

    def spoil() -> None:
        while not stop.wait(0.15):
            scene.wire.cut()
            time.sleep(0.05)
            scene.wire.mend()

    spoiler = threading.Thread(target=spoil)
    spoiler.start()
    try:
        word = {**WORD, "timeout": 20_000}
        calls = [scene.peer.start("ollama_generate", word) for _ in range(60)]
        for call in calls:
            result = call.result(30)
            error = result["structuredContent"].get("error") if result.get("isError") else None
            codes.append(error["code"] if error else "answered")
    finally:
        stop.set()
        spoiler.join()
    scene.figures |= {"error": "daemon_error", "of 60": codes.count("daemon_error")}
    assert set(codes) <= {"answered", "daemon_error", "daemon_unreachable"}
