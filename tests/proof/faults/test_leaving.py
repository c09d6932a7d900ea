"""Callers leave, cancel, or stop listening; the server is told to end under load."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from scripts.testbed import runner
from tests.proof.faults.conftest import told
from tests.proof.faults.scene import STORY, WORD, Scene, clean
from tests.wire import COMMAND, EVERY, NEW, OLD, ROOT, Http, HttpCall, Stdio, call_params, envelope

pytestmark = pytest.mark.live

HTTP = [way for way in EVERY if way[0] == "http"]


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    ("scene", "times"),
    [(way, 1000 if way == ("stdio", NEW) else 100) for way in EVERY],
    indirect=["scene"],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else str(value),
)
def test_cancellations_in_a_row(scene: Scene, times: int) -> None:
    chance = random.Random(7)
    began = time.monotonic()
    for number in range(times):
        call = scene.peer.start("ollama_generate", STORY, progress=number % 2 == 0)
        if number % 50 == 0:
            call.until("")
        time.sleep(chance.choice((0, 0.002, 0.01, 0.03)))
        call.cancel()
    runner.wait_until_idle(scene.ollama.pid, window=0.1)
    took = time.monotonic() - began
    scene.figures |= {"error": "none", "seconds": round(took, 2), "cancelled": times}


@pytest.mark.parametrize("scene", HTTP, indirect=True, ids=lambda way: way[1])
def test_clients_that_are_gone_in_an_answer(scene: Scene) -> None:
    calls = [scene.peer.start("ollama_generate", STORY) for _ in range(20)]
    time.sleep(0.5)
    began = time.monotonic()
    for call in calls:
        assert isinstance(call, HttpCall)
        call.close()
        if not scene.peer.is_new:  # in the older era that means nothing: it may come back
            scene.peer.cancel(call)
    runner.wait_until_idle(scene.ollama.pid, window=0.1)
    scene.figures |= {"error": "none", "seconds": round(time.monotonic() - began, 2)}


@pytest.mark.parametrize("era", [OLD[-1], NEW])
@pytest.mark.parametrize("how", [None, signal.SIGTERM, signal.SIGINT])
def test_stdio_ends_under_load(
    scene: Scene, tmp_path: Path, era: str, how: signal.Signals | None
) -> None:
    with Stdio(tmp_path, era=era, **told(scene.wire.url)) as server:
        for _ in range(12):
            server.start("ollama_generate", STORY)
        server.start("ollama_generate", STORY).until("")
        took = server.end(how, timeout=15)
        scene.figures |= {"error": "none", "seconds": round(took, 2)}
        clean(server)
        assert not server.has_orphans
    assert took < 10
    runner.wait_until_idle(scene.ollama.pid, window=0.1)


def test_http_ends_under_load(scene: Scene, tmp_path: Path) -> None:
    with Http(tmp_path, "--shutdown-seconds", "2", **told(scene.wire.url)) as server:
        calls = [server.start("ollama_generate", STORY)]
        calls[0].until("writing")
        calls += [server.start("ollama_generate", STORY) for _ in range(11)]
        took = server.end(signal.SIGTERM, timeout=20)
        replies = Counter(
            "cut" if "closed" in (reply := call.reply(5)) else str("result" in reply)
            for call in calls
        )
        scene.figures |= {"error": "none", "seconds": round(took, 2), "cut": replies["cut"]}
        clean(server)
        assert not server.has_orphans
    assert took < 15
    runner.wait_until_idle(scene.ollama.pid, window=0.1)


def test_a_host_that_reads_nothing_any_more(scene: Scene, tmp_path: Path) -> None:
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    deaf = subprocess.Popen(
        COMMAND,
        cwd=tmp_path,
        env={**variables, **told(scene.wire.url), "OLLAMA_MCP_START_DAEMON": "never"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert deaf.stdin
    assert deaf.stdout
    try:
        for number in range(40):  # 35 kB each: more than the pipe holds
            params = {"_meta": envelope()}
            send(deaf, {"id": number, "method": "tools/list", "params": params})
        meant = call_params("ollama_generate", STORY)
        meant["_meta"] = envelope(progressToken="t")
        send(deaf, {"id": 99, "method": "tools/call", "params": meant})
        time.sleep(2)
        began = time.monotonic()
        deaf.stdin.close()
        time.sleep(0.5)
        deaf.terminate()  # as the protocol has it, where closing stdin does not do
        deaf.wait(15)
        scene.figures |= {"error": "none", "seconds": round(time.monotonic() - began, 2)}
    finally:
        deaf.kill()
        deaf.wait()
        deaf.stdout.close()
    runner.wait_until_idle(scene.ollama.pid, window=0.1)


def send(process: subprocess.Popen[bytes], message: dict[str, object]) -> None:
    assert process.stdin
    process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    process.stdin.flush()


def test_requests_that_are_no_requests(scene: Scene) -> None:
    server = scene.server
    assert isinstance(server, Stdio)
    for line in ("", "{", "[]", "null", '{"jsonrpc": "2.0"}', "\x00", "é" * 100_000, "[" * 50_000):
        server.write(line)
    result = scene.peer.call("ollama_generate", **WORD)
    assert not result.get("isError")
    scene.figures |= {"error": "none"}
