"""Calls that outlast their host's patience, and ollama_job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ollama_mcp_server.patience import PATIENCE, patience
from ollama_mcp_server.server import build_server
from tests.conftest import CHAT, HELLO, Caller, MakeApp, text
from tests.fake_ollama import FakeOllama
from tests.tools.test_chat import final, says

#: Each tool whose work goes on: what it asks the daemon, and how it is called.
LONG: dict[str, tuple[str, dict[str, Any]]] = {
    "ollama_chat": ("/api/chat", {"model": CHAT, "messages": HELLO}),
    "ollama_generate": ("/api/generate", {"model": CHAT, "prompt": "Hello there"}),
    "chat_completion": ("/api/chat", {"model": CHAT, "messages": HELLO}),
    "ollama_pull": ("/api/pull", {"model": "tiny"}),
    "ollama_create": ("/api/create", {"model": "mine", "from": CHAT}),
    "ollama_push": ("/api/push", {"model": CHAT}),
}


@pytest.fixture(params=["legacy", "auto"])
async def client(make_app: MakeApp, request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    """A client of a server that answers within 0.1 s, in either era."""
    async with Caller(build_server(make_app(wait=0.1)), mode=request.param) as caller:
        yield caller


async def handle(client: Caller, tool: str = "ollama_chat") -> str:
    job: str = (await client.call(tool, **LONG[tool][1])).structured_content["job"]
    return job


@pytest.mark.parametrize("tool", LONG)
async def test_the_work_goes_on_and_its_result_is_the_tools_own(
    client: Caller, daemon: FakeOllama, tool: str
) -> None:
    path, arguments = LONG[tool]
    whole = await client.call(tool, **arguments)
    if early := whole.structured_content.get("job"):  # a busy machine
        whole = await client.call("ollama_job", job=early, wait=20)
    assert "job" not in whole.structured_content
    daemon.hold(path)
    said = await client.call(tool, **arguments)
    assert not said.is_error
    job = said.structured_content["job"]
    assert said.structured_content["status"] == "running"
    assert f"ollama_job with job: {job}" in text(said)
    still = await client.call("ollama_job", job=job)
    assert still.structured_content["status"] == "running"
    daemon.release(path)
    result = await client.call("ollama_job", job=job, wait=20)
    assert text(result).splitlines()[0][:9] == text(whole).splitlines()[0][:9]
    assert result.structured_content.keys() == whole.structured_content.keys()
    again = await client.call("ollama_job", job=job, action="read")
    assert again.structured_content == result.structured_content


async def test_what_there_is_so_far_comes_at_once(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", says("Half an"), 3.0, says(" answer"), final())
    said = await client.call("ollama_chat", model=CHAT, messages=HELLO)
    job = said.structured_content["job"]
    while "content" not in said.structured_content:  # a busy machine
        said = await client.call("ollama_job", job=job, action="read")
    assert said.structured_content["content"] == "Half an"
    assert text(said).startswith("Half an\n")
    result = await client.call("ollama_job", job=job, wait=20)
    assert result.structured_content["content"] == "Half an answer"
    assert result.meta["ollama/final"]["eval_count"] == 2


async def test_an_error_comes_later_too(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", says("Half an"), 0.3, error="the runner died")
    job = await handle(client)
    error = await client.error("ollama_job", job=job, wait=20)
    assert error["code"] == "daemon_error"
    assert error["details"]["content"] == "Half an"


async def test_a_cancelled_job_stops_at_the_daemon(client: Caller, daemon: FakeOllama) -> None:
    daemon.hold("/api/chat")
    job = await handle(client)
    await daemon.until(lambda: any(r.path == "/api/chat" for r in daemon.requests), 20)
    said = await client.call("ollama_job", job=job, action="cancel")
    assert said.structured_content["status"] == "cancelled"
    asked = next(request for request in daemon.requests if request.path == "/api/chat")
    await daemon.until(lambda: asked.closed_early)
    assert (await client.call("ollama_job", job=job)).structured_content["status"] == "cancelled"


async def test_a_call_that_is_cancelled_before_it_has_a_handle_stops(
    make_app: MakeApp, daemon: FakeOllama
) -> None:
    app = make_app(wait=30)
    async with Caller(build_server(app), mode="auto") as caller:
        daemon.hold("/api/chat")
        call = asyncio.create_task(caller.call("ollama_chat", **LONG["ollama_chat"][1]))
        await daemon.until(lambda: any(r.path == "/api/chat" for r in daemon.requests))
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        asked = next(request for request in daemon.requests if request.path == "/api/chat")
        await daemon.until(lambda: asked.closed_early)
        assert app.jobs.of("") == []


async def test_waiting_is_cancelled_without_the_work(client: Caller, daemon: FakeOllama) -> None:
    daemon.hold("/api/chat")
    job = await handle(client)
    waiting = asyncio.create_task(client.call("ollama_job", job=job, wait=30))
    await asyncio.sleep(0.1)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    daemon.release("/api/chat")
    assert (await client.call("ollama_job", job=job, wait=20)).structured_content["content"]


async def test_waiting_shows_the_progress_of_the_work(client: Caller, daemon: FakeOllama) -> None:
    words = [part for number in range(40) for part in (says(f"word{number} "), 0.05)]
    daemon.reply("/api/chat", *words, final())
    job = await handle(client)
    notes: list[str] = []

    async def on_progress(value: float, total: float | None, message: str | None) -> None:
        notes.append(message or "")

    result = await client.call("ollama_job", job=job, wait=20, on_progress=on_progress)
    assert result.structured_content["content"].startswith("word0 ")
    assert any("writing: token" in note for note in notes)


async def test_the_list(client: Caller, daemon: FakeOllama) -> None:
    assert text(await client.call("ollama_job", action="list")) == "no jobs"
    daemon.hold("/api/chat")
    jobs = [await handle(client) for _ in range(2)]
    listed = await client.call("ollama_job", action="list")
    assert [row["job"] for row in listed.structured_content["jobs"]] == jobs[::-1]
    assert all(job in text(listed) for job in jobs)
    running = await client.call("ollama_ps")
    assert [row["job"] for row in running.structured_content["jobs"]] == jobs[::-1]


@pytest.mark.parametrize(
    ("arguments", "code"), [({}, "invalid_argument"), ({"job": "job_x"}, "not_found")]
)
async def test_a_wrong_handle(client: Caller, arguments: dict[str, Any], code: str) -> None:
    error = await client.error("ollama_job", **arguments)
    assert error["code"] == code
    assert "list" in error["hint"]


@pytest.mark.parametrize(
    ("client_name", "seconds"), [("claude-code", 240), ("claude-ai", 200), ("other", PATIENCE)]
)
def test_the_patience_of_clients(client_name: str, seconds: float) -> None:
    assert patience(client_name) == seconds
