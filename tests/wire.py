"""A client that hides nothing: raw JSON-RPC to the server as a child process, on either transport.

`Stdio` and `Http` are the server and its one client at once, in the era that `era` names. Both
give `request`, `notify` and `start`; what `start` returns is one tool call under way, which tells
its progress and its reply, and is cancelled in the way of its transport and era.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from itertools import count
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-m", "ollama_mcp_server")

#: Protocol versions that begin with `initialize`, oldest first, and the one that does not.
OLD = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")
NEW = "2026-07-28"
PREFIX = "io.modelcontextprotocol"
#: Seconds for what takes milliseconds on a machine that has nothing else to do.
PATIENCE = 30.0

TERM, INT = signal.SIGTERM, signal.SIGINT

Message = dict[str, Any]
_Me = TypeVar("_Me", bound="Server")


def within(seconds: float, attempt: Callable[[], float], tries: int = 3) -> None:
    """Assert that an attempt takes less than `seconds`, the best of some tries."""
    took: list[float] = []
    while len(took) < tries:
        took.append(attempt())
        if took[-1] < seconds:
            return
    raise AssertionError(f"took {took} seconds, should take {seconds}")


def envelope(**more: Any) -> Message:
    """Return the `_meta` that each request of the new era carries."""
    return {
        f"{PREFIX}/protocolVersion": NEW,
        f"{PREFIX}/clientCapabilities": {},
        f"{PREFIX}/clientInfo": {"name": "tests", "version": "1"},
        **more,
    }


def call_params(tool: str, arguments: Message, token: Any = None) -> Message:
    """Return the parameters of tools/call; with a token the call tells its progress."""
    meta = {} if token is None else {"_meta": {"progressToken": token}}
    return {"name": tool, "arguments": arguments, **meta}


class Inbox:
    """What has come, from a thread that reads to one that waits."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self._changed = threading.Condition()

    def put(self, item: Any) -> None:
        with self._changed:
            self.items.append(item)
            self._changed.notify_all()

    def find(self, wanted: Callable[[Any], bool]) -> Any:
        """Return the first item that is wanted, or None."""
        with self._changed:
            return next((item for item in self.items if wanted(item)), None)

    def wait(self, wanted: Callable[[Any], bool], timeout: float = PATIENCE) -> Any:
        """Return the first item that is wanted, once it is there."""
        with self._changed:
            if not self._changed.wait_for(lambda: any(map(wanted, self.items)), timeout):
                raise TimeoutError(f"not within {timeout} s; came: {self.items[-5:]}")
        return self.find(wanted)


