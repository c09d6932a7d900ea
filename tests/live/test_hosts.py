"""Two real daemons behind one server: who answers, who shows what, and one that is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from scripts.testbed import daemon, models
from tests.conftest import text
from tests.live.sessions import CACHE, SHORT, VERSION, in_memory, user

pytestmark = pytest.mark.live

HOST = "ollama/host"
FRANCE = [user("What is the capital of France?")]


@pytest.fixture
def two() -> Iterator[list[daemon.Daemon]]:
    with ExitStack() as stack:
        start = (daemon.start(CACHE, version=VERSION) for _ in range(2))
        yield [stack.enter_context(each) for each in start]


async def test_two_daemons_are_one_and_one_is_enough(two: list[daemon.Daemon]) -> None:
    desk, gpu = two
    told = {"model": models.CHAT, "messages": FRANCE, "options": SHORT}
    async with in_memory("", hosts={"desk": desk.url, "gpu": gpu.url}) as caller:
        loaded = await caller.call("ollama_load", model=models.CHAT, host="gpu")
        assert loaded.meta[HOST] == "gpu"
        assert (await caller.call("ollama_chat", **told)).meta[HOST] == "gpu"
        shown = (await caller.call("ollama_ps")).structured_content
        assert [(row["name"], row["host"]) for row in shown["models"]] == [(models.CHAT, "gpu")]
        assert [(host["name"], host["state"]) for host in shown["hosts"]] == [
            ("desk", "up"),
            ("gpu", "up"),
        ]
        rows = (await caller.call("ollama_list", name=models.CHAT)).structured_content["models"]
        assert [row["hosts"] for row in rows] == [["desk", "gpu"]]
        gpu.stop()
        answer = await caller.call("ollama_chat", **told)
        assert not answer.is_error, text(answer)
        assert answer.meta[HOST] == "desk"
        error = await caller.error("ollama_chat", **told, host="gpu")
        assert error["code"] == "daemon_unreachable"
        shown = (await caller.call("ollama_ps")).structured_content
        assert [row["host"] for row in shown["models"]] == ["desk"]
        assert [host["state"] for host in shown["hosts"]] == ["up", "down"]
