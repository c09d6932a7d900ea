"""Cancelling reaches the real runner: on each transport, in each era, in each phase of a call."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from scripts.testbed import daemon, models, runner
from tests.wire import (
    NEW,
    OLD,
    Call,
    Client,
    Http,
    HttpClient,
    Servers,
    Stdio,
    within,
)

pytestmark = pytest.mark.live

COUNT = "1, 2, 3, 4, 5, 6,"
#: Calls that write for many seconds on two cores.
WRITING = {
    "ollama_generate": {
        "model": models.CHAT,
        "prompt": COUNT,
        "raw": True,
        "options": {"temperature": 0, "num_predict": 1500},
    },
    "ollama_chat": {
        "model": models.CHAT,
        "messages": [{"role": "user", "content": f"Count: {COUNT}"}],
        "options": {"temperature": 0, "num_predict": 1500},
    },
    "chat_completion": {
        "model": models.CHAT,
        "messages": [{"role": "user", "content": f"Count: {COUNT}"}],
        "temperature": 0,
        "max_tokens": 1500,
    },
}


def cancelled(call: Call, ollama: daemon.Daemon) -> float:
    """Cancel a call at work; return the seconds until the runner is idle."""
    assert not runner.is_idle(ollama.pid, 0.1), "the runner should be at work"
    began = time.monotonic()
    call.cancel()
    told = time.monotonic() - began
    return told + runner.wait_until_idle(ollama.pid, window=0.1)


def works(peer: Client) -> None:
    """Assert that the next call is answered at once; a model that is gone is loaded first."""
    peer.call("ollama_load", model=models.CHAT)
    began = time.monotonic()
    options = {"num_predict": 3}
    said = peer.call("ollama_generate", model=models.CHAT, prompt="Hello", options=options)
    assert not said.get("isError"), said
    assert time.monotonic() - began < 5


def test_a_cancel_while_it_writes_frees_the_runner_within_a_fifth_of_a_second(
    peer: Client, ollama: daemon.Daemon
) -> None:
    calls = []

    def attempt() -> float:
        calls.append(peer.start("ollama_generate", WRITING["ollama_generate"]))
        calls[-1].until("writing")
        return cancelled(calls[-1], ollama)

    within(0.2, attempt)
    works(peer)
    for call in calls:
        if isinstance(peer, Stdio):
            assert not call.has_reply
        elif not peer.is_new:
            assert "error" in call.reply()


@pytest.mark.parametrize("tool", ["ollama_chat", "chat_completion"])
def test_so_does_a_cancel_of_the_other_tools_that_write(
    tool: str, servers: Servers, ollama: daemon.Daemon
) -> None:
    peer = servers["stdio", NEW]

    def attempt() -> float:
        call = peer.start(tool, WRITING[tool])
        call.until("writing")
        return cancelled(call, ollama)

    within(0.2, attempt)
    works(peer)


def test_a_cancel_while_it_reads_frees_the_runner_after_the_batch(
    peer: Client, ollama: daemon.Daemon
) -> None:
    words = " ".join(f"w{number}" for number in range(480))  # some 1,800 tokens: seconds

    def attempt() -> float:
        prompt = f"{time.monotonic()} {words}"  # not one that the daemon has in its cache
        options = {"num_batch": 32, "num_predict": 5}
        arguments = {"model": models.CHAT, "prompt": prompt, "options": options}
        call = peer.start("ollama_generate", arguments)
        time.sleep(0.3)
        until_busy(ollama)
        call.until("reading")
        return cancelled(call, ollama)

    within(0.5, attempt)


def test_a_cancel_while_the_model_loads_gives_the_load_up(
    peer: Client, ollama: daemon.Daemon
) -> None:
    def attempt() -> float:
        peer.call("ollama_load", model=models.CHAT, keep_alive=0)
        peer.call("ollama_load", model=models.EMBED, keep_alive=0)
        wait_for(lambda: not runner.pids(ollama.pid))
        call = peer.start("ollama_generate", WRITING["ollama_generate"])
        wait_for(lambda: runner.pids(ollama.pid))
        began = time.monotonic()
        call.cancel()
        with suppress(TimeoutError):  # it had loaded already, and stays: try again
            wait_for(lambda: not runner.pids(ollama.pid), 2)
        return time.monotonic() - began

    within(2.0, attempt)
    assert peer.call("ollama_ps")["structuredContent"]["models"] == []
    works(peer)


def test_a_cancelled_embedding_frees_the_runner(servers: Servers, ollama: daemon.Daemon) -> None:
    peer = servers["stdio", NEW]
    texts = [f"{'word ' * 200}{number}" for number in range(200)]

    def attempt() -> float:
        call = peer.start("ollama_embed", {"model": models.EMBED, "input": texts})
        time.sleep(0.3)
        until_busy(ollama)
        took = cancelled(call, ollama)
        assert not call.has_reply
        return took

    within(2.0, attempt)


def test_thirty_cancellations_leave_no_connection_behind(peer: Client, servers: Servers) -> None:
    server = servers["http", NEW] if isinstance(peer, HttpClient) else peer
    works(peer)
    before = sockets(server)
    for _ in range(30):
        call = peer.start("ollama_generate", WRITING["ollama_generate"])
        call.until("writing")
        call.cancel()
    works(peer)
    # one more may be kept for the next call, of those two that a call has to the daemon
    wait_for(lambda: sockets(server) <= before + 1)
    assert "Traceback" not in server.stderr


def test_a_dropped_connection_of_the_older_era_cancels_nothing(
    servers: Servers, ollama: daemon.Daemon
) -> None:
    peer = HttpClient(servers["http", NEW].url, OLD[-1])
    call = peer.start("ollama_generate", WRITING["ollama_generate"])
    call.until("writing")
    call.close()
    time.sleep(0.3)
    assert not runner.is_idle(ollama.pid, 0.1)
    peer.cancel(call)
    runner.wait_until_idle(ollama.pid, 2)


def until_busy(ollama: daemon.Daemon) -> None:
    wait_for(lambda: not runner.is_idle(ollama.pid, 0.05))


def wait_for(condition: Any, timeout: float = 20) -> None:
    """Wait until a condition holds; raises TimeoutError after `timeout` seconds."""
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {timeout} s")
        time.sleep(0.005)


def sockets(server: Stdio | Http) -> int:
    """Return how many sockets a server has open."""
    links = 0
    for file in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(OSError):
            links += "socket:" in str(file.readlink())
    return links