class Server:
    """The server as a child process, in a process group of its own, at home in `home`."""

    def __init__(
        self, home: Path, *flags: str, stdin: int = subprocess.PIPE, **variables: str
    ) -> None:
        path = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.process = subprocess.Popen(
            [*COMMAND, *flags],
            cwd=home,
            env={
                **path,
                "HOME": str(home),
                "PYTHONPATH": str(ROOT),
                "OLLAMA_MCP_START_DAEMON": "never",
                **variables,
            },
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        #: The lines of stdout and of stderr, and the messages among the former.
        self.out, self.err, self.inbox = Inbox(), Inbox(), Inbox()
        self._threads = [
            threading.Thread(target=self._read_out, daemon=True),
            threading.Thread(target=self._read_err, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self: _Me) -> _Me:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self._join()

    @property
    def stderr(self) -> str:
        """What has been logged so far; all of it, once the process has ended."""
        return "".join(self.err.items)

    def end(self, number: int | None = None, timeout: float = PATIENCE) -> float:
        """Send a signal, or close stdin; return the seconds until the process has ended."""
        began = time.monotonic()
        if number is None:
            assert self.process.stdin
            self.process.stdin.close()
        else:
            self.process.send_signal(number)
        return self.wait(timeout, began)

    def wait(self, timeout: float = PATIENCE, began: float | None = None) -> float:
        """Wait for the end of the process; return the seconds, from `began` if given."""
        began = time.monotonic() if began is None else began
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        took = time.monotonic() - began
        self._join()
        return took

    @property
    def has_orphans(self) -> bool:
        """Whether a process that the ended server started is still there."""
        try:
            os.killpg(self.process.pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _join(self) -> None:
        self.process.wait()
        for thread in self._threads:
            thread.join(PATIENCE)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                with suppress(OSError):  # what was not read any more
                    pipe.close()

    def _read_out(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.out.put(line)
            with suppress(ValueError):
                self.inbox.put(json.loads(line))

    def _read_err(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self.err.put(line.decode(errors="replace"))


class Client:
    """What both transports have in common: a message as its era wants it, and its reply."""

    def __init__(self, era: str) -> None:
        self.era = era
        self._ids = count(1)

    @property
    def is_new(self) -> bool:
        return self.era == NEW

    def message(self, method: str, params: Message | None = None) -> Message:
        """Return a request."""
        params = dict(params or {})
        if self.is_new:
            params["_meta"] = envelope(**params.get("_meta", {}))
        number = next(self._ids)
        return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}

    def request(
        self, method: str, params: Message | None = None, timeout: float = PATIENCE
    ) -> Message:
        """Send a request and return the reply, whatever it is."""
        return self.sent(self.message(method, params)).reply(timeout)

    def result(self, method: str, params: Message | None = None) -> Message:
        """Send a request and return its result."""
        reply = self.request(method, params)
        assert "result" in reply, reply
        return reply["result"]

    def start(self, tool: str, arguments: Message, *, progress: bool = True) -> Call:
        """Start a tool call, and do not wait for it."""
        request = self.message("tools/call", call_params(tool, arguments))
        if progress:
            request["params"].setdefault("_meta", {})["progressToken"] = f"t{request['id']}"
        return self.sent(request)

    def call(self, tool: str, **arguments: Any) -> Message:
        """Call a tool and return its result."""
        return self.result("tools/call", call_params(tool, arguments))

    def handshake(self, version: str = "") -> Message:
        """Begin a connection of the old era; returns the result of `initialize`."""
        begun = self.result(
            "initialize",
            {
                "protocolVersion": version or self.era,
                "capabilities": {},
                "clientInfo": {"name": "tests", "version": "1"},
            },
        )
        self.notify("notifications/initialized")
        return begun

    def notify(self, method: str, params: Message | None = None) -> None:
        raise NotImplementedError

    def sent(self, request: Message) -> Call:
        """Send a request; returns it as under way."""
        raise NotImplementedError

    def cancel(self, call: Call) -> None:
        """Cancel by the notification."""
        self.notify("notifications/cancelled", {"requestId": call.id, "reason": "a test"})


class Call:
    """A request under way: its progress so far, its reply, its cancelling."""

    def __init__(self, client: Client, request: Message, inbox: Inbox) -> None:
        self.client, self.id, self.inbox = client, request["id"], inbox
        self.began = len(inbox.items)
        self.token = request["params"].get("_meta", {}).get("progressToken")

    @property
    def notes(self) -> list[Message]:
        """The parameters of the progress notes that have come."""
        return [item["params"] for item in list(self.inbox.items) if self._is_note(item)]

    @property
    def has_reply(self) -> bool:
        return self.inbox.find(self._is_reply) is not None

    def reply(self, timeout: float = PATIENCE) -> Message:
        """Wait for the reply, a result or an error."""
        return self.inbox.wait(self._is_reply, timeout)

    def result(self, timeout: float = PATIENCE) -> Message:
        return self.reply(timeout)["result"]

    def until(self, phase: str, timeout: float = PATIENCE) -> Message:
        """Wait for a progress note whose message holds `phase`."""
        found = self.inbox.wait(
            lambda item: self._is_note(item) and phase in item["params"].get("message", ""), timeout
        )
        return found["params"]

    def cancel(self) -> None:
        """Cancel it as its transport and era do."""
        self.client.cancel(self)

    def _is_reply(self, item: Message) -> bool:
        return item.get("id") == self.id and "method" not in item

    def _is_note(self, item: Message) -> bool:
        mine = item.get("params", {}).get("progressToken") == self.token
        return item.get("method") == "notifications/progress" and mine


class Stdio(Client, Server):
    """The server as a host starts it, and the host."""

    def __init__(self, home: Path, *flags: str, era: str = NEW, **variables: str) -> None:
        Client.__init__(self, era)
        Server.__init__(self, home, *flags, **variables)
        if not self.is_new:
            self.begun = self.handshake()

    def write(self, line: str) -> None:
        """Send a line as it is."""
        assert self.process.stdin
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def notify(self, method: str, params: Message | None = None) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}}))

    def sent(self, request: Message) -> Call:
        call = Call(self, request, self.inbox)
        self.write(json.dumps(request))
        return call


