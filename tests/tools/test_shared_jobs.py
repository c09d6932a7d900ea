"""What outlives a request, asked for at another server that shares the state."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import mcp_types
import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.delegation.memory import board
from ollama_mcp_server.server import build_server
from tests.conftest import CHAT, HELLO, Caller, MakeApp, text
from tests.fake_ollama import FakeOllama, Request
from tests.tools.test_agent import calls, chats, notes
from tests.tools.test_chat import final, says

KEY = "a key that both servers have, of more than 32 bytes"
TASK = {"task": "Delete the token", "model": CHAT}


async def nobody(*_: Any) -> Any:
    pytest.fail("this client answers by itself")


Two = tuple[tuple[App, Caller], tuple[App, Caller]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let servers tell one another oftener than they do."""
    monkeypatch.setattr(board, "BEAT", 0.1)


@asynccontextmanager
async def servers(make_app: MakeApp, tmp_path: Path, wait: float) -> AsyncIterator[Two]:
    """Two servers with one state, and a client of each, which can ask its user."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(2):
            app = make_app(
                wait=wait,
                state_url=f"file://{tmp_path}/state",
                request_state_key=KEY,
                servers=json.dumps([notes()]),
            )
            caller = Caller(build_server(app), mode="auto", elicitation_handler=nobody)
            made.append((app, await stack.enter_async_context(caller)))
        yield made[0], made[1]


@pytest.fixture
async def two(make_app: MakeApp, tmp_path: Path) -> AsyncIterator[Two]:
    """Two servers that answer within 0.1 s."""
    async with servers(make_app, tmp_path, 0.1) as made:
        yield made


@pytest.fixture
async def patient(make_app: MakeApp, tmp_path: Path) -> AsyncIterator[Two]:
    """Two servers whose calls do not become jobs."""
    async with servers(make_app, tmp_path, 60) as made:
        yield made


Answer = mcp_types.CallToolResult | mcp_types.InputRequiredResult


async def asked(caller: Caller, state: str | None = None, *, yes: bool = True) -> Answer:
    """Call ollama_agent, or call it again with an answer; return the question or the result."""
    answer = mcp_types.ElicitResult(action="accept", content={"confirm": yes})
    return await caller.session.call_tool(
        "ollama_agent",
        TASK,
        input_responses={"confirm": answer} if state else None,
        request_state=state,
        allow_input_required=True,
    )


async def question(caller: Caller, state: str | None = None, *, yes: bool = True) -> str:
    """Call ollama_agent, which must ask; return what the answer goes with."""
    said = await asked(caller, state, yes=yes)
    assert isinstance(said, mcp_types.InputRequiredResult), said
    assert said.request_state
    return said.request_state


async def error_of(caller: Caller, state: str) -> str:
    """Call ollama_agent again with an answer that must be refused."""
    said = await asked(caller, state)
    assert isinstance(said, mcp_types.CallToolResult)
    assert said.is_error
    return str(said.content)


@pytest.fixture
def go() -> Iterator[threading.Event]:
    """What the fake daemon waits for, at the latest until the end of the test."""
    event = threading.Event()
    yield event
    event.set()


async def test_a_job_is_listed_read_and_waited_for_elsewhere(
    two: Two, daemon: FakeOllama, go: threading.Event
) -> None:
    (_, here), (_, there) = two

    def rest(_: Request) -> Any:
        go.wait(60)
        return says(" answer")

    # the pause, for the fake does nothing else while it waits
    daemon.reply("/api/chat", says("Half an"), 0.1, rest, final())
    began = await here.call("ollama_chat", model=CHAT, messages=HELLO)
    job = began.structured_content["job"]
    listed = await there.call("ollama_job", action="list")
    assert [row["job"] for row in listed.structured_content["jobs"]] == [job]
    assert f"{job}: ollama_chat running" in text(listed)
    now: dict[str, Any] = {}
    with anyio.fail_after(20):
        while "content" not in now:
            now = (await there.call("ollama_job", job=job, action="read")).structured_content
    assert (now["content"], now["status"]) == ("Half an", "running")
    notes: list[str] = []

    async def on_progress(value: float, total: float | None, message: str | None) -> None:
        notes.append(message or "")

    waiting = asyncio.create_task(
        there.call("ollama_job", job=job, wait=60, on_progress=on_progress)
    )
    await asyncio.sleep(0.5)
    go.set()
    said = await waiting
    assert said.structured_content["content"] == "Half an answer"
    own = await here.call("ollama_job", job=job)
    assert said.structured_content == own.structured_content
    assert said.meta == own.meta
    assert text(said) == text(own)
    assert any("writing" in note for note in notes)


async def test_an_error_comes_elsewhere_too(two: Two, daemon: FakeOllama) -> None:
    (_, here), (_, there) = two
    daemon.reply("/api/chat", says("Half an"), 0.8, error="the runner died")
    job = (await here.call("ollama_chat", model=CHAT, messages=HELLO)).structured_content["job"]
    error = await there.error("ollama_job", job=job, wait=30)
    assert error["code"] == "daemon_error"
    assert error["details"]["content"] == "Half an"


async def test_a_job_that_is_cancelled_elsewhere_stops_at_the_daemon(
    two: Two, daemon: FakeOllama
) -> None:
    (_, here), (_, there) = two
    daemon.hold("/api/chat")
    job = (await here.call("ollama_chat", model=CHAT, messages=HELLO)).structured_content["job"]
    await daemon.until(lambda: bool(chats(daemon)), 20)
    said = await there.call("ollama_job", job=job, action="cancel")
    assert said.structured_content["status"] == "cancelled"
    (request,) = chats(daemon)
    await daemon.until(lambda: request.closed_early, 20)


async def test_the_end_of_a_server_is_told_elsewhere(two: Two, daemon: FakeOllama) -> None:
    (app, here), (_, there) = two
    daemon.hold("/api/chat")
    job = (await here.call("ollama_chat", model=CHAT, messages=HELLO)).structured_content["job"]
    await app.jobs.aclose()
    error = await there.error("ollama_job", job=job)
    assert error["code"] == "server_down"
    assert error["retryable"]
    assert "ollama_chat" in error["hint"]
    (row,) = (await there.call("ollama_job", action="list")).structured_content["jobs"]
    assert (row["job"], row["status"]) == (job, "lost")


@pytest.mark.parametrize("url", [None, "memory"])
async def test_without_a_shared_state_none_is_opened(
    make_app: MakeApp, daemon: FakeOllama, url: str | None
) -> None:
    app = make_app(wait=0.1, state_url=url)
    async with Caller(build_server(app), mode="auto") as caller:
        daemon.hold("/api/chat")
        said = await caller.call("ollama_chat", model=CHAT, messages=HELLO)
        job = said.structured_content["job"]
        listed = await caller.call("ollama_job", action="list")
        assert [row["job"] for row in listed.structured_content["jobs"]] == [job]
        error = await caller.error("ollama_job", job="job_" + "x" * 22)
        assert "end with the server" in error["hint"]
        await app.kept.put("x", "")
        assert "state" not in vars(app)


async def test_kept_results_are_read_elsewhere(two: Two) -> None:
    (app, _), (_, there) = two
    handle = await app.kept.put('{"a": 1}\n{"b": 2}', "")
    (content,) = await there.read_resource(f"ollama://batches/{handle}?offset=1")
    assert content.text == '{"b": 2}'
    listed = {str(each.uri): each.title for each in await there.list_resources()}
    assert listed[f"ollama://batches/{handle}"] == "Results of a batch (17 bytes)"


@pytest.mark.parametrize(("yes", "outcome"), [(True, "deleted"), (False, "Access denied")])
async def test_an_answer_that_comes_elsewhere_goes_on_with_the_run(
    patient: Two, daemon: FakeOllama, yes: bool, outcome: str
) -> None:
    (_, here), (_, there) = patient
    daemon.reply("/api/chat", calls(("notes__delete", {"name": "token"})), final())
    daemon.reply("/api/chat", calls(("notes__delete", {"name": "shopping"})), final())
    daemon.reply("/api/chat", says("That was it."), final())
    first = await question(here)
    second = await question(there, first, yes=yes)
    for caller in (here, there):
        assert "the run that asked is over" in await error_of(caller, first), "it counts once"
    last = await asked(there, second, yes=yes)
    assert isinstance(last, mcp_types.CallToolResult)
    said = last.structured_content
    assert said is not None
    assert said["content"] == "That was it."
    for step, name in zip(said["steps"], ("token", "shopping"), strict=True):
        assert step["arguments"] == {"name": name}
        assert outcome in (step.get("result") or step["error"])
    assert len(chats(daemon)) == 3, "the run went on, and did not begin again"


async def test_an_answer_that_comes_where_it_was_asked_goes_on_as_ever(
    patient: Two, daemon: FakeOllama
) -> None:
    (_, here), (_, there) = patient
    daemon.reply("/api/chat", calls(("notes__delete", {"name": "token"})), final())
    daemon.reply("/api/chat", says("That was it."), final())
    state = await question(here)
    last = await asked(here, state)
    assert isinstance(last, mcp_types.CallToolResult)
    assert not last.is_error
    assert "the run that asked is over" in await error_of(there, state)


async def test_of_two_answers_elsewhere_one_counts(patient: Two, daemon: FakeOllama) -> None:
    (_, here), (_, there) = patient
    daemon.reply("/api/chat", calls(("notes__delete", {"name": "token"})), final())
    daemon.reply("/api/chat", says("That was it."), final())
    state = await question(here)
    said = await asyncio.gather(*(asked(there, state) for _ in range(2)))
    assert sorted(bool(getattr(one, "is_error", True)) for one in said) == [False, True]
    assert "the run that asked is over" in str(said)
    assert len(chats(daemon)) == 2


async def test_a_run_ends_with_its_server(patient: Two, daemon: FakeOllama) -> None:
    (app, here), (_, there) = patient
    daemon.reply("/api/chat", calls(("notes__delete", {"name": "token"})), final())
    state = await question(here)
    await app.paused.aclose()
    assert "the run that asked is over" in await error_of(there, state)


# the disk's store leaves a file to the collector where a read of it is cancelled
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_who_leaves_elsewhere_stops_the_run(patient: Two, daemon: FakeOllama) -> None:
    (_, here), (_, there) = patient
    daemon.reply("/api/chat", calls(("notes__delete", {"name": "token"})), final())
    state = await question(here)
    daemon.hold("/api/chat")
    answering = asyncio.create_task(asked(there, state))
    await daemon.until(lambda: len(chats(daemon)) == 2, 20)
    request = chats(daemon)[-1]
    answering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await answering
    await daemon.until(lambda: request.closed_early, 20)
