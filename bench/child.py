"""An MCP server as a child process, spoken to in raw JSON-RPC: no client's cost is measured."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from typing import Any

from .served import ENVIRONMENT, memory_of

HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}


class Child:
    """A server over stdio; `with Child([...]) as server`."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**ENVIRONMENT, **(env or {})},
        )
        self._last = 0

    def __enter__(self) -> Child:
        self.ask("initialize", HELLO)
        self._send({"method": "notifications/initialized"})
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def ask(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request and return its result; what comes meanwhile is let go."""
        self._last += 1
        self._send({"id": self._last, "method": method, "params": params or {}})
        return self._replies({self._last})

    def at_once(self, tool: str, arguments: Mapping[str, Any], calls: int) -> None:
        """Call a tool so many times at once, and wait until each is answered."""
        asked = set(range(self._last + 1, self._last + 1 + calls))
        self._last += calls
        for number in asked:
            params = {"name": tool, "arguments": arguments}
            self._send({"id": number, "method": "tools/call", "params": params})
        self._replies(asked)

    def _replies(self, asked: set[int]) -> dict[str, Any]:
        """Read until all that was asked is answered; return the last result."""
        assert self._process.stdout
        for line in self._process.stdout:
            if not line.startswith(b"{"):  # some print other things too
                continue
            message = json.loads(line)
            if message.get("id") in asked:
                asked.remove(message["id"])
                if not asked:
                    return dict(message["result"])
        raise RuntimeError("the server ended")

    def call(self, tool: str, arguments: Mapping[str, Any], token: int = 0) -> dict[str, Any]:
        """Call a tool; a token asks for progress."""
        meta = {"_meta": {"progressToken": token}} if token else {}
        return self.ask("tools/call", {"name": tool, "arguments": arguments, **meta})

    def first_note(self, tool: str, arguments: Mapping[str, Any]) -> float:
        """Call a tool, and return the milliseconds until it says that the answer is coming."""
        self._last += 1
        meta = {"_meta": {"progressToken": self._last}}
        began, told = time.perf_counter(), 0.0
        self._send(
            {
                "id": self._last,
                "method": "tools/call",
                "params": {"name": tool, "arguments": arguments, **meta},
            }
        )
        assert self._process.stdout
        for line in self._process.stdout:
            message = json.loads(line)
            if not told and message.get("params", {}).get("message", "").startswith("writing"):
                told = (time.perf_counter() - began) * 1000
            if message.get("id") == self._last:
                return told
        raise RuntimeError("the server ended")

    def memory(self) -> float:
        """Return the resident memory of the server in MB."""
        return memory_of(self._process.pid)

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self._process.stdin.flush()
