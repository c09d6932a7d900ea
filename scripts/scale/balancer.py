"""HAProxy with the configuration that is deployed, its addresses put in place of containers'."""

from __future__ import annotations

import csv
import re
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.deploy.validators import Validators, debian
from scripts.testbed.processes import Child, spawn
from scripts.testbed.steps import SetupError
from scripts.testbed.stoppable import Stoppable

CONFIG = Path(__file__).parents[2] / "deploy/haproxy/haproxy.cfg"
#: What is asked of Docker's own DNS, which is not there.
_RESOLVING = " resolvers docker init-addr none"
_PATIENCE = 10.0  # seconds to answer; it takes 0.1 on an idle machine


@dataclass(frozen=True)
class Count:
    """What HAProxy has counted of one server in one backend."""

    is_up: bool
    #: Requests under way, and all that there were.
    running: int
    total: int
    #: Requests that it did not answer, and that were asked once more, of it or of another.
    retried: int


Counts = dict[tuple[str, str], Count]


@dataclass
class Balancer(Stoppable):
    """A running HAProxy."""

    port: int
    _socket: Path
    _child: Child

    @property
    def url(self) -> str:
        """The one address of all servers."""
        return f"http://127.0.0.1:{self.port}"

    def counts(self) -> Counts:
        """Return what it has counted, by backend and server."""
        return read_counts(_ask(self._socket, "show stat"))

    def until_all_up(self) -> None:
        """Wait until it counts every server as up.

        Raises:
            SetupError: it does not in time.
        """
        deadline = time.monotonic() + _PATIENCE
        while down := [name for name, count in self.counts().items() if not count.is_up]:
            if time.monotonic() > deadline:
                raise SetupError(f"for HAProxy these stay down: {down}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop it, and wait for the end."""
        self._child.stop()


def start(
    cache: Path,
    folder: Path,
    ports: tuple[int, int],
    servers: Sequence[str],
    ollamas: Sequence[str],
) -> Balancer:
    """Start HAProxy and wait until it answers; Debian's is fetched the first time (2 MB).

    Args:
        cache: the test bed's folder.
        folder: where configuration, socket and log go.
        ports: to listen at, for servers and for models.
        servers: host:port of each server.
        ollamas: host:port of each Ollama.

    Raises:
        SetupError: it cannot be had, or does not start.
    """
    tools = Validators(Path(), (), debian(cache / "deploy"))
    config, told, log = (folder / name for name in ("haproxy.cfg", "haproxy.sock", "haproxy.log"))
    config.write_text(adapted(CONFIG.read_text(), ports, servers, ollamas, told))
    words: list[str | Path] = [tools.program("haproxy"), "-db", "-f", config]
    balancer = Balancer(ports[0], told, spawn(words, log, tools.environment))
    deadline = time.monotonic() + _PATIENCE
    while not told.exists():
        if balancer._child.process.poll() is not None or time.monotonic() > deadline:
            balancer.stop()
            raise SetupError(f"HAProxy did not come up: {log.read_text()[-2000:]}")
        time.sleep(0.02)
    return balancer


def adapted(
    text: str, ports: tuple[int, int], servers: Sequence[str], ollamas: Sequence[str], told: Path
) -> str:
    """Return the deployed configuration for this machine: addresses only, and where it tells.

    Raises:
        SetupError: it is not written as this expects, so that something would stay as it was.
    """
    for pattern, made in (
        (r"(?m)^    log stdout .*\n", rf"\g<0>    stats socket {told} mode 600 level user" + "\n"),
        (r"(?ms)^resolvers docker\n.*?\n\n", ""),
        (r"(?m)^    bind :8000$", f"    bind 127.0.0.1:{ports[0]}"),
        (r"(?m)^    bind :11434$", f"    bind 127.0.0.1:{ports[1]}"),
        (r"(?m)^    server-template mcp- \d+ mcp:8000 (.*)$", _lines("mcp", servers, r" \1")),
        (r"(?m)(^    server ollama-\d+ ollama-\d+:11434\n?)+", _lines("ollama", ollamas) + "\n"),
    ):
        text, count = re.subn(pattern, made, text)
        if not count:
            raise SetupError(f"haproxy.cfg has nothing like {pattern}")
    return text.replace(_RESOLVING, "")


def read_counts(text: str) -> Counts:
    """Return what HAProxy says in answer to `show stat`."""
    return {
        (row["pxname"], row["svname"]): Count(
            row["status"].startswith("UP"),
            int(row["scur"] or 0),
            int(row["stot"] or 0),
            int(row["wretr"] or 0),
        )
        for row in csv.DictReader(text.removeprefix("# ").splitlines())
        if row["svname"] not in ("FRONTEND", "BACKEND")
    }


def _lines(name: str, addresses: Sequence[str], rest: str = "") -> str:
    return "\n".join(
        f"    server {name}-{number} {address}{rest}" for number, address in enumerate(addresses, 1)
    )


def _ask(told: Path, command: str) -> str:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect(str(told))
        connection.sendall(f"{command}\n".encode())
        pieces = []
        while piece := connection.recv(2**16):
            pieces.append(piece)
    return b"".join(pieces).decode()
