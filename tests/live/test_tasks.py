"""Tasks in a Valkey that two servers share: one is killed in mid-work, the other takes it up."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from ollama_mcp_server.delegation.memory.valkey import PREFIX
from ollama_mcp_server.tasks import engine
from scripts.testbed import models, registry, runner, valkey
from scripts.testbed.daemon import Daemon
from tests import wire
from tests.conftest import CHAT
from tests.fake_ollama import FakeOllama
from tests.live.sessions import CACHE, own_daemon
from tests.test_tasks import KEY, MODEL, Asking, asked, kept

pytestmark = pytest.mark.live

ITEMS = 24
#: An MCP server that tells the weather.
CITY = Path(__file__).parent.parent / "servers" / "city.py"
#: Seconds for which a worker is silent before another takes up its work, and the command with it.
SILENCE = 1
QUICK = f"""
from ollama_mcp_server.settings import quiet_the_frame
quiet_the_frame()
from datetime import timedelta
from ollama_mcp_server.tasks import engine
engine.SILENCE = timedelta(seconds={SILENCE})
from ollama_mcp_server.cli import main
main()
"""


Serve = Callable[[str], wire.Http]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the servers may write."""
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def serve(
    store: valkey.Valkey, root: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serve]:
    """Make servers that share a store and a folder."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "COMMAND", (sys.executable, "-c", QUICK))
        yield lambda url: wire.Http(
            home,
            OLLAMA_HOST=url,
            OLLAMA_MCP_ROOTS=str(root),
            OLLAMA_MCP_TASKS="1",
            OLLAMA_MCP_STATE_URL=store.url.replace("redis:", "valkey:"),
            OLLAMA_MCP_REQUEST_STATE_KEY=KEY,
            OLLAMA_MCP_KEYS=json.dumps({"keys": [kept("ann"), kept("bob")]}),
        )


@pytest.fixture(scope="module")
def two(serve: Serve, one_daemon: FakeOllama) -> Iterator[tuple[wire.Http, wire.Http]]:
    """Servers before the scripted daemon, which tells how often it was asked."""
    with serve(one_daemon.url) as first, serve(one_daemon.url) as second:
        yield first, second


@contextmanager
def stopped(server: wire.Http) -> Iterator[None]:
    """Keep a server from taking up tasks."""
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


def batch(output: str) -> dict[str, Any]:
    return {
        "model": models.CHAT,
        "prompt": "Write a sentence about the number {item}.",
        "items": [str(number) for number in range(ITEMS)],
        "options": {"temperature": 0, "num_predict": 24},
        "output": output,
    }


def lines_of(file: Path) -> int:
    return len(file.read_bytes().splitlines()) if file.exists() else 0


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + wire.PATIENCE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_what_a_killed_server_had_is_taken_up_and_nothing_done_twice(
    serve: Serve, ollama_host: str, root: Path
) -> None:
    file = root / "out.jsonl"
    with serve(ollama_host) as first, serve(ollama_host) as second:
        with stopped(second):
            task = Asking(first.url, token="ann").begin("ollama_batch", **batch(file.name))
            until(lambda: lines_of(file) > 3)
        first.process.kill()
        first.process.wait()
        assert lines_of(file) <= ITEMS, "it was killed in mid-work"
        ann, bob = Asking(second.url, token="ann"), Asking(second.url, token="bob")
        said = ann.end(task)["result"]["structuredContent"]
        assert "error" in bob.ask_for("tasks/get", taskId=task)
    assert (said["done"], said["failed"]) == (ITEMS, 0)
    assert any("done by an earlier call" in warning for warning in said["warnings"])
    lines = [json.loads(line) for line in file.read_text().splitlines()[1:]]
    assert sorted(line["index"] for line in lines) == list(range(ITEMS))


def test_any_server_can_cancel_and_none_keeps_secrets_in_the_open(
    two: tuple[wire.Http, wire.Http], store: valkey.Valkey, daemon: FakeOllama
) -> None:
    anns = [Asking(server.url, token="ann") for server in two]
    daemon.hold("/api/pull")
    tasks = [ann.begin("ollama_pull", model=MODEL) for ann in (*anns, *anns)]
    until(lambda: len(asked(daemon, "/api/pull")) == len(tasks))
    with Redis.from_url(store.url) as client:
        names = list(client.scan_iter("*"))
        values = [client.get(name) for name in names if client.type(name) == b"string"]
    ours = {engine.NAME.encode(), PREFIX.encode().rstrip(b":")}  # those of limits beside them
    assert {name.partition(b":")[0] for name in names} <= ours
    assert len(values) > len(tasks)
    assert not [value for value in values if value and b"Bearer" in value]
    for task in tasks:
        anns[0].ask_for("tasks/cancel", taskId=task)
    until(lambda: all(request.closed_early for request in asked(daemon, "/api/pull")))


def test_a_store_that_was_away_makes_no_second_worker(
    two: tuple[wire.Http, wire.Http], store: valkey.Valkey, daemon: FakeOllama
) -> None:
    first, second = two
    daemon.hold("/api/chat")
    call = {"model": CHAT, "prompt": "Hello", "items": ["a"]}
    task = Asking(first.url, token="ann").begin("ollama_batch", **call)
    until(lambda: bool(asked(daemon, "/api/chat")))
    with Redis.from_url(store.url) as client:  # for which alone there is room
        client.config_set("maxclients", 1)
        client.client_kill_filter(_type="normal")
        time.sleep(4 * SILENCE)
        client.config_set("maxclients", 1000)
    time.sleep(3 * SILENCE)  # in which a second worker is given the task
    ann = Asking(second.url, token="ann")
    said = ann.ask_for("tasks/get", taskId=task)["result"]
    assert said["status"] == "working", json.dumps(said)
    daemon.release("/api/chat")
    assert ann.end(task)["result"]["structuredContent"]["done"] == 1
    assert len(asked(daemon, "/api/chat")) == 1


def test_what_a_server_leaves_at_its_end_is_taken_up(
    two: tuple[wire.Http, wire.Http], daemon: FakeOllama
) -> None:
    first, second = two
    daemon.hold("/api/pull")
    with stopped(second):
        task = Asking(first.url, token="ann").begin("ollama_pull", model=MODEL)
        until(lambda: bool(asked(daemon, "/api/pull")))
    first.end(signal.SIGTERM)
    until(lambda: asked(daemon, "/api/pull")[0].closed_early)
    daemon.release("/api/pull")
    said = Asking(second.url, token="ann").end(task)["result"]["structuredContent"]
    assert said["status"] == "success"


# With a real daemon, a real registry and a real server for the model


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Asking, Daemon]]:
    """A client of a server that keeps tasks in memory, and the daemon before which it stands."""
    city = {
        "name": "city", "command": sys.executable, "args": [str(CITY), "17 degrees"],
        "auto_enable": "always", "trusted": True,
    }  # fmt: skip
    with (
        own_daemon() as (ollama, _),
        wire.Http(
            tmp_path_factory.mktemp("home"),
            OLLAMA_HOST=ollama.url,
            OLLAMA_MCP_TASKS="1",
            OLLAMA_MCP_SERVERS=json.dumps([city]),
        ) as server,
    ):
        yield Asking(server.url), ollama


def test_a_model_is_pulled_by_a_task(real: tuple[Asking, Daemon]) -> None:
    client, ollama = real
    with registry.start(CACHE) as shelf:
        name = f"{shelf.name}/lab/embed:1"
        for tool, arguments in (
            ("ollama_copy", {"source": models.EMBED, "destination": name}),
            ("ollama_push", {"model": name, "insecure": True, "stream": False}),
        ):
            path = f"{ollama.url}/api/{tool.removeprefix('ollama_')}"
            httpx.post(path, json=arguments, trust_env=False, timeout=60).raise_for_status()
        for gone in (name, models.EMBED):
            client.call("ollama_delete", model=gone)
        said = client.end(client.begin("ollama_pull", model=name, insecure=True))
    assert said["result"]["structuredContent"]["status"] == "success"
    listed = client.call("ollama_list")["structuredContent"]["models"]
    assert name in [row["name"] for row in listed]


def test_an_agent_works_as_a_task(real: tuple[Asking, Daemon]) -> None:
    client, _ = real
    task = client.begin(
        "ollama_agent",
        task="What is the weather in Oslo?",
        model=models.TOOLS,
        tools=["get_weather"],
    )
    steps = client.end(task)["result"]["structuredContent"]["steps"]
    assert (steps[0]["tool"], steps[0]["arguments"]) == ("city:get_weather", {"city": "Oslo"})
    assert "17 degrees" in steps[0]["result"]


def test_a_task_that_is_cancelled_frees_the_runner(real: tuple[Asking, Daemon]) -> None:
    client, ollama = real
    long = {"num_predict": 3000, "num_thread": 1, "num_ctx": 4096, "stop": ["###"]}
    task = client.begin(
        "ollama_batch", model=models.CHAT, prompt="1 2 3 4 5 6 {item}", items=["7"], options=long
    )
    until(lambda: bool(runner.pids(ollama.pid)) and not runner.is_idle(ollama.pid))
    client.ask_for("tasks/cancel", taskId=task)
    runner.wait_until_idle(ollama.pid)
    assert client.end(task)["status"] == "cancelled"
