"""Measure the server against its yardsticks, interleaved, and print medians and ratios."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import httpx

from tests.fake_ollama import FakeOllama

from .child import HELLO, Child
from .served import Served

OURS = [sys.executable, "-m", "ollama_mcp_server"]
BARE = [sys.executable, "-m", "bench.hello"]
CHAT = {"model": "llama3.2:3b", "messages": [{"role": "user", "content": "Hi"}]}
FINAL = {
    "model": "llama3.2:3b",
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "done_reason": "stop",
    "prompt_eval_count": 5,
    "eval_count": 1,
}


def main() -> None:
    """Run every measurement and print a table; `gateway`, `batch`, `peers`, `soak` run those."""
    if sys.argv[1:2] in (["gateway"], ["batch"], ["peers"], ["soak"]):
        import_module(f"bench.{sys.argv[1]}").main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=11, help="spawns of each (%(default)s)")
    parser.add_argument("--calls", type=int, default=200, help="calls of each (%(default)s)")
    given = parser.parse_args()
    print("| what | ours | against | ratio | budget |\n|---|---|---|---|---|")
    with FakeOllama() as daemon:
        env = {"OLLAMA_HOST": daemon.url}
        cold_start(given.runs, env)
        at_rest(env)
        warm_list(given.calls, env)
        own_cost(given.calls, env, daemon)
        long_answer(5, env, daemon)


def row(what: str, ours: str, against: str, ratio: float | None, budget: str) -> None:
    """Print a row of the table."""
    shown = "" if ratio is None else f"{ratio:.2f}"
    print(f"| {what} | {ours} | {against} | {shown} | {budget} |", flush=True)


def median(values: list[float]) -> float:
    """Return the middle of the values."""
    return statistics.median(values)


def timed(work: Callable[[], Any]) -> float:
    """Return the milliseconds that some work takes."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def cold_start(runs: int, env: Mapping[str, str]) -> None:
    """Spawn, initialize, first tools/list answered; both with compiled bytecode."""

    def start(command: list[str]) -> None:
        with Child(command, env) as child:
            took.append((time.perf_counter() - began) * 1000 if child.ask("tools/list") else 0)

    times: dict[str, list[float]] = {"ours": [], "bare": []}
    for run in range(runs + 1):
        for name, command in (("ours", OURS), ("bare", BARE)):
            took: list[float] = []
            began = time.perf_counter()
            start(command)
            if run:  # the first of each writes the bytecode
                times[name] += took
    ours, bare = median(times["ours"]), median(times["bare"])
    spread = f"{min(times['ours']):.0f}–{max(times['ours']):.0f}"
    row(
        "spawn → first tools/list, stdio",
        f"{ours:.0f} ms ({spread})",
        f"bare FastMCP {bare:.0f} ms",
        ours / bare,
        "≤ 1.10",
    )


def at_rest(env: Mapping[str, str]) -> None:
    """Measure the memory after the first tools/list."""
    with Child(OURS, env) as ours, Child(BARE) as bare:
        ours.ask("tools/list")
        bare.ask("tools/list")
        mine, theirs = ours.memory(), bare.memory()
    row(
        "memory at rest", f"{mine:.0f} MB", f"bare FastMCP {theirs:.0f} MB", mine / theirs, "≤ 1.15"
    )


def warm_list(calls: int, env: Mapping[str, str]) -> None:
    """Time tools/list once running, and weigh it."""
    with Child(OURS, env) as child:
        size = len(json.dumps(child.ask("tools/list"), separators=(",", ":")).encode())
        took = median([timed(lambda: child.ask("tools/list")) for _ in range(calls)])
    row("tools/list, running", f"{took:.1f} ms, {size / 1000:.1f} kB", "", None, "≤ 5 ms, ≤ 40 kB")


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


def long_answer(runs: int, env: Mapping[str, str], daemon: FakeOllama) -> None:
    """Time 64 tokens at 50 a second, with progress, against the same stream read by httpx."""
    token = {"message": {"role": "assistant", "content": "word "}, "done": False}
    parts = [part for _ in range(64) for part in (token, 0.02)] + [FINAL]
    daemon.reset()
    daemon.reply("/api/chat", *parts, times=runs * 2 + 2)
    client = httpx.Client(base_url=daemon.url, timeout=30)

    def direct() -> None:
        with client.stream("POST", "/api/chat", json=CHAT) as answer:
            list(answer.iter_lines())

    with Child(OURS, env) as child:
        child.call("ollama_chat", CHAT, token=1)
        pairs = [
            (timed(lambda: child.call("ollama_chat", CHAT, token=1)), timed(direct))
            for _ in range(runs)
        ]
    ours, plain = median([a for a, _ in pairs]), median([b for _, b in pairs])
    row(
        "64 tokens with progress", f"{ours:.0f} ms", f"httpx {plain:.0f} ms", ours / plain, "≤ 1.02"
    )


def rpc(method: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON-RPC request."""
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


if __name__ == "__main__":
    main()
