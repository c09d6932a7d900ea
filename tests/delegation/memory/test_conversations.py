"""Conversations: whose they are, how long and how large, and what two calls at once do."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from ollama_mcp_server.delegation.memory.conversations import NEW, Conversations, hashed
from ollama_mcp_server.delegation.memory.state import State
from ollama_mcp_server.delegation.memory.stores import open_store
from ollama_mcp_server.errors import Conflict, NotFound, OllamaMCPError, TooLarge
from tests.delegation.memory.turns import ANN, HELLO, HI, begun

BOB = "bob@example.org"


async def test_later_turns_have_the_earlier(kept: Conversations) -> None:
    handle = await begun(kept)
    async with kept.turn(handle, ANN) as conversation:
        assert conversation.messages == [HELLO, HI]
        assert conversation.model == "qwen3:8b"
        conversation.add([{"role": "user", "content": "And now?"}])
        conversation.messages.append(HI)
    assert len((await kept.load(handle, ANN)).messages) == 4


async def test_a_handle_cannot_be_guessed(kept: Conversations) -> None:
    handles = {(await kept.new(ANN)).handle for _ in range(50)}
    assert len(handles) == 50
    assert all(re.fullmatch(r"conv_[a-z2-7]{32}", handle) for handle in handles)  # 160 bits


async def test_it_outlives_the_server(kept: Conversations, state: State, tmp_path: Path) -> None:
    handle = await begun(kept)
    after = Conversations(open_store(SecretStr("disk"), tmp_path / "state"))
    if state.where.startswith("/"):
        assert (await after.load(handle, ANN)).messages == [HELLO, HI]
        assert [line.handle for line in await after.listed(ANN)] == [handle]
    else:
        assert await after.listed(ANN) == []


@pytest.mark.parametrize("which", ["unknown", "foreign", "expired", "path", "list", "empty"])
async def test_what_is_not_there_or_not_yours_is_the_same_error(which: str, tmp_path: Path) -> None:
    state = open_store(SecretStr("disk"), tmp_path, lasts=0.05 if which == "expired" else 60)
    kept = Conversations(state)
    handle = await begun(kept, BOB if which == "foreign" else ANN)
    if which == "expired":
        await asyncio.sleep(0.1)
    others = {"unknown": "conv_" + "a" * 32, "path": "../store/x", "list": f"owner_{hashed(ANN)}",
              "empty": ""}  # fmt: skip
    told = []
    for attempt in (kept.load, kept.forget):
        with pytest.raises(NotFound) as caught:
            await attempt(others.get(which, handle), ANN)
        told.append(caught.value.message)
    with pytest.raises(NotFound) as caught:
        async with kept.turn(others.get(which, handle), ANN):
            pytest.fail("a turn of nothing")
    assert {*told, caught.value.message} == {"there is no conversation of that handle"}
    assert '"new"' in caught.value.hint


async def test_owners_see_and_forget_only_their_own(kept: Conversations) -> None:
    ours, theirs = await begun(kept, ANN), await begun(kept, BOB)
    assert [line.handle for line in await kept.listed(ANN)] == [ours]
    assert await kept.forget_all(ANN) == 1
    assert await kept.listed(ANN) == []
    assert (await kept.load(theirs, BOB)).messages == [HELLO, HI]


async def test_the_store_knows_no_names(tmp_path: Path) -> None:
    await begun(Conversations(open_store(SecretStr("disk"), tmp_path)))
    found = files(tmp_path, "*")
    assert found
    assert not [path for path in found if ANN in path.name + path.read_text()]


def files(folder: Path, name: str) -> list[Path]:
    return [path for path in folder.rglob(name) if path.is_file()]


async def test_the_list(kept: Conversations) -> None:
    long = {"role": "user", "content": "Tell me\n  all about " + "x" * 100}
    first = await begun(kept, ANN, {"role": "system", "content": "Secret"}, long)
    await asyncio.sleep(0.005)
    second = await begun(kept)
    await asyncio.sleep(0.005)
    async with kept.turn(first, ANN) as conversation:
        conversation.add([HELLO])
    lines = await kept.listed(ANN)
    assert [line.handle for line in lines] == [first, second], "the last used first"
    assert lines[0].title == "Tell me all about " + "x" * 41 + "…"
    assert lines[0].turns == 2
    assert lines[0].bytes > lines[1].bytes > 0
    assert lines[0].model == "qwen3:8b"


@pytest.mark.parametrize("ends", [ValueError, asyncio.CancelledError])
async def test_a_failed_turn_leaves_it_as_it_was(kept: Conversations, ends: Any) -> None:
    handle = await begun(kept)
    for name in (handle, NEW):
        with pytest.raises(ends):
            async with kept.turn(name, ANN) as conversation:
                conversation.add([{"role": "user", "content": "lost"}])
                raise ends
    assert (await kept.load(handle, ANN)).messages == [HELLO, HI]
    assert [line.handle for line in await kept.listed(ANN)] == [handle]


async def test_a_cancelled_call_leaves_it_as_it_was(kept: Conversations) -> None:
    handle = await begun(kept)
    asking = asyncio.Event()

    async def call() -> None:
        async with kept.turn(handle, ANN) as conversation:
            conversation.add([{"role": "user", "content": "lost"}])
            asking.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(call())
    await asking.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await kept.load(handle, ANN)).messages == [HELLO, HI]
    async with kept.turn(handle, ANN) as conversation:  # and the next is not kept waiting
        conversation.add([HELLO])


async def test_a_save_is_done_whole_or_not_at_all(kept: Conversations) -> None:
    with anyio.CancelScope() as scope:
        async with kept.turn(NEW, ANN) as conversation:
            conversation.add([HELLO])
            scope.cancel()  # too late: the block has ended well
    assert (await kept.load(conversation.handle, ANN)).messages == [HELLO]
    assert [line.handle for line in await kept.listed(ANN)] == [conversation.handle]


async def test_turns_at_once_follow_one_another(kept: Conversations) -> None:
    handle = await begun(kept)

    async def call(n: int) -> None:
        async with kept.turn(handle, ANN) as conversation:
            conversation.add([{"role": "user", "content": str(n)}])
            await asyncio.sleep(0.001)
            conversation.messages.append(HI)

    await asyncio.gather(*(call(n) for n in range(10)))
    messages = (await kept.load(handle, ANN)).messages
    assert sorted(m["content"] for m in messages[2::2]) == sorted(str(n) for n in range(10))
    assert all(m == HI for m in messages[1::2])


async def test_the_list_loses_nothing_when_many_begin_at_once(kept: Conversations) -> None:
    handles = await asyncio.gather(*(begun(kept) for _ in range(20)))
    assert {line.handle for line in await kept.listed(ANN)} == set(handles)


async def test_another_server_is_not_overwritten(state: State) -> None:
    """Two servers share a store; locks of the one do not hold the other."""
    here, there = Conversations(state), Conversations(state)
    handle = await begun(here)
    with pytest.raises(Conflict) as caught:
        async with here.turn(handle, ANN) as slow:
            slow.add([{"role": "user", "content": "slow"}])
            async with there.turn(handle, ANN) as fast:
                fast.add([{"role": "user", "content": "fast"}])
    assert caught.value.hint
    assert [m["content"] for m in (await here.load(handle, ANN)).messages[2:]] == ["fast"]


async def test_what_was_forgotten_meanwhile_does_not_come_back(kept: Conversations) -> None:
    handle = await begun(kept)
    with pytest.raises(Conflict):
        async with kept.turn(handle, ANN) as conversation:
            conversation.add([HELLO])
            await kept.forget(handle, ANN)
    assert await kept.listed(ANN) == []


async def test_a_line_that_was_lost_comes_back_with_the_next_turn(state: State) -> None:
    kept = Conversations(state)
    handle = await begun(kept)
    await state.delete("conversations", f"owner_{hashed(ANN)}")
    assert await kept.listed(ANN) == []
    async with kept.turn(handle, ANN) as conversation:
        conversation.add([HELLO])
    assert [line.handle for line in await kept.listed(ANN)] == [handle]


async def test_their_number_is_bounded_and_none_is_lost_for_it(state: State) -> None:
    kept = Conversations(state, most=2)
    first = await begun(kept)
    async with kept.turn(NEW, ANN) as conversation:
        conversation.add([HELLO])
        with pytest.raises(TooLarge) as caught:  # the one that is under way counts
            await begun(kept)
    assert "ollama_conversations" in caught.value.hint
    await begun(kept, BOB)
    with pytest.raises(TooLarge):
        await begun(kept)
    await kept.forget(first, ANN)
    await begun(kept)


async def test_the_expired_make_room(tmp_path: Path) -> None:
    kept = Conversations(open_store(SecretStr("disk"), tmp_path, lasts=0.05), most=1)
    await begun(kept)
    await asyncio.sleep(0.1)
    assert await kept.listed(ANN) == []
    await begun(kept)
    assert len(files(tmp_path, "conv_*.json")) == 1


async def test_a_store_out_of_reach_fails_before_the_model_is_asked(tmp_path: Path) -> None:
    state = open_store(SecretStr("redis://127.0.0.1:1"), tmp_path)
    kept = Conversations(state)
    with pytest.raises(OllamaMCPError, match="nothing answers"):
        async with kept.turn(NEW, ANN):
            pytest.fail("the model would be asked")
    await kept.aclose()
