"""Call a server for long, in every way that it has, and see that it does not grow.

Two servers, one over stdio and one over HTTP with the gateway, and the test bed's real daemon.
Memory and open files after the first two minutes are compared with those at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from scripts.testbed import models
from tests.wire import OLD, Client, Http, HttpClient, Stdio

from .served import memory_of

#: Minutes after which a server has seen everything once; how much more it may have at the end.
SETTLED, GROWTH = 2.0, 1.05
SHORT = {"num_predict": 8, "num_ctx": 2048}
HELLO = [{"role": "user", "content": "Hello"}]
COLOUR = {"type": "object", "properties": {"colour": {"enum": ["red", "blue"]}}}
SERVERS = Path(__file__).parent.parent / "tests" / "servers"
NOTES = {"name": "notes", "command": sys.executable, "args": [str(SERVERS / "notes.py")]}

#: A tool and its arguments, with the code of the error that it must give, if any.
Ask = tuple[str, dict[str, Any], str]
ASKS: list[Ask] = [
    ("ollama_list", {}, ""),
    ("ollama_ps", {}, ""),
    ("ollama_show", {"model": models.CHAT}, ""),
    ("ollama_chat", {"model": models.CHAT, "messages": HELLO, "options": SHORT}, ""),
    ("ollama_chat", {"model": models.CHAT, "messages": HELLO, "options": SHORT,
                     "conversation": "new"}, ""),
    ("ollama_generate", {"model": models.CHAT, "prompt": "A colour?", "format": COLOUR,
                         "options": SHORT | {"num_predict": 20}}, ""),
    ("chat_completion", {"model": models.CHAT, "messages": HELLO, "max_tokens": 8}, ""),
    ("ollama_embed", {"model": models.EMBED, "input": ["a", "b"]}, ""),
    ("ollama_batch", {"model": models.CHAT, "prompt": "Say {item}", "items": ["a", "b"],
                      "options": SHORT}, ""),
    ("ollama_agent", {"model": models.TOOLS, "task": "List the notes.", "max_rounds": 2,
                      "servers": ["notes"], "options": SHORT}, ""),
    ("ollama_show", {"model": "nobody"}, "model_not_found"),
    ("ollama_chat", {"model": models.CHAT, "messages": "no list"}, "invalid_argument"),
]  # fmt: skip


@dataclass
class Tally:
    """What was asked, and what came back otherwise than it should."""

    calls: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    def note(self, name: str, problem: str = "") -> None:
        """Count a call, and what is wrong with its answer."""
        self.calls[name] += 1
        if problem:
            self.wrong[f"{name}: {problem[:200]}"] += 1


@dataclass(frozen=True)
class Size:
    """What a process has."""

    memory: float
    files: int
    children: int

    @classmethod
    def of(cls, pid: int) -> Size:
        """Measure a process; memory in MB."""
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return cls(memory_of(pid), len([*Path(f"/proc/{pid}/fd").iterdir()]), len(children))


def main(words: Sequence[str] | None = None) -> None:
    """Run it, print a table of Markdown, and exit with 1 if a server has grown or failed."""
    parser = argparse.ArgumentParser(prog="python -m bench soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="how long (%(default)s)")
    given = parser.parse_args(words)
    ends = time.monotonic() + given.minutes * 60
    settled = time.monotonic() + min(SETTLED, given.minutes / 2) * 60
    with TemporaryDirectory() as name:
        home = {
            "OLLAMA_HOST": os.environ["OLLAMA_HOST"],
            "OLLAMA_MCP_SERVERS": json.dumps([NOTES]),
            "OLLAMA_MCP_TOOLSETS": "chat,models,agent,conversations",
        }
        with Stdio(Path(name), **home) as stdio, Http(Path(name), "--gateway", **home) as http:
            servers = {"stdio": stdio.process.pid, "HTTP": http.process.pid}
            tally, stop = Tally(), threading.Event()
            works: list[Callable[[], None]] = [
                lambda: calling(stdio, "stdio", tally, stop),
                lambda: calling(HttpClient(http.url), "HTTP", tally, stop),
                lambda: calling(HttpClient(http.url, OLD[-1]), "HTTP, 2025", tally, stop),
                lambda: applications(http.url.removesuffix("/mcp"), tally, stop),
            ]
            threads = [threading.Thread(target=work, daemon=True) for work in works]
            for thread in threads:
                thread.start()
            time.sleep(max(0.0, settled - time.monotonic()))
            before = {server: Size.of(pid) for server, pid in servers.items()}
            time.sleep(max(0.0, ends - time.monotonic()))
            stop.set()
            for thread in threads:
                thread.join(120)
            time.sleep(2)  # what was cancelled last is closed
            after = {server: Size.of(pid) for server, pid in servers.items()}
    sys.exit(told(given.minutes, before, after, tally))


def calling(client: Client, way: str, tally: Tally, stop: threading.Event) -> None:
    """Call tools in an order of chance, and cancel one in ten."""
    chance = random.Random(way)
    while not stop.is_set():
        tool, arguments, expected = chance.choice(ASKS)
        name = f"{tool} ({expected})" if expected else tool
        call = client.start(tool, arguments)
        if chance.random() < 0.1:
            stop.wait(chance.random() / 5)
            client.cancel(call)
            tally.note("cancelled")
            continue
        reply = call.reply(120)
        result = reply.get("result", {})
        error = (result.get("structuredContent") or {}).get("error") or {}
        right = "result" in reply and error.get("code", "") == expected
        tally.note(f"{way}: {name}", "" if right else json.dumps(reply.get("error") or error))
        if kept := (result.get("structuredContent") or {}).get("conversation"):
            client.call("ollama_conversations", forget=kept)


def applications(url: str, tally: Tally, stop: threading.Event) -> None:
    """Ask the gateway in each dialect, streamed and whole, and leave one in ten in the middle."""
    chance, body = random.Random("gateway"), {"model": models.CHAT, "messages": HELLO}
    asks = [
        ("/v1/chat/completions", {**body, "max_tokens": 8}),
        ("/v1/messages", {**body, "max_tokens": 8}),
        ("/v1/responses", {"model": models.CHAT, "input": "Hello", "max_output_tokens": 16}),
        ("/api/chat", {**body, "options": SHORT}),
    ]
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        while not stop.is_set():
            path, asked = chance.choice(asks)
            streamed, leaves = chance.random() < 0.5, chance.random() < 0.1
            with client.stream("POST", path, json={**asked, "stream": streamed}) as answer:
                problem = "" if answer.status_code == 200 else str(answer.status_code)
                for _ in answer.iter_bytes():
                    if leaves:
                        break
            tally.note(f"gateway: {path}", problem)


def told(minutes: float, before: dict[str, Size], after: dict[str, Size], tally: Tally) -> int:
    """Print what came of it, and return the exit status."""
    print(f"{sum(tally.calls.values())} calls in {minutes:g} minutes", end="")
    print(f", {tally.calls['cancelled']} of them cancelled, {sum(tally.wrong.values())} wrong.\n")
    print("| server | memory after 2 min | at the end | ratio | open files | children |")
    print("|---|---|---|---|---|---|")
    grown = False
    for server, first in before.items():
        last = after[server]
        ratio = last.memory / first.memory
        grown |= ratio > GROWTH or last.files > first.files * GROWTH + 1
        files = f"{first.files} → {last.files}"
        children = f"{first.children} → {last.children}"
        memory = f"{first.memory:.1f} MB | {last.memory:.1f} MB | {ratio:.3f}"
        print(f"| {server} | {memory} | {files} | {children} |")
    for problem, times in tally.wrong.most_common(20):
        print(f"{times} × {problem}", file=sys.stderr)
    return int(grown or bool(tally.wrong))


if __name__ == "__main__":
    main()
