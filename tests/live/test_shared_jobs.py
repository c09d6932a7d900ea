"""Two servers of one deployment, as processes with a real Valkey: each answers for the other."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.testbed import models, runner, valkey
from scripts.testbed.daemon import Daemon
from tests.conftest import CHAT, HELLO
from tests.fake_ollama import FakeOllama
from tests.live.sessions import CACHE
from tests.tools.test_agent import calls, notes
from tests.tools.test_chat import final, says
from tests.wire import PREFIX, Http, call_params

pytestmark = pytest.mark.live

#: Counting goes on for ever, and one thread is slow.
SLOW = {"num_ctx": 4096, "num_thread": 1}
KEY = "a key that both servers have, of more than 32 bytes"


def story(tokens: int) -> dict[str, Any]:
    """Return the arguments of a call that takes some seconds."""
    return {
        "model": models.CHAT,
        "prompt": "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
        "raw": True,
        "options": {**SLOW, "num_predict": tokens, "temperature": 0, "stop": ["###"]},
    }


def server(home: Path, daemon: str, store: valkey.Valkey, wait: str = "0.3") -> Http:
    """Start a server that answers within `wait` seconds."""
    return Http(
        home,
        OLLAMA_HOST=daemon,
        OLLAMA_MCP_STATE_URL=store.url,
        OLLAMA_MCP_REQUEST_STATE_KEY=KEY,
        OLLAMA_MCP_SERVERS=json.dumps([notes()]),
        OLLAMA_MCP_WAIT=wait,
    )


@pytest.fixture(scope="module")
def two(
    ollama: Daemon, store: valkey.Valkey, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Http, Http]]:
    """Two servers of a real daemon, whose model is loaded."""
    home = tmp_path_factory.mktemp("home")
    with server(home, ollama.url, store) as here, server(home, ollama.url, store) as there:
        here.call("ollama_load", model=models.CHAT, options=SLOW)
        yield here, there


def begun(server: Http, **arguments: Any) -> str:
    """Call ollama_generate, which must become a job; return its handle."""
    said = server.call("ollama_generate", **arguments)["structuredContent"]
    assert said["status"] == "running"
    return str(said["job"])


def test_a_job_is_listed_and_waited_for_at_the_other_server(two: tuple[Http, Http]) -> None:
    here, there = two
    job = begun(here, **story(250))
    listed = there.call("ollama_job", action="list")["structuredContent"]["jobs"]
    assert (listed[0]["job"], listed[0]["status"]) == (job, "running")
    waiting = there.start("ollama_job", {"job": job, "wait": 60})
    result = waiting.result(60)
    assert result["structuredContent"]["usage"]["completion_tokens"] == 250
    own = here.call("ollama_job", job=job)
    for part in ("content", "structuredContent"):
        assert result[part] == own[part]
    assert result["_meta"]["ollama/final"] == own["_meta"]["ollama/final"]


def test_a_job_that_is_cancelled_at_the_other_server_stops_the_model(
    two: tuple[Http, Http], ollama: Daemon
) -> None:
    here, there = two
    job = begun(here, **story(3000))
    assert not runner.is_idle(ollama.pid)
    said = there.call("ollama_job", job=job, action="cancel")["structuredContent"]
    assert said["status"] == "cancelled"
    runner.wait_until_idle(ollama.pid)
    assert here.call("ollama_job", job=job)["structuredContent"]["status"] == "cancelled"


def test_a_killed_server_is_told_of_and_results_outlive_one(
    two: tuple[Http, Http], ollama: Daemon, store: valkey.Valkey, tmp_path: Path
) -> None:
    _, there = two
    with server(tmp_path, ollama.url, store) as killed:
        done = begun(killed, **story(250))
        result = killed.start("ollama_job", {"job": done, "wait": 60}).result(60)
        lost = begun(killed, **story(3000))
        waiting = there.start("ollama_job", {"job": lost, "wait": 120})
        os.kill(killed.process.pid, signal.SIGKILL)
    runner.wait_until_idle(ollama.pid)
    error = waiting.result(60)["structuredContent"]["error"]
    assert error["code"] == "server_down"
    assert error["retryable"]
    assert "ollama_generate" in error["hint"]
    assert there.call("ollama_job", job=done)["structuredContent"] == result["structuredContent"]


def test_a_yes_that_comes_to_the_other_server_goes_on_with_the_run(
    daemon: FakeOllama, store: valkey.Valkey, tmp_path: Path
) -> None:
    daemon.reply("/api/chat", calls(("notes__delete", {"name": "token"})), final())
    daemon.reply("/api/chat", says("That was it."), final())

    def asked(server: Http, **more: Any) -> dict[str, Any]:
        able = {f"{PREFIX}/clientCapabilities": {"elicitation": {"form": {}}}}
        told = call_params("ollama_agent", {"task": "Delete the token", "model": CHAT})
        return server.result("tools/call", {**told, **more, "_meta": able})

    with (
        server(tmp_path, daemon.url, store, "60") as here,
        server(tmp_path, daemon.url, store, "60") as there,
    ):
        question = asked(here)
        yes = {"confirm": {"action": "accept", "content": {"confirm": True}}}
        answer = {"inputResponses": yes, "requestState": question["requestState"]}
        said = asked(there, **answer)["structuredContent"]
        assert said["content"] == "That was it."
        assert said["steps"][0]["result"] == "deleted"
        again = asked(here, **answer)
        assert again["isError"]
        assert "the run that asked is over" in again["content"][0]["text"]


def test_without_the_store_each_server_answers_for_its_own(
    daemon: FakeOllama, tmp_path: Path
) -> None:
    daemon.hold("/api/chat")
    chat = {"model": CHAT, "messages": HELLO}
    with (
        valkey.start(CACHE) as store,
        server(tmp_path, daemon.url, store, "0.2") as here,
        server(tmp_path, daemon.url, store) as there,
    ):
        job = here.call("ollama_chat", **chat)["structuredContent"]["job"]
        store.stop()
        listed = here.call("ollama_job", action="list")["structuredContent"]
        assert [row["job"] for row in listed["jobs"]] == [job]
        assert "nothing answers" in listed["warnings"][0]
        error = there.call("ollama_job", job=job)["structuredContent"]["error"]
        assert error["retryable"]
        another = here.call("ollama_chat", **chat)["structuredContent"]["job"]
        daemon.release("/api/chat")
        for handle in (job, another):
            waiting = here.start("ollama_job", {"job": handle, "wait": 60})
            said = waiting.result(90)["structuredContent"]
            assert said.get("content") == "You said: Hello there", said
