"""Conversations in a real Valkey: they outlive processes, expire, and survive its absence."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from ollama_mcp_server.delegation.memory.conversations import NEW, Conversations
from ollama_mcp_server.delegation.memory.state import LASTS, State
from ollama_mcp_server.delegation.memory.stores import open_store
from ollama_mcp_server.errors import Conflict, NotFound, OllamaMCPError
from scripts.testbed import valkey
from tests.live.sessions import CACHE, PASSWORD

pytestmark = [
    pytest.mark.live,
    # py-key-value-aio 0.4 calls it, redis 8 would have it call another
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]

ANN, BOB = "ann", "bob"
HELLO = {"role": "user", "content": "Hello there"}

#: A process of its own that begins a conversation, or goes on with one.
PROCESS = """
import asyncio, sys
from pathlib import Path
from pydantic import SecretStr
from ollama_mcp_server.delegation.memory.conversations import Conversations
from ollama_mcp_server.delegation.memory.stores import open_store

async def turn(url, handle, text):
    kept = Conversations(open_store(SecretStr(url), Path("/nonexistent")))
    async with kept.turn(handle, "ann") as conversation:
        conversation.add([{"role": "user", "content": text}])
    await kept.aclose()
    print(conversation.handle)

asyncio.run(turn(*sys.argv[1:]))
"""


@pytest.fixture
async def state(store: valkey.Valkey) -> AsyncIterator[State]:
    state = opened(store.url)
    yield state
    await state.aclose()


def opened(url: str, lasts: float = LASTS) -> State:
    return open_store(SecretStr(url), Path("/nonexistent"), lasts=lasts, patience=0.5)


async def begun(kept: Conversations, owner: str = ANN) -> str:
    async with kept.turn(NEW, owner) as conversation:
        conversation.add([HELLO])
    return conversation.handle


def in_a_process(url: str, handle: str, text: str) -> str:
    words = [sys.executable, "-c", PROCESS, url, handle, text]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout


async def test_it_outlives_the_process(store: valkey.Valkey, state: State) -> None:
    url = store.url.replace("redis://", "valkey://")
    handle = in_a_process(url, "new", "one").strip()
    in_a_process(url, handle, "two")
    kept = Conversations(state)
    found = await kept.load(handle, ANN)
    assert [message["content"] for message in found.messages] == ["one", "two"]
    assert handle in [line.handle for line in await kept.listed(ANN)]
    with pytest.raises(NotFound):
        await kept.load(handle, BOB)


async def test_the_server_itself_forgets_what_has_expired(
    store: valkey.Valkey, state: State
) -> None:
    handle = await begun(Conversations(state))
    async with Redis.from_url(store.url, decode_responses=True) as client:
        keys = [key async for key in client.scan_iter("ollama-mcp-server:*")]
        (own,) = (key for key in keys if handle in key)
        assert all([LASTS - 120 < await client.ttl(key) <= LASTS for key in (own, *keys)])
        assert not [key for key in await client.keys("*") if not key.startswith("ollama-mcp-")]

    brief = opened(store.url, lasts=1)
    handle = await begun(Conversations(brief), BOB)
    await asyncio.sleep(1.2)
    with pytest.raises(NotFound):
        await Conversations(brief).load(handle, BOB)
    await brief.aclose()


async def test_forgetting_leaves_nothing(store: valkey.Valkey, state: State) -> None:
    kept = Conversations(state)
    handle, _ = await begun(kept, "carl"), await begun(kept, "carl")
    await kept.forget(handle, "carl")
    assert await kept.forget_all("carl") == 1
    async with Redis.from_url(store.url, decode_responses=True) as client:
        assert not [key async for key in client.scan_iter("*") if handle in key]
    assert await kept.listed("carl") == []


async def test_two_replicas_do_not_overwrite_each_other(store: valkey.Valkey) -> None:
    one, other = opened(store.url), opened(store.url)
    here, there = Conversations(one), Conversations(other)
    handle = await begun(here)
    with pytest.raises(Conflict):
        async with here.turn(handle, ANN) as slow:
            async with there.turn(handle, ANN) as fast:
                fast.add([{"role": "user", "content": "fast"}])
            slow.add([{"role": "user", "content": "slow"}])
    assert [m["content"] for m in (await here.load(handle, ANN)).messages] == [
        "Hello there",
        "fast",
    ]
    await one.aclose()
    await other.aclose()


async def test_gone_in_mid_use_and_back() -> None:
    store = valkey.start(CACHE)
    state = opened(store.url)
    kept = Conversations(state)
    try:
        handle = await begun(kept)
        store.stop()
        for attempt in (kept.load(handle, ANN), kept.listed(ANN), kept.new(ANN)):
            await told(attempt, "nothing answers")
        store = valkey.start(CACHE, port=store.port)
        with pytest.raises(NotFound):  # it was in its memory
            await kept.load(handle, ANN)
        assert await begun(kept)
    finally:
        store.stop()
        await state.aclose()


async def test_gone_while_the_model_works_tells_so_and_comes_back() -> None:
    """It is frozen, not stopped: connections stay open, and nothing answers on them."""
    with valkey.start(CACHE) as store:
        state = opened(store.url)
        kept = Conversations(state)
        handle = await begun(kept)

        async def lost() -> None:
            async with kept.turn(handle, ANN) as conversation:
                conversation.add([{"role": "user", "content": "lost"}])
                store.freeze()

        await told(lost(), "nothing answers")
        store.thaw()
        found = await kept.load(handle, ANN)
        assert found.messages == [HELLO], "a turn that failed is not kept"
        async with kept.turn(handle, ANN) as conversation:
            conversation.add([HELLO])
        await state.aclose()


@pytest.mark.parametrize("login", ["", ":wrong-password@", "nobody:wrong-password@"])
async def test_a_wrong_password_is_told_without_it(store: valkey.Valkey, login: str) -> None:
    state = opened(f"redis://{login}127.0.0.1:{store.port}")
    error = await told(Conversations(state).listed(ANN), "password")
    assert "OLLAMA_MCP_STATE_URL" in error.hint
    assert not error.retryable
    assert "wrong-password" not in f"{error} {error.__cause__}"
    await state.aclose()


async def test_a_full_server_and_one_that_takes_no_writes(store: valkey.Valkey) -> None:
    state = opened(store.url)
    kept = Conversations(state)
    handle = await begun(kept)
    async with Redis.from_url(store.url, decode_responses=True) as client:
        try:
            await client.config_set("maxmemory", "1")
            await told(begun(kept), "no memory left")
            await client.config_set("maxmemory", "0")
            await client.execute_command("REPLICAOF", "127.0.0.1", "1")
            await told(begun(kept), "refused the request")
        finally:
            await client.config_set("maxmemory", "0")
            await client.execute_command("REPLICAOF", "NO", "ONE")
    assert (await kept.load(handle, ANN)).messages == [HELLO]
    await state.aclose()


async def told(attempt: object, words: str) -> OllamaMCPError:
    """Await what must fail; return the error, which holds these words and no password."""
    with pytest.raises(OllamaMCPError, match=words) as caught:
        await attempt  # type: ignore[misc]
    assert caught.value.hint
    assert PASSWORD not in f"{caught.value} {caught.value.__cause__}"
    return caught.value
