"""Measure the server against what a user would pick instead, all in one run, in turn.

The daemon is the scripted one, which answers at once: what is left is the servers' own. A direct
request by httpx is the limit.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx

from scripts.testbed import cache
from tests.fake_ollama import FakeOllama

from .child import Child
from .peer import of_npm, of_pypi

MODEL = "llama3.2:3b"
MESSAGES = [{"role": "user", "content": "Hi"}]
#: Calls at once.
CROWDS = (1, 16, 64)


@dataclass
class Peer:
    """A server, with its words for listing models and for a chat."""

    name: str
    command: list[str]
    lists: str
    chats: tuple[str, Mapping[str, Any]]
    times: dict[str, list[float]] = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)

    def note(self, what: str, began: float) -> None:
        """Keep the milliseconds since then."""
        self.times.setdefault(what, []).append((time.perf_counter() - began) * 1000)


def peers() -> list[Peer]:
    """Return ours and the others, which are installed the first time."""
    room = cache.folder()
    chat = {"model": MODEL, "messages": MESSAGES}
    ask = {"model": MODEL, "prompt": "Hi"}
    ours = [sys.executable, "-m", "ollama_mcp_server"]
    return [
        Peer("**ollama-mcp-server**, this one", ours, "ollama_list", ("ollama_chat", chat)),
        Peer("`ollama-mcp` 2.1.0 (npm)", of_npm("ollama-mcp", room),
             "ollama_list", ("ollama_chat", chat)),
        Peer("`ollama-mcp-server` 1.1.0 (npm)", of_npm("ollama-mcp-server", room),
             "list", ("chat_completion", chat)),
        Peer("`mcp-ollama-python` 1.0.9", of_pypi("mcp-ollama-python==1.0.9", room),
             "ollama_list", ("ollama_chat", chat)),
        Peer("`mcp-ollama-vllm` 1.0.6", of_pypi("mcp-ollama-vllm==1.0.6", room),
             "list_models", ("local_ask", ask)),
    ]  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    """Run every measurement in turn, and print a table of Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench peers", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="starts of each (%(default)s)")
    parser.add_argument("--calls", type=int, default=100, help="calls of each (%(default)s)")
    given = parser.parse_args(words)
    every, limit = peers(), Peer("a direct request (httpx)", [], "", ("", {}))
    with FakeOllama() as daemon:
        env = {"OLLAMA_HOST": daemon.url, "OLLAMA_BASE_URL": daemon.url}
        cold_starts(every, env, given.runs)
        warm_calls(every, limit, env, daemon, given.calls)
    show(every, limit)


def cold_starts(every: list[Peer], env: Mapping[str, str], runs: int) -> None:
    """Spawn each, and wait for its first tools/list."""
    for run in range(runs + 1):
        for peer in every:
            began = time.perf_counter()
            with Child(peer.command, env) as child:
                child.ask("tools/list")
                if run:  # the first writes bytecode
                    peer.note("start", began)


def warm_calls(
    every: list[Peer], limit: Peer, env: Mapping[str, str], daemon: FakeOllama, calls: int
) -> None:
    """Call each in turn: for the models, for a chat of 64 tokens, many at once; weigh it."""
    with ExitStack() as stack:
        children = [stack.enter_context(Child(peer.command, env)) for peer in every]
        http = stack.enter_context(httpx.Client(base_url=daemon.url, trust_env=False))
        for peer, child in zip(every, children, strict=True):
            child.ask("tools/list")
            peer.sizes["rest"] = child.memory()
            child.call(peer.lists, {})
        for _ in range(calls):
            timed(limit, "list", lambda: http.get("/api/tags"))
            for peer, child in zip(every, children, strict=True):
                timed(peer, "list", lambda: child.call(peer.lists, {}))  # noqa: B023 - at once
        script(daemon, (calls // 4 + 1) * (len(every) + 1))
        for _ in range(calls // 4):
            timed(limit, "chat", lambda: direct_chat(http))
            for peer, child in zip(every, children, strict=True):
                timed(peer, "chat", lambda: child.call(*peer.chats))  # noqa: B023 - at once
        for crowd in CROWDS[1:]:
            for _ in range(max(3, calls // 10)):
                for peer, child in zip(every, children, strict=True):
                    work = lambda: child.at_once(peer.lists, {}, crowd)  # noqa: B023, E731
                    timed(peer, f"{crowd} at once", work)
        for peer, child in zip(every, children, strict=True):
            for _ in range(10):
                child.at_once(peer.lists, {}, 100)
            peer.sizes["after 1,000 calls"] = child.memory()


def script(daemon: FakeOllama, chats: int) -> None:
    """Let the daemon answer chats with 64 tokens, without a pause."""
    part = {"model": MODEL, "message": {"role": "assistant", "content": "word "}, "done": False}
    end = {**part, "done": True, "done_reason": "stop", "prompt_eval_count": 5, "eval_count": 64}
    daemon.reply("/api/chat", *[part] * 64, end, times=chats)


def direct_chat(http: httpx.Client) -> None:
    """Ask the daemon itself, and read the answer as it comes."""
    asked = {"model": MODEL, "messages": MESSAGES, "stream": True}
    with http.stream("POST", "/api/chat", json=asked) as answer:
        list(answer.iter_lines())


def timed(peer: Peer, what: str, work: Callable[[], object]) -> None:
    """Do it, and note how long it took."""
    began = time.perf_counter()
    work()
    peer.note(what, began)


def show(every: list[Peer], limit: Peer) -> None:
    """Print the table: medians, and the ratio to the direct request."""
    heads = ["spawn → first tools/list", "list models", "a chat of 64 tokens",
             *(f"{crowd} lists at once" for crowd in CROWDS[1:]),
             "memory at rest", "after 1,000 calls"]  # fmt: skip
    print(f"| | {' | '.join(heads)} |")
    print("|---" * (len(heads) + 1) + "|")
    base = {what: statistics.median(times) for what, times in limit.times.items()}
    for peer in [limit, *every]:
        cells = []
        for what in ("start", "list", "chat", *(f"{crowd} at once" for crowd in CROWDS[1:])):
            cells.append(cell(peer.times.get(what, []), None if peer is limit else base.get(what)))
        sizes = (peer.sizes.get(when) for when in ("rest", "after 1,000 calls"))
        cells += ["" if size is None else f"{size:.0f} MB" for size in sizes]
        print(f"| {peer.name} | {' | '.join(cells)} |")


def cell(times: list[float], base: float | None) -> str:
    """Return a median in ms with the tenth and ninetieth of a hundred, and the ratio to `base`."""
    if not times:
        return ""
    ordered, middle = sorted(times), statistics.median(times)
    low, high = ordered[len(ordered) // 10], ordered[len(ordered) * 9 // 10]
    digits = 0 if middle >= 100 else 1
    told = f"{middle:.{digits}f} ms ({low:.{digits}f}–{high:.{digits}f})"
    return told + (f", {middle / base:.1f}×" if base else "")


if __name__ == "__main__":
    main()
