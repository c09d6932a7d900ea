"""The server over stdio and HTTP, in both eras, in raw JSON-RPC, with a real daemon behind it."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.testbed import daemon, models, runner, wire
from tests.wire import (
    INT,
    NEW,
    OLD,
    TERM,
    Client,
    Http,
    HttpClient,
    Stdio,
    within,
)

pytestmark = pytest.mark.live

CAPITAL = "What is the capital of France?"
#: Writes for some twenty seconds on two cores.
LONG = {"model": models.CHAT, "prompt": "1, 2, 3, 4, 5, 6,", "raw": True}
LONG_OPTIONS = {"temperature": 0, "num_predict": 1500}


def test_each_kind_of_call_is_answered(peer: Client) -> None:
    listed = peer.call("ollama_list")["structuredContent"]["models"]
    assert {models.CHAT, models.EMBED} <= {model["name"] for model in listed}
    shown = peer.call("ollama_show", model=models.EMBED)["structuredContent"]
    assert shown["capabilities"] == ["embedding"]
    loaded = peer.call("ollama_load", model=models.CHAT)["structuredContent"]
    assert loaded["done_reason"] == "load"
    running = peer.call("ollama_ps")["structuredContent"]
    assert models.CHAT in [model["name"] for model in running["models"]]

    messages = [{"role": "user", "content": CAPITAL}]
    said = peer.call("ollama_generate", model=models.CHAT, prompt=CAPITAL)
    assert "Paris" in said["structuredContent"]["content"]
    assert "Paris" in said["content"][0]["text"]
    said = peer.call("ollama_chat", model=models.CHAT, messages=messages)
    assert "Paris" in said["structuredContent"]["content"]
    said = peer.call("chat_completion", model=models.CHAT, messages=messages)
    assert "Paris" in said["structuredContent"]["choices"][0]["message"]["content"]
    vectors = peer.call("ollama_embed", model=models.EMBED, input=["one", "two"])
    assert [len(v) for v in vectors["structuredContent"]["embeddings"]] == [384, 384]


@pytest.mark.parametrize("peer", [("stdio", NEW), ("http", OLD[-1])], indirect=True, ids=str)
def test_progress_increases_from_the_reading_of_the_prompt_to_its_last_word(peer: Client) -> None:
    options = {"num_predict": 60, "num_batch": 16, "num_thread": 1, "temperature": 0}
    # of its own for each client, or the daemon takes the prompt from its cache
    prompt = f"{peer.era} {type(peer).__name__} " + " ".join(f"w{n}" for n in range(120))
    arguments = {"model": models.CHAT, "prompt": prompt, "options": options}
    # loaded with these options first: who looks while it loads may see it read no more
    peer.call("ollama_generate", **{**arguments, "prompt": "Hello"})
    call = peer.start("ollama_generate", arguments)
    began, times, seen = time.monotonic(), [], 0
    while not call.has_reply and time.monotonic() - began < 60:
        if len(call.notes) > seen:
            seen = len(call.notes)
            times.append(time.monotonic())
        time.sleep(0.005)
    assert not call.result().get("isError"), call.result()
    values = [note["progress"] for note in call.notes]
    told = [note["message"].split()[0].rstrip(":") for note in call.notes]
    assert all(later > earlier for earlier, later in pairwise(values)), values
    assert list(dict.fromkeys(told)) == ["reading", "writing"], told
    assert max(later - earlier for earlier, later in pairwise([began, *times])) < 5
    assert len(values) <= 10 * (times[-1] - began) + 2


def test_while_the_daemon_says_nothing_there_is_a_note_every_five_seconds(
    ollama: daemon.Daemon, tmp_path: Path
) -> None:
    with (
        wire.start(ollama.url, delay=6.5) as slow,
        Http(tmp_path, OLLAMA_HOST=slow.url) as server,
    ):
        peers = [server, HttpClient(server.url, OLD[-1])]
        arguments = {"model": models.CHAT, "prompt": CAPITAL}
        began = time.monotonic()
        calls = [peer.start("ollama_generate", arguments) for peer in peers]
        for call in calls:
            call.until("", 5 - (time.monotonic() - began))
        time.sleep(5 - (time.monotonic() - began))
        assert not any(call.has_reply for call in calls), "the daemon should still be silent"
        for call in calls:
            assert not call.result().get("isError")


@pytest.mark.parametrize("number", [TERM, INT, None], ids=["SIGTERM", "SIGINT", "closed stdin"])
def test_the_end_of_a_stdio_server_leaves_the_runner_idle(
    number: int | None, ollama: daemon.Daemon, tmp_path: Path
) -> None:
    def attempt() -> float:
        with Stdio(tmp_path, OLLAMA_HOST=ollama.url) as server:
            server.start("ollama_generate", {**LONG, "options": LONG_OPTIONS}).until("writing")
            assert not runner.is_idle(ollama.pid, 0.1)
            took = server.end(number)
            idle = runner.wait_until_idle(ollama.pid, window=0.1)
            assert "Traceback" not in server.stderr
            assert not server.has_orphans
            return took + idle

    within(1.0, attempt)


def test_http_lets_a_running_generation_end_and_a_second_signal_stops_it(
    ollama: daemon.Daemon, tmp_path: Path
) -> None:
    short = {**LONG, "options": {**LONG_OPTIONS, "num_predict": 250}}
    with Http(tmp_path, OLLAMA_HOST=ollama.url) as server:
        calls = [
            peer.start("ollama_generate", short)
            for peer in (server, HttpClient(server.url, OLD[-1]))
        ]
        for call in calls:
            call.until("writing")
        server.process.send_signal(TERM)
        for call in calls:
            assert call.result()["structuredContent"]["usage"]["completion_tokens"] == 250
        assert server.wait() < 5
        assert "Traceback" not in server.stderr

    with Http(tmp_path, OLLAMA_HOST=ollama.url) as server:
        server.start("ollama_generate", {**LONG, "options": LONG_OPTIONS}).until("writing")
        server.process.send_signal(TERM)
        time.sleep(0.3)
        assert not runner.is_idle(ollama.pid, 0.1)
        assert server.end(TERM) < 1
        runner.wait_until_idle(ollama.pid, 2)
        assert not server.has_orphans
