"""A host that gives up early, and a real generation that takes longer: nothing of it is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from scripts.testbed import models, recorder, runner
from scripts.testbed.daemon import Daemon
from scripts.testbed.recorder import Recorder
from tests.conftest import Caller
from tests.live.sessions import over_http, over_stdio

pytestmark = pytest.mark.live

#: More than 10 s of work: counting goes on for ever, and one thread is slow.
SLOW = {"num_ctx": 4096, "num_thread": 1}
STORY = {
    "model": models.CHAT,
    "prompt": "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15",
    "raw": True,
    "options": {**SLOW, "num_predict": 2500, "temperature": 0, "stop": ["###"]},
}


@pytest.fixture
def watched(ollama: Daemon) -> Iterator[Recorder]:
    with recorder.start(ollama.url) as seen:
        yield seen


async def finished(caller: Caller, job: str) -> dict[str, object]:
    """Return the result of a job, asked for again and again, as a host does."""
    for _ in range(100):
        said = (await caller.call("ollama_job", job=job)).structured_content
        if said.get("status") != "running":
            return said
    raise TimeoutError


async def test_a_client_that_gives_up_after_5_s_gets_the_whole_of_a_longer_answer(
    watched: Recorder,
) -> None:
    transport = over_stdio(watched.url, OLLAMA_MCP_WAIT="2")
    async with Caller(transport, mode="auto", timeout=5) as caller:
        await caller.call("ollama_load", model=models.CHAT, options=SLOW)
        began = (await caller.call("ollama_generate", **STORY)).structured_content
        assert began["status"] == "running"
        assert began["content"]
        said = await finished(caller, str(began["job"]))
    exchange = next(
        seen
        for seen in watched.exchanges
        if seen.path == "/api/generate" and seen.json.get("prompt")
    )
    *parts, final = exchange.lines
    assert final["total_duration"] > 10e9
    assert said["content"] == "".join(part["response"] for part in parts)
    assert str(said["content"]).startswith(began["content"])
    assert said["usage"]["completion_tokens"] == final["eval_count"]  # type: ignore[index]


async def test_a_cancelled_job_stops_the_model(ollama: Daemon) -> None:
    with over_http(ollama.url, OLLAMA_MCP_WAIT="1") as url:
        async with Caller(url, mode="auto") as caller:
            began = (await caller.call("ollama_generate", **STORY)).structured_content
            assert not runner.is_idle(ollama.pid)
            await caller.call("ollama_job", job=began["job"], action="cancel")
            await asyncio.to_thread(runner.wait_until_idle, ollama.pid)


async def test_the_end_of_the_server_stops_its_jobs(ollama: Daemon) -> None:
    transport = over_stdio(ollama.url, OLLAMA_MCP_WAIT="1")
    async with Caller(transport, mode="auto") as caller:
        began = (await caller.call("ollama_generate", **STORY)).structured_content
        assert began["status"] == "running"
    await transport.disconnect()
    await asyncio.to_thread(runner.wait_until_idle, ollama.pid)
