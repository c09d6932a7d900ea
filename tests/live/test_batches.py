"""Batches on a real model: 200 items, whatever happens to the server meanwhile."""

from __future__ import annotations

import json
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.testbed import models, runner
from tests.wire import NEW, ROOT, Call, Stdio

pytestmark = pytest.mark.live

#: 200 different items, with short answers: half a minute on two cores.
CALL: dict[str, Any] = {
    "model": models.CHAT,
    "prompt": "Write a sentence about {thing} {number}.",
    "items": [
        {"thing": thing, "number": number}
        for number in range(20)
        for thing in ("apple", "boat", "cat", "door", "egg", "fish", "goat", "hat", "ink", "jar")
    ],
    "options": {"temperature": 0, "num_predict": 8},
    "output": "out.jsonl",
}
#: Python ignores the signal that ends a process whose file has grown too large; here it is deadly.
DEADLY = "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_DFL)"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The root of the servers."""
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def serve(ollama_host: str, folder: Path, tmp_path: Path) -> Callable[[], Any]:
    """Start a server over stdio, as often as a test likes."""
    (tmp_path / "sitecustomize.py").write_text(DEADLY)

    @contextmanager
    def start() -> Iterator[Stdio]:
        with Stdio(
            tmp_path,
            era=NEW,
            OLLAMA_HOST=ollama_host,
            OLLAMA_MCP_ROOTS=str(folder),
            OLLAMA_MCP_WAIT="600",
            PYTHONPATH=f"{tmp_path}:{ROOT}",
        ) as server:
            yield server

    return start


def lines(path: Path) -> list[dict[str, Any]]:
    """The results in a file, without its first line and one that was cut."""
    whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
    return [json.loads(line) for line in whole.splitlines()[1:]]


def until(path: Path, count: int, call: Call) -> None:
    """Wait until a file has so many results."""
    end = time.monotonic() + 300
    while len(lines(path)) < count:
        assert time.monotonic() < end, f"{len(lines(path))} results, {call.notes[-1:]}"
        assert not call.has_reply, call.reply()
        time.sleep(0.01)


def kill(server: Stdio) -> None:
    server.end(signal.SIGKILL)


def cut(server: Stdio, path: Path) -> None:
    """Let the process die in the middle of its next write: so much fits, the rest is deadly."""
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(0.1)
    limit = path.stat().st_size + 60  # no line is that short
    resource.prlimit(server.process.pid, resource.RLIMIT_CORE, (0, 0))
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (limit, limit))
    server.process.send_signal(signal.SIGCONT)
    server.wait(60)
    assert server.process.returncode == -signal.SIGXFSZ
    assert path.stat().st_size == limit
    assert not path.read_bytes().endswith(b"\n")


@pytest.mark.timeout(600)
def test_200_items_are_done_once_whatever_kills_the_server(
    serve: Callable[[], Any], folder: Path
) -> None:
    path = folder / "out.jsonl"
    kept: list[dict[str, Any]] = []
    for count, death in ((20, kill), (80, lambda server: cut(server, path)), (140, kill)):
        with serve() as server:
            until(path, count, server.start("ollama_batch", CALL))
            death(server)
        assert lines(path)[: len(kept)] == kept, "what was done is done"
        kept = lines(path)
        assert count <= len(kept) < 200
    with serve() as server:
        said = server.start("ollama_batch", CALL).result(timeout=300)["structuredContent"]
        written = lines(path)
        assert written[: len(kept)] == kept
        assert [(result["item"]["thing"], result["item"]["number"]) for result in sorted(
            written, key=lambda line: line["index"])] == [
            (item["thing"], item["number"]) for item in CALL["items"]]  # fmt: skip
        assert len({line["digest"] for line in written}) == len(written) == 200
        assert all(line["content"] and "error" not in line for line in written)
        assert (said["done"], said["failed"], said["total"]) == (200, 0, 200)
        assert [result["index"] for result in said["results"]] == [0, 1, 2]
        assert f"{len(kept)} were done by an earlier call" in said["warnings"]

        before = path.read_bytes()
        for other in ({"prompt": "Name {thing}"}, {"model": models.TOOLS}, {"format": "json"}):
            error = server.call("ollama_batch", **{**CALL, **other})["structuredContent"]["error"]
            assert error["code"] == "conflict"
        assert path.read_bytes() == before


def test_a_cancelled_batch_frees_the_runner(
    serve: Callable[[], Any], folder: Path, ollama_pid: int
) -> None:
    options = {"temperature": 0, "num_predict": 2000}
    prompt = "Count: 1, 2, 3, 4, 5, 6, {thing} {number}"
    with serve() as server:
        call = server.start("ollama_batch", {**CALL, "prompt": prompt, "options": options})
        end = time.monotonic() + 30
        while runner.is_idle(ollama_pid, 0.1):
            assert time.monotonic() < end
        call.cancel()
        runner.wait_until_idle(ollama_pid, 5)
    assert lines(folder / "out.jsonl") == []


def test_two_models_answer_each_item(serve: Callable[[], Any], folder: Path) -> None:
    call = {name: value for name, value in CALL.items() if name not in ("model", "output")}
    call |= {"items": CALL["items"][:3], "models": [models.CHAT, models.TOOLS]}
    with serve() as server:
        said = server.call("ollama_batch", **call)["structuredContent"]
    assert [(result["model"], result["index"]) for result in said["results"]] == [
        (model, index) for model in (models.CHAT, models.TOOLS) for index in range(3)
    ]
    assert all(result["content"] for result in said["results"])


def test_a_schema_gives_data(serve: Callable[[], Any], folder: Path) -> None:
    schema = {
        "type": "object",
        "properties": {"alive": {"type": "boolean"}},
        "required": ["alive"],
    }
    with serve() as server:
        said = server.call(
            "ollama_batch", **{**CALL, "items": CALL["items"][:6], "format": schema,
                               "prompt": "Is {thing} alive?", "options": {"num_predict": 50}}
        )["structuredContent"]  # fmt: skip
    assert said["done"] == 6
    assert all(isinstance(line["data"]["alive"], bool) for line in lines(folder / "out.jsonl"))
