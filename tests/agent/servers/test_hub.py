from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from ollama_mcp_server.agent.definitions.documents import Definition, inline, parse_definitions
from ollama_mcp_server.agent.servers.hub import CURE, FAILED, Hub, Lease
from ollama_mcp_server.errors import InvalidArgument, NotFound, TimedOut, ToolFailed
from tests.agent.processes import (
    OURSELVES,
    descriptors,
    entry,
    is_alive,
    wait_until_gone,
)

#: Starts a hub with a server, tells its processes' ids, and stays.
PARENT = """
import asyncio, json, os, sys
from ollama_mcp_server.agent.definitions.documents import inline
from ollama_mcp_server.agent.servers.hub import Hub

async def main():
    hub = Hub(os.environ)
    async with hub.lease([inline(json.loads(sys.argv[1]))], None) as lease:
        result = await lease.call("family", "ids", {}, 10)
        sys.stdout.write(result.content[0].text + "\\n")
        sys.stdout.flush()
        await asyncio.sleep(1000)

asyncio.run(main())
"""


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub(os.environ)
    yield hub
    await hub.aclose()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Where servers of the tests write down what they heard."""
    return tmp_path / "notes"


def server(script: str, *args: Any, **more: Any) -> Definition:
    return inline(entry(script, *args, **more))


def configured(script: str, *args: Any, **more: Any) -> Definition:
    """Return a server that the operator has configured, who may pass any variable on."""
    return parse_definitions(json.dumps([entry(script, *args, **more)]), "the test")[0]


async def said(lease: Lease, server: str, tool: str, **arguments: Any) -> str:
    result = await lease.call(server, tool, arguments, 10)
    assert not result.is_error
    return result.content[0].text


def heard(notes: Path) -> list[str]:
    """Return the words that a server wrote down."""
    return notes.read_text().split()


def names(lease: Lease) -> dict[str, list[str]]:
    return {name: [tool.name for tool in tools] for name, tools in lease.tools.items()}


async def until(holds: Callable[[], object], seconds: float = 10) -> None:
    """Wait for something to become true."""
    with anyio.fail_after(seconds):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_the_minimal_example_works_unchanged(hub: Hub) -> None:
    async with hub.lease([server("minimal")], None) as lease:
        assert names(lease) == {"minimal": ["hello"]}
        assert await said(lease, "minimal", "hello", name="Alice") == "Hello, Alice!"
        assert await said(lease, "minimal", "hello", name="Bob") == "Hello, Bob!"
        assert lease.down == []


class TestSettingUp:
    async def test_a_server_gets_its_arguments_environment_and_folder(self, tmp_path: Path) -> None:
        env = {"PATH": os.environ["PATH"], "SECRET": "s3cret", "OTHER": "o"}
        hub = Hub(env)
        definition = configured("tells", "${SECRET}", env={"KEY": "${SECRET}"}, requires_path=True)
        async with hub.lease([definition], tmp_path) as lease:
            told = json.loads(await said(lease, "tells", "tell"))
        await hub.aclose()
        assert told["args"] == ["s3cret", str(tmp_path)]
        assert told["env"]["KEY"] == "s3cret"
        assert {"SECRET", "OTHER"}.isdisjoint(told["env"])
        assert told["cwd"] == str(tmp_path)
        assert told["session"] == told["group"] != os.getsid(0)

    async def test_its_own_folder_comes_before_the_path(self, hub: Hub, tmp_path: Path) -> None:
        (tmp_path / "own").mkdir()
        for cwd in (str(tmp_path / "own"), "own"):
            async with hub.lease([server("tells", cwd=cwd)], tmp_path) as lease:
                assert json.loads(await said(lease, "tells", "tell"))["cwd"] == str(
                    tmp_path / "own"
                )

    async def test_no_more_than_the_limit(self, hub: Hub) -> None:
        many = [server("minimal", name=f"s{number}") for number in range(11)]
        with pytest.raises(InvalidArgument, match="11 MCP servers are too many"):
            async with hub.lease(many, None):
                pass

    async def test_a_name_once(self, hub: Hub) -> None:
        with pytest.raises(InvalidArgument, match="same name"):
            async with hub.lease([server("minimal"), server("minimal", "other")], None):
                pass

    async def test_an_unknown_server_is_said_to_be(self, hub: Hub) -> None:
        async with hub.lease([], None) as lease:
            assert lease.tools == {}
            with pytest.raises(NotFound, match="no MCP server absent"):
                await lease.call("absent", "x", {}, 1)


class TestThoseThatCannotBeUsed:
    async def test_they_stop_nobody(self, notes: Path) -> None:
        hub = Hub({**os.environ, "SECRET_KEY": "hunter2-hunter2"}, connect=4)
        definitions = [
            server("hangs"),
            server("minimal"),
            configured("fails", env={"SECRET_KEY": "${SECRET_KEY}"}),
            inline({"name": "absent", "command": "no-such-program"}),
            inline({"name": "blocked", "command": "sudo"}),
            configured("unset", env={"KEY": "${NOT_SET_ANYWHERE}"}),
            inline({"name": "nobody", "url": "http://127.0.0.1:9/mcp"}),
        ]
        began = time.monotonic()
        async with hub.lease(definitions, None) as lease:
            assert time.monotonic() - began < 10
            assert names(lease) == {"minimal": ["hello"]}
            why = {status.name: status.error or "" for status in lease.down}
            assert all(status.state == "down" for status in lease.down)
            assert why["hangs"].startswith("it did not answer within 4 s")
            assert "still waiting for the database" in why["hangs"]
            assert why["fails"].startswith("it ended with status 3")
            assert why["fails"].endswith("cannot log in with ***")
            assert why["absent"] == 'there is no program "no-such-program" on PATH'
            assert "Access denied" in why["blocked"]
            assert "NOT_SET_ANYWHERE" in why["unset"]
            assert why["nobody"]
            assert await said(lease, "minimal", "hello") == "Hello, World!"
            with pytest.raises(ToolFailed) as failed:
                await lease.call("fails", "x", {}, 1)
            assert failed.value.message.startswith(f"{FAILED}: fails: it ended with status 3")
            assert failed.value.hint == CURE
        statuses = {status.name: status for status in hub.statuses()}
        assert statuses["minimal"].state == "up"
        assert statuses["minimal"].tools == ["hello"]
        assert abs(statuses["fails"].since - time.time()) < 60
        await hub.aclose()

    async def test_they_are_tried_again_by_the_next_lease(self, hub: Hub, tmp_path: Path) -> None:
        definition = server("tells", cwd=str(tmp_path / "later"))
        async with hub.lease([definition], None) as lease:
            assert "no folder" in (lease.down[0].error or "")
        (tmp_path / "later").mkdir()
        async with hub.lease([definition], None) as lease:
            assert lease.down == []
            assert names(lease) == {"tells": ["tell"]}

    async def test_one_that_hangs_leaves_no_process(self, notes: Path) -> None:
        hub = Hub(os.environ, connect=1)
        async with hub.lease([server("hangs", notes)], None) as lease:
            assert lease.down
        assert running(notes) == []
        await hub.aclose()


class TestEras:
    async def test_one_that_dies_of_the_question_is_asked_the_old_way(self, hub: Hub) -> None:
        async with hub.lease([server("dislikes")], None) as lease:
            assert await said(lease, "dislikes", "work") == "worked"

    async def test_the_question_is_over_soon_and_not_put_again(self, hub: Hub, notes: Path) -> None:
        for _ in range(2):
            began = time.monotonic()
            async with hub.lease([server("silent", notes)], None) as lease:
                assert await said(lease, "silent", "work") == "worked"
            assert time.monotonic() - began < 8  # the SDK's own limit is 10 s
            for connection in hub._connections:
                await connection.close()
        assert heard(notes).count("initialize") == 2
        assert heard(notes).count("server/discover") == 1


class TestCalls:
    async def test_pictures_links_and_resources_come_as_they_are(self, hub: Hub) -> None:
        async with hub.lease([server("shows")], None) as lease:
            result = await lease.call("shows", "show", {}, 10)
        kinds = [block.type for block in result.content]
        assert kinds == ["text", "image", "resource_link", "resource"]

    async def test_progress_is_told_in_words(self, hub: Hub, notes: Path) -> None:
        told: list[str] = []
        async with hub.lease([server("slow", notes)], None) as lease:
            await lease.call("slow", "work", {"steps": 3}, 10, told.append)
        assert told == ["1/3", "step 2", "step 3"]

    async def test_garbage_between_answers_is_passed_over(self, hub: Hub) -> None:
        async with hub.lease([server("garbage")], None) as lease:
            for _ in range(3):
                assert await said(lease, "garbage", "clean") == "the answer to clean"

    async def test_a_refusal_is_told_with_server_and_tool(self, hub: Hub, notes: Path) -> None:
        async with hub.lease([server("mute", notes)], None) as lease:
            with pytest.raises(TimedOut, match=r"mute:wait gave no answer within 0\.3 s"):
                await lease.call("mute", "wait", {}, 0.3)
            await until(notes.exists)
            assert "requestId" in heard(notes)[0]
            assert await said(lease, "mute", "hello") == "hello"

    async def test_a_cancelled_call_is_cancelled_there_and_breaks_no_other(
        self, hub: Hub, notes: Path
    ) -> None:
        async with hub.lease([server("slow", notes)], None) as lease:
            doomed = asyncio.create_task(lease.call("slow", "work", {"steps": 1000}, 60))
            other = asyncio.create_task(said(lease, "slow", "work", steps=20))
            await asyncio.sleep(0.3)
            doomed.cancel()
            with pytest.raises(asyncio.CancelledError):
                await doomed
            assert await other == "20 steps"
            await until(notes.exists)
            assert len(heard(notes)) == 1
            assert await said(lease, "slow", "work", steps=1) == "1 steps"

    async def test_calls_run_side_by_side(self, hub: Hub, notes: Path) -> None:
        async with hub.lease([server("slow", notes)], None) as lease:
            answers = await asyncio.gather(
                *(said(lease, "slow", "work", steps=number) for number in range(1, 6))
            )
        assert answers == [f"{number} steps" for number in range(1, 6)]

    async def test_one_that_shows_no_sign_of_life_after_a_timeout_is_started_again(
        self, hub: Hub, notes: Path
    ) -> None:
        async with hub.lease([server("mute", notes)], None) as lease:
            with pytest.raises(TimedOut):
                await lease.call("mute", "deaf", {}, 0.3)
            assert await said(lease, "mute", "hello") == "hello"
            with pytest.raises(TimedOut):
                await lease.call("mute", "deaf", {}, 0.3)
            with pytest.raises(ToolFailed, match="did not answer any more"):
                await lease.call("mute", "hello", {}, 5)
        assert running(notes) == []

    @pytest.mark.parametrize(
        ("tool", "reason"),
        [
            ("lines", "it floods its output"),
            ("notes", "it floods its output"),
            ("line", "it sent a line of more than 16 MiB"),
        ],
    )
    async def test_a_flood_ends_with_a_reason(
        self, hub: Hub, notes: Path, tool: str, reason: str
    ) -> None:
        async with hub.lease([server("floods", notes)], None) as lease:
            with pytest.raises(ToolFailed, match=reason):
                await lease.call("floods", tool, {}, 60)
            assert lease.down[0].error == reason
            assert lease.tools == {}
        assert running(notes) == []


class TestDeath:
    async def test_one_that_died_between_calls_is_started_again_and_called(
        self, hub: Hub, notes: Path
    ) -> None:
        async with hub.lease([server("dies", notes)], None) as lease:
            version = lease.version
            os.kill(int(await said(lease, "dies", "pid")), signal.SIGKILL)
            await until(lambda: lease.down)
            assert lease.down[0].error == "it ended with status 137"
            assert lease.tools == {}
            assert int(await said(lease, "dies", "pid"))
            assert lease.down == []
            assert names(lease) == {"dies": ["pid", "look", "doom", "write"]}
            assert lease.version > version
        assert heard(notes).count("start") == 2

    async def test_a_call_that_only_reads_is_made_again(self, hub: Hub, notes: Path) -> None:
        async with hub.lease([server("dies", notes)], None) as lease:
            assert await said(lease, "dies", "look") == "seen the second time"
        assert heard(notes) == ["start", "look", "start", "look"]

    async def test_another_is_not(self, hub: Hub, notes: Path) -> None:
        async with hub.lease([server("dies", notes)], None) as lease:
            with pytest.raises(ToolFailed) as failed:
                await lease.call("dies", "write", {}, 10)
            assert failed.value.message.startswith(
                "dies:write: the MCP server ended during the call: it ended with status 7"
            )
            assert "It was started again" in failed.value.hint
            assert int(await said(lease, "dies", "pid"))
        assert heard(notes) == ["start", "write", "start", "pid"]

    async def test_it_is_started_again_only_once_for_a_run(self, hub: Hub, notes: Path) -> None:
        async with hub.lease([server("dies", notes)], None) as lease:
            with pytest.raises(ToolFailed, match="ended during the call"):
                await lease.call("dies", "doom", {}, 10)
            with pytest.raises(ToolFailed, match="dies:pid: the MCP server has ended"):
                await lease.call("dies", "pid", {}, 10)
            assert [status.name for status in lease.down] == ["dies"]
        assert heard(notes).count("start") == 2
        async with hub.lease([server("dies", notes)], None) as lease:
            assert int(await said(lease, "dies", "pid"))

    async def test_its_last_words_are_told_without_secrets(self, notes: Path) -> None:
        hub = Hub({**os.environ, "SECRET_KEY": "hunter2-hunter2"})
        definition = configured("dies", notes, env={"SECRET_KEY": "${SECRET_KEY}"})
        async with hub.lease([definition], None) as lease:
            with pytest.raises(ToolFailed) as failed:
                await lease.call("dies", "write", {}, 10)
        assert "about to die of write, the key is ***" in failed.value.message
        assert "hunter2" not in str(failed.value)
        await hub.aclose()

    async def test_two_calls_that_it_dies_in_start_it_once(self, hub: Hub, notes: Path) -> None:
        async with hub.lease([server("dies", notes)], None) as lease:
            failures = await asyncio.gather(
                *(lease.call("dies", "write", {}, 10) for _ in range(3)), return_exceptions=True
            )
            assert all(isinstance(failure, ToolFailed) for failure in failures)
            assert int(await said(lease, "dies", "pid"))
        assert heard(notes).count("start") == 2


class TestChangedTools:
    async def test_they_are_taken_in_page_by_page(self, hub: Hub) -> None:
        async with hub.lease([server("changes")], None) as lease:
            assert names(lease) == {"changes": ["grow"]}
            version = lease.version
            for number in (1, 2):
                await lease.call("changes", "grow", {}, 10)
                await until(lambda number=number: len(lease.tools["changes"]) == number + 1)
            assert names(lease) == {"changes": ["grow", "tool1", "tool2"]}
            assert lease.version > version
            await asyncio.sleep(0.3)
            # a hundred words of changes are not a hundred changes
            assert lease.version <= version + 4


class TestKeepingWarm:
    async def test_runs_share_a_connection_one_after_another_and_side_by_side(
        self, hub: Hub, notes: Path
    ) -> None:
        async with hub.lease([server("dies", notes)], None) as lease:
            pid = await said(lease, "dies", "pid")
        async with (
            hub.lease([server("dies", notes)], None) as one,
            hub.lease([server("dies", notes)], None) as two,
        ):
            assert await said(one, "dies", "pid") == await said(two, "dies", "pid") == pid

    async def test_another_path_has_its_own(self, hub: Hub, notes: Path, tmp_path: Path) -> None:
        async with (
            hub.lease([server("dies", notes)], None) as one,
            hub.lease([server("dies", notes)], tmp_path) as two,
        ):
            assert await said(one, "dies", "pid") != await said(two, "dies", "pid")

    async def test_those_who_come_together_start_it_once(self, hub: Hub, notes: Path) -> None:
        async def use() -> str:
            async with hub.lease([server("dies", notes)], None) as lease:
                return await said(lease, "dies", "pid")

        assert len(set(await asyncio.gather(*(use() for _ in range(5))))) == 1

    async def test_whoever_gives_up_while_it_starts_stops_nobody(
        self, hub: Hub, notes: Path
    ) -> None:
        async def use() -> str:
            async with hub.lease([server("dies", notes)], None) as lease:
                return await said(lease, "dies", "pid")

        impatient = asyncio.create_task(use())
        patient = asyncio.create_task(use())
        await asyncio.sleep(0.01)
        impatient.cancel()
        assert int(await patient)
        assert heard(notes).count("start") == 1

    async def test_the_unused_are_closed(self, notes: Path) -> None:
        hub = Hub(os.environ, idle=0.5)
        async with hub.lease([server("dies", notes)], None) as lease:
            pid = int(await said(lease, "dies", "pid"))
            await asyncio.sleep(0.8)
            assert is_alive(pid)  # it is in use
        await until(lambda: hub.statuses()[0].state == "idle")
        await until(lambda: not is_alive(pid))
        assert hub._timer is not None
        await until(hub._timer.done)
        async with hub.lease([server("dies", notes)], None) as lease:
            assert int(await said(lease, "dies", "pid")) != pid
        await hub.aclose()

    async def test_more_than_are_used_at_once_are_not_kept(self, notes: Path) -> None:
        hub = Hub(os.environ, most=2)
        for number in range(4):
            async with hub.lease([server("dies", notes, name=f"s{number}")], None):
                pass
        await until(lambda: [one.state for one in hub.statuses()] == ["idle"] * 2 + ["up"] * 2)
        await hub.aclose()

    async def test_nothing_is_left_open_after_many(self, notes: Path) -> None:
        async def use() -> None:
            hub = Hub(os.environ)
            async with hub.lease([server("dies", notes)], None) as lease:
                await said(lease, "dies", "pid")
            await hub.aclose()

        for _ in range(3):
            await use()
        await asyncio.sleep(0.1)
        before, tasks = descriptors(), len(asyncio.all_tasks())
        for _ in range(20):
            await use()
        await asyncio.sleep(0.1)
        assert descriptors() <= before
        assert len(asyncio.all_tasks()) <= tasks


class TestTheEnd:
    async def test_everything_ends_soon(self, notes: Path) -> None:
        hub = Hub(os.environ)
        definitions = [server("family"), server("mute", notes), server("minimal")]
        async with hub.lease(definitions, None) as lease:
            pids = [int(pid) for pid in (await said(lease, "family", "ids")).split()]
            began = time.monotonic()
            await hub.aclose()
            assert time.monotonic() - began < 3
            assert wait_until_gone(pids, 1) == []
            with pytest.raises(ToolFailed):
                await lease.call("minimal", "hello", {}, 5)
        assert hub.statuses() == []
        with pytest.raises(ToolFailed, match="shut down"):
            async with hub.lease([server("minimal")], None):
                pass

    async def test_one_that_is_just_being_started_ends_too(self, notes: Path) -> None:
        hub = Hub(os.environ)

        async def use() -> list[Any]:
            async with hub.lease([server("hangs", notes)], None) as lease:
                return lease.down

        using = asyncio.create_task(use())
        await until(lambda: running(notes))
        began = time.monotonic()
        await hub.aclose()
        assert time.monotonic() - began < 4
        assert running(notes) == []
        assert len(await using) == 1

    async def test_what_a_server_started_ends_when_it_dies(self, hub: Hub) -> None:
        async with hub.lease([server("family")], None) as lease:
            pids = [int(pid) for pid in (await said(lease, "family", "ids")).split()]
            os.kill(pids[0], signal.SIGKILL)
            await until(lambda: lease.down)
            assert wait_until_gone(pids, 3) == []

    def test_nothing_outlives_a_killed_process(self) -> None:
        parent = subprocess.Popen(
            [sys.executable, "-c", PARENT, json.dumps(entry("family"))],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=OURSELVES,
        )
        assert parent.stdout
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 3
        assert all(map(is_alive, pids))
        parent.kill()
        parent.wait()
        parent.stdout.close()
        assert wait_until_gone(pids) == []


def running(notes: Path) -> list[str]:
    """Return the command lines of the servers that were told to take notes there."""
    told = subprocess.run(["ps", "-A", "-ww", "-o", "stat=,args="], capture_output=True, text=True)
    return [line for line in told.stdout.splitlines() if str(notes) in line and line[0] != "Z"]
