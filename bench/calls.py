"""Calls of tools, one and many at once, against the same requests to the daemon itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import httpx

from tests.fake_ollama import FakeOllama
from tests.wire import NEW, envelope

from .child import HELLO, Child
from .served import Served
from .table import OURS, median, row, timed

#: Calls at once.
CROWDS = (1, 16, 64)
CHAT = {"model": "llama3.2:3b", "messages": [{"role": "user", "content": "Hi"}]}
#: A call over HTTP in the era without sessions.
CALL = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/call",
    "params": {"name": "ollama_chat", "arguments": CHAT, "_meta": envelope()},
}
NEW_ERA = {
    "Accept": "application/json, text/event-stream",
    "MCP-Protocol-Version": NEW,
    "Mcp-Method": "tools/call",
    "Mcp-Name": "ollama_chat",
}
FINAL = {
    "model": "llama3.2:3b",
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 5,
    "eval_count": 1,
}


def own_cost(calls: int, env: Mapping[str, str], daemon: FakeOllama) -> None:
    """Time a chat call over stdio and HTTP against the same request to the daemon by httpx."""
    daemon.reset()
    daemon.reply("/api/chat", FINAL, times=calls * 4 + 30)
    direct_client = httpx.Client(base_url=daemon.url)
    body = {**CHAT, "stream": True}

    def direct() -> None:
        with direct_client.stream("POST", "/api/chat", json=body) as answer:
            list(answer.iter_lines())

    mcp = httpx.Client(headers={"Accept": "application/json, text/event-stream"})
    served = Served([*OURS, "--transport", "http", "--port", "0"], env, says=r"server: (http\S+)")

    def over_http() -> None:
        mcp.post(web.url, json=rpc("tools/call", {"name": "ollama_chat", "arguments": CHAT}))

    with served as web, Child(OURS, env) as child:
        hello = mcp.post(web.url, json=rpc("initialize", HELLO))
        session = hello.headers.get("mcp-session-id", "")
        mcp.headers.update({"mcp-session-id": session, "mcp-protocol-version": "2025-11-25"})
        mcp.post(web.url, json={"jsonrpc": "2.0", "method": "notifications/initialized"})
        for warm in (direct, over_http, lambda: child.call("ollama_chat", CHAT)):
            warm()
        times: list[list[float]] = [[], [], []]
        for _ in range(calls):
            times[0].append(timed(direct))
            times[1].append(timed(lambda: child.call("ollama_chat", CHAT)))
            times[2].append(timed(over_http))
    plain, stdio, http = map(median, times)
    row(
        "a chat call, stdio",
        f"{stdio:.1f} ms",
        f"httpx {plain:.1f} ms",
        stdio / plain,
        f"≤ 2.5 ms more (is {stdio - plain:.1f})",
    )
    row(
        "a chat call, HTTP",
        f"{http:.1f} ms",
        f"httpx {plain:.1f} ms",
        http / plain,
        f"≤ 4 ms more (is {http - plain:.1f})",
    )


def at_once(rounds: int, env: Mapping[str, str], daemon: FakeOllama) -> None:
    """Time many chats at once over stdio and HTTP against as many requests to the daemon."""
    daemon.reset()
    daemon.reply("/api/chat", FINAL, times=sum(CROWDS) * (rounds + 1) * 3)
    limits = ["--parallel", "64"]  # so that none waits for its turn
    served = Served(
        [*OURS, "--transport", "http", "--port", "0", *limits], env, says=r"server: (http\S+)"
    )
    body = {**CHAT, "stream": True}
    loop = asyncio.new_event_loop()
    client = httpx.AsyncClient(
        headers=NEW_ERA, limits=httpx.Limits(max_connections=max(CROWDS)), timeout=60
    )

    async def posted(url: str, asked: Mapping[str, Any], crowd: int) -> None:
        for answer in await asyncio.gather(*[client.post(url, json=asked) for _ in range(crowd)]):
            answer.raise_for_status()

    with closing(loop), served as web, Child([*OURS, *limits], env) as child:
        ways: dict[str, Callable[[int], Any]] = {
            "httpx": lambda n: loop.run_until_complete(posted(daemon.url + "/api/chat", body, n)),
            "stdio": lambda n: child.at_once("ollama_chat", CHAT, n),
            "HTTP": lambda n: loop.run_until_complete(posted(web.url, CALL, n)),
        }
        for crowd in CROWDS:
            times: dict[str, list[float]] = {way: [] for way in ways}
            for turn in range(rounds + 1):
                for way, work in ways.items():
                    took = timed(lambda: work(crowd))  # noqa: B023 - at once
                    if turn:
                        times[way].append(took / crowd)
            plain = median(times["httpx"])
            for way in ("stdio", "HTTP"):
                ours = median(times[way])
                row(
                    f"each of {crowd} chats at once, {way}",
                    f"{ours:.1f} ms",
                    f"httpx {plain:.1f} ms",
                    ours / plain,
                    "",
                )
        loop.run_until_complete(client.aclose())


def long_answer(runs: int, env: Mapping[str, str], daemon: FakeOllama) -> None:
    """Time 64 tokens at 50 a second, with progress, against the same stream read by httpx."""
    token = {"message": {"role": "assistant", "content": "word "}, "done": False}
    parts = [part for _ in range(64) for part in (token, 0.02)] + [FINAL]
    daemon.reset()
    daemon.reply("/api/chat", *parts, times=runs * 4 + 2)
    client = httpx.Client(base_url=daemon.url, timeout=30)

    def direct() -> None:
        with client.stream("POST", "/api/chat", json=CHAT) as answer:
            list(answer.iter_lines())

    def first() -> float:
        began = time.perf_counter()
        with client.stream("POST", "/api/chat", json=CHAT) as answer:
            next(answer.iter_lines())
            return (time.perf_counter() - began) * 1000

    with Child(OURS, env) as child:
        child.call("ollama_chat", CHAT, token=1)
        pairs = [
            (timed(lambda: child.call("ollama_chat", CHAT, token=1)), timed(direct))
            for _ in range(runs)
        ]
        firsts = [(child.first_note("ollama_chat", CHAT), first()) for _ in range(runs)]
    ours, plain = (median(list(times)) for times in zip(*pairs, strict=True))
    row(
        "64 tokens with progress", f"{ours:.0f} ms", f"httpx {plain:.0f} ms", ours / plain, "≤ 1.02"
    )
    ours, plain = (median(list(times)) for times in zip(*firsts, strict=True))
    row(
        "first token told, stdio",
        f"{ours:.1f} ms",
        f"httpx {plain:.1f} ms",
        ours / plain,
        f"≤ 5 ms more (is {ours - plain:.1f})",
    )


def rpc(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
