"""A visit to a server as a host makes it: over stdio, with the standard library alone."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

PROTOCOL = "2025-11-25"
#: What a host hands down of its own environment, on any system.
HANDED_DOWN = (
    "APPDATA", "HOMEDRIVE", "HOMEPATH", "LANG", "LOCALAPPDATA", "PATH", "PATHEXT", "PROGRAMDATA",
    "SYSTEMDRIVE", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR", "USERPROFILE", "WINDIR",
)  # fmt: skip


class Unanswered(Exception):
    """The server did not answer as it should; the text says what came instead."""


@dataclass(frozen=True)
class Seen:
    """What a server told of itself."""

    name: str
    version: str
    protocol: str
    tools: tuple[str, ...]


def visit(
    command: Sequence[str], folder: Path, more: Mapping[str, str], *, seconds: float = 120
) -> Seen:
    """Start a server, ask it who it is and what tools it has, and end it by closing its stdin.

    Args:
        command: what a host is configured with.
        folder: in which it is started; none with sources, for Python would take those.
        more: variables beside those that a host hands down.
        seconds: until which all of it must be done.

    Raises Unanswered.
    """
    handed = {name: value for name in HANDED_DOWN if (value := os.environ.get(name))}
    pipe = subprocess.PIPE
    try:
        server = subprocess.Popen(
            list(command), stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder,
            env={**handed, **more},
        )  # fmt: skip
    except OSError as error:
        raise Unanswered(f"{command[0]} cannot be started: {error}") from None
    said: list[bytes] = []
    listener = threading.Thread(target=_listen, args=(_of(server.stderr), said))
    listener.start()
    watch = threading.Timer(seconds, server.kill)
    watch.start()
    try:
        seen = _asked(_of(server.stdin), _of(server.stdout))
        _of(server.stdin).close()
        status = server.wait()
    except (OSError, ValueError, KeyError) as error:
        server.kill()
        server.wait()
        listener.join()
        told = b"".join(said).decode(errors="replace")[-2000:]
        raise Unanswered(f"{command[0]} did not answer ({error!r}); its log:\n{told}") from None
    finally:
        watch.cancel()
        with suppress(OSError):  # who has ended takes nothing more
            _of(server.stdin).close()
        _of(server.stdout).close()
    listener.join()
    if status:
        raise Unanswered(f"{command[0]} ended with {status} when its stdin was closed")
    return seen


def _listen(log: IO[bytes], said: list[bytes]) -> None:
    with log:
        said.append(log.read())


def _asked(to: IO[bytes], back: IO[bytes]) -> Seen:
    hello = {
        "protocolVersion": PROTOCOL,
        "capabilities": {},
        "clientInfo": {"name": "packages", "version": "1"},
    }
    about = _call(to, back, 1, "initialize", hello)
    _send(to, {"method": "notifications/initialized"})
    tools = tuple(tool["name"] for tool in _call(to, back, 2, "tools/list", {})["tools"])
    server = about["serverInfo"]
    return Seen(server["name"], server["version"], about["protocolVersion"], tools)


def _call(
    to: IO[bytes], back: IO[bytes], number: int, method: str, params: dict[str, Any]
) -> dict[str, Any]:
    _send(to, {"id": number, "method": method, "params": params})
    while line := back.readline():
        message = json.loads(line)  # a line that is no JSON would break a host too
        if message.get("id") == number:
            found: dict[str, Any] = message["result"]
            return found
    raise ValueError(f"it ended before it had answered {method}")


def _send(to: IO[bytes], message: dict[str, Any]) -> None:
    to.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    to.flush()


def _of(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None
    return pipe
