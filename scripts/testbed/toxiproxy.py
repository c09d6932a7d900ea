"""Shopify's Toxiproxy in front of a server: faults on the wire, put in and taken out as it runs.

For example ``with toxiproxy.start(cache.folder()) as proxies: wire = proxies.put(ollama.url) ...``
"""

from __future__ import annotations

import json
import os
import socket
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import golang
from .processes import Child, await_answer, free_port, spawn
from .stoppable import Stoppable

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Toxiproxy(Stoppable):
    """A running Toxiproxy, without proxies at first."""

    url: str
    child: Child
    _count: int = field(default=0, repr=False)

    def put(self, target: str, *, host: str = "127.0.0.1") -> Proxy:
        """Put a proxy in front of `target`, a URL or host:port; without a fault at first.

        host: name or address of this machine that it is reached by.
        """
        self._count += 1
        name, listen = f"p{self._count}", f"{socket.gethostbyname(host)}:{free_port()}"
        where = urlsplit(target if "://" in target else f"http://{target}").netloc
        self.send("POST", "/proxies", name=name, listen=listen, upstream=where)
        return Proxy(self, name, f"http://{host}:{listen.rpartition(':')[2]}")

    def send(self, method: str, path: str, **fields: Any) -> None:
        """Ask its API."""
        body = json.dumps(fields).encode() if fields else None
        request = urllib.request.Request(self.url + path, body, method=method)
        with _OPENER.open(request, timeout=10) as response:
            response.read()

    def stop(self) -> None:
        """Stop it, with every proxy."""
        self.child.stop()


@dataclass
class Proxy:
    """The way to one server; a fault holds for the connections that there are, and for new ones."""

    _of: Toxiproxy
    _name: str
    url: str
    """Where to connect instead of to the server."""
    _toxics: list[str] = field(default_factory=list)

    def fault(self, kind: str, *, upstream: bool = False, **attributes: Any) -> None:
        """Let something go wrong with what the server sends, or with what it is sent.

        kind, with its attributes: latency (latency, jitter: ms), bandwidth (rate: KB/s),
        slow_close (delay: ms), timeout (timeout: ms after which the connection is closed, while
        no data passes; 0 for never), reset_peer (timeout: ms), slicer (average_size,
        size_variation: bytes, delay: µs), limit_data (bytes).
        """
        name = f"t{len(self._toxics)}"
        self._of.send(
            "POST",
            f"/proxies/{self._name}/toxics",
            name=name,
            type=kind,
            stream="upstream" if upstream else "downstream",
            attributes=attributes,
        )
        self._toxics.append(name)

    def heal(self) -> None:
        """Take the faults out; what a connection has lost stays lost."""
        while self._toxics:
            self._of.send("DELETE", f"/proxies/{self._name}/toxics/{self._toxics.pop()}")

    def cut(self) -> None:
        """Break every connection, and take no new one."""
        self._of.send("POST", f"/proxies/{self._name}", enabled=False)

    def mend(self) -> None:
        """Take connections again."""
        self._of.send("POST", f"/proxies/{self._name}", enabled=True)


def start(cache: Path) -> Toxiproxy:
    """Start it on 127.0.0.1, building the program (10 s) the first time.

    Raises SetupError when it cannot be built or does not start.
    """
    program, port = golang.installed("toxiproxy", cache), free_port()
    log = cache / "logs" / f"toxiproxy-{port}.log"
    words: list[str | Path] = [program, "-host", "127.0.0.1", "-port", str(port)]
    server = Toxiproxy(f"http://127.0.0.1:{port}", spawn(words, log, os.environ))
    await_answer(server.child, log, lambda: _answers(server))
    return server


def _answers(server: Toxiproxy) -> bool:
    try:
        server.send("GET", "/version")
    except OSError:
        return False
    return True