class HttpClient(Client):
    """A client of a server that listens at `url`; each request has a connection of its own."""

    def __init__(self, url: str, era: str = NEW, token: str = "") -> None:
        super().__init__(era)
        where = urlsplit(url)
        self.url, self.path = url, where.path
        self.host, self.port = where.hostname or "", where.port or 80
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        if not self.is_new:
            self.begun = self.handshake()

    def ask(
        self, method: str, path: str = "", body: str | None = None, **headers: str
    ) -> tuple[int, bytes]:
        """Send any request; returns status and body; `_` in a header's name stands for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(HTTPConnection(self.host, self.port, timeout=PATIENCE)) as connection:
            connection.request(method, path or self.path, body, {**self.headers, **named})
            response = connection.getresponse()
            return response.status, response.read()

    def notify(self, method: str, params: Message | None = None) -> None:
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}})
        status, text = self.ask("POST", "", body, **self.headers_for(method))
        assert status == 202, text

    def sent(self, request: Message) -> HttpCall:
        return HttpCall(self, request)

    def listen(self) -> HttpCall:
        """Open the stream of an old session on which the server may speak first."""
        return HttpCall(self, {"id": None, "params": {}}, "GET")

    def cancel(self, call: Call) -> None:
        if self.is_new:
            assert isinstance(call, HttpCall)
            call.close()
        else:
            super().cancel(call)

    def headers_for(self, method: str, name: str = "") -> dict[str, str]:
        """Return the headers that MCP wants of a request."""
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
        }
        if self.is_new:
            headers |= {"MCP-Protocol-Version": NEW, "Mcp-Method": method}
            headers |= {"Mcp-Name": name} if name else {}
        elif method != "initialize":
            headers["MCP-Protocol-Version"] = self.era
        return headers


class Http(HttpClient, Server):
    """The server over Streamable HTTP on a free port, and a client of it."""

    def __init__(
        self, home: Path, *flags: str, era: str = NEW, token: str = "", **variables: str
    ) -> None:
        if token:
            variables["OLLAMA_MCP_AUTH_TOKEN"] = token
        Server.__init__(self, home, "--transport", "http", "--port", "0", *flags, **variables)
        told = self.err.wait(lambda line: "ollama-mcp-server: http" in line)
        HttpClient.__init__(self, told.split()[-1], era, token)


class HttpCall(Call):
    """A request over HTTP under way, on a connection of its own."""

    def __init__(self, client: HttpClient, request: Message, verb: str = "POST") -> None:
        super().__init__(client, request, Inbox())
        self.status = 0
        self.headers: dict[str, str] = {}
        self.opened, self.ended = threading.Event(), threading.Event()
        self._connection = HTTPConnection(client.host, client.port, timeout=120)
        self._connection.connect()
        self._socket = self._connection.sock
        method, name = request.get("method", ""), request["params"].get("name", "")
        self._connection.request(
            verb,
            client.path,
            json.dumps(request) if verb == "POST" else None,
            {**client.headers, **client.headers_for(method, name)},
        )
        self._thread = threading.Thread(target=self._read, args=[client, method], daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave, as a client that has gone."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self.ended.wait(PATIENCE)

    def until_open(self) -> None:
        """Wait until the server has begun to answer."""
        assert self.opened.wait(PATIENCE)

    def _read(self, client: HttpClient, method: str) -> None:
        try:
            response = self._connection.getresponse()
            self.headers = dict(response.getheaders())
            if method == "initialize" and "mcp-session-id" in self.headers:
                client.headers["Mcp-Session-Id"] = self.headers["mcp-session-id"]
            self.status = response.status
            self.opened.set()
            for message in _messages(response):
                self.inbox.put(message)
        except (OSError, HTTPException):
            pass  # it was closed, by us or by the server
        finally:
            self._connection.close()
            if not self.has_reply:
                self.inbox.put({"id": self.id, "closed": "without a reply"})
            self.ended.set()


def _messages(response: HTTPResponse) -> Iterator[Message]:
    """Yield the JSON-RPC messages of a response: one, or a stream of events."""
    if not response.getheader("content-type", "").startswith("text/event-stream"):
        with suppress(ValueError):
            yield json.loads(response.read())
        return
    for line in response:
        if line.startswith(b"data: {"):
            yield json.loads(line[6:])


#: Transport and era of each way to connect: the newest of the old, and the new.
EVERY = [(kind, era) for kind in ("stdio", "http") for era in (OLD[-1], NEW)]
Servers = dict[tuple[str, str], "Stdio | Http"]


@contextmanager
def started(home: Path, *http_flags: str, token: str = "", **variables: str) -> Iterator[Servers]:
    """Start, side by side, a server for each era of stdio, and one for HTTP."""

    def http() -> Http:
        return Http(home, *http_flags, token=token, **variables)

    with ThreadPoolExecutor() as pool:
        starting: dict[tuple[str, str], Future[Any]] = {
            ("stdio", OLD[-1]): pool.submit(Stdio, home, era=OLD[-1], **variables),
            ("stdio", NEW): pool.submit(Stdio, home, **variables),
            ("http", NEW): pool.submit(http),
        }
    servers = {way: future.result() for way, future in starting.items()}
    try:
        yield servers
    finally:
        for server in servers.values():
            server.__exit__()


def client_of(servers: Servers, way: tuple[str, str], token: str = "") -> Client:
    """Return the client of a transport and era; one of HTTP's older era has a new session."""
    if way == ("http", OLD[-1]):
        http = servers["http", NEW]
        assert isinstance(http, Http)
        return HttpClient(http.url, OLD[-1], token)
    return servers[way]
