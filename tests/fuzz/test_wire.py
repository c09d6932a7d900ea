"""The server as a process, on stdio and HTTP, in both eras, sent what is no message at all."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_mcp_server.transport.lines import MAX_LINE
from tests.fake_ollama import FakeOllama
from tests.fuzz.arguments import arguments, senses
from tests.fuzz.cases import WANTED, Tally, cases
from tests.fuzz.frames import BROKEN, HEADERS, JSON_TYPE, ODD, RAW, VALUES, frame, torn
from tests.fuzz.ground import SECRETS, Ground, harmless
from tests.wire import (
    EVERY,
    NEW,
    OLD,
    Client,
    HttpClient,
    Server,
    Servers,
    Stdio,
    client_of,
    started,
)

ERAS = (OLD[-1], NEW)
TOKEN = SECRETS["token"]
AUTHORIZED = b"Authorization: Bearer %s\r\n" % TOKEN.encode()
#: Codes of JSON-RPC and MCP for what a client did wrong; -32603 would be a fault of ours.
CODES = {-32700, -32600, -32601, -32602, -32002, -32020, -32021, -32022}
MEGABYTE = 2**20

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    return Ground.at(tmp_path_factory.mktemp("ground"))


@pytest.fixture(scope="module")
def servers(
    one_daemon: FakeOllama, ground: Ground, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Servers]:
    """A server for each era of stdio and one for HTTP, which keep every secret and log all."""
    variables = ground.variables(one_daemon.url)
    with started(tmp_path_factory.mktemp("home"), token=TOKEN, **variables) as servers:
        yield servers


@pytest.fixture
def unharmed(servers: Servers) -> Iterator[None]:
    """Look, after the test, whether the servers still serve, and what they have said."""
    yield
    for way in EVERY:
        assert client_of(servers, way, TOKEN).result("tools/list")["tools"]
    for server in servers.values():
        assert server.process.poll() is None
        for message in server.inbox.items:
            harmless(json.dumps(message))
        harmless(server.stderr, answer=False)


def stdio(servers: Servers, era: str) -> Stdio:
    server = servers["stdio", era]
    assert isinstance(server, Stdio)
    return server


def good(server: Client) -> str:
    """Return a method that costs little."""
    return "server/discover" if server.is_new else "ping"


def sent(server: Stdio, line: bytes) -> list[dict[str, Any]]:
    """Send a line and then a good request; return what came besides the answer to that."""
    assert server.process.stdin
    before = len(server.inbox.items)
    server.process.stdin.write(line + b"\n")
    reply = server.request(good(server))
    assert "result" in reply, reply
    return [message for message in server.inbox.items[before:] if message is not reply]


# --- stdio ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("era", ERAS)
def test_what_is_no_message_is_answered_with_its_code(
    era: str, servers: Servers, unharmed: None
) -> None:
    server = stdio(servers, era)
    for name, (line, code) in BROKEN.items():
        came = sent(server, line)
        told = [message["error"]["code"] for message in came]
        assert told == ([] if code is None else [code]), (name, came)


@pytest.mark.parametrize("era", ERAS)
def test_odd_requests_are_answered_by_their_ids(era: str, servers: Servers, unharmed: None) -> None:
    server = stdio(servers, era)
    for number, request in enumerate(ODD):
        server.write(json.dumps({**request, "id": f"odd-{number}"}))
        reply = server.inbox.wait(lambda item, name=f"odd-{number}": item.get("id") == name)
        assert "result" in reply or reply["error"]["code"] in CODES, (request, reply)


@pytest.mark.timeout(120 + WANTED)
@pytest.mark.parametrize("era", ERAS)
def test_torn_lines_do_no_harm(
    era: str, servers: Servers, unharmed: None, record_property: Record
) -> None:
    server, tally = stdio(servers, era), Tally()

    @cases(10, share=0.2)
    @given(torn())
    def tried(line: bytes) -> None:
        for message in sent(server, line):
            if "error" in message:
                assert message["error"]["code"] in CODES, message
        tally.count("answered")

    tried()
    tally.record(record_property)


def test_one_id_twice_has_two_answers(servers: Servers, unharmed: None) -> None:
    server = stdio(servers, NEW)
    for _ in range(2):
        server.write(json.dumps(frame("twin")))
    began = time.monotonic()
    while sum(item.get("id") == "twin" for item in server.inbox.items) < 2:
        assert time.monotonic() < began + 30
        time.sleep(0.01)


def test_a_flood_of_broken_lines_keeps_nobody_waiting(servers: Servers, unharmed: None) -> None:
    server = stdio(servers, NEW)
    came = sent(server, b"\n".join([b"[]", b"{}", b"x", b"\xff"] * 500))
    assert len(came) == 2000


@pytest.mark.parametrize("size", [10, 100] if WANTED else [10])
def test_huge_lines_take_no_more_memory_than_they_may(
    size: int, servers: Servers, unharmed: None
) -> None:
    server = stdio(servers, OLD[-1])
    huge = json.dumps(frame("huge", x="a" * (size * MEGABYTE))).encode()
    came = sent(server, huge)
    assert [message["id"] for message in came] == [None if len(huge) > MAX_LINE else "huge"]
    assert peak(server) < 500 * MEGABYTE


def peak(server: Server) -> int:
    """Return the most bytes of memory that a process has had."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


# --- HTTP -----------------------------------------------------------------------------------------


def answered(status: int, said: bytes) -> None:
    """Fail if the answer to a request is a fault of ours, or does harm."""
    harmless(said.decode(errors="replace"))
    assert 200 <= status < 500, (status, said[:500])


def posted(client: HttpClient, body: bytes, method: str = "tools/list") -> tuple[int, bytes]:
    headers = {name.replace("-", "_"): value for name, value in client.headers_for(method).items()}
    return client.ask("POST", body=body, **headers)  # type: ignore[arg-type]


@pytest.mark.parametrize("era", ERAS)
def test_over_http_what_is_no_message_is_refused(
    era: str, servers: Servers, unharmed: None
) -> None:
    client = client_of(servers, ("http", era), TOKEN)
    assert isinstance(client, HttpClient)
    for name, (body, code) in BROKEN.items():
        status, said = posted(client, body)
        answered(status, said)
        if code is not None and status != 202:
            error = json.loads(said)["error"]
            assert error["code"] in CODES, (name, said)
    for request in ODD:
        answered(*posted(client, json.dumps(request).encode(), request["method"]))


@pytest.mark.timeout(120 + WANTED)
@pytest.mark.parametrize("era", ERAS)
def test_torn_bodies_do_no_harm(
    era: str, servers: Servers, unharmed: None, record_property: Record
) -> None:
    client, tally = client_of(servers, ("http", era), TOKEN), Tally()
    assert isinstance(client, HttpClient)

    @cases(10, share=0.1)
    @given(torn())
    def tried(body: bytes) -> None:
        status, said = posted(client, body, "tools/call")
        answered(status, said)
        tally.count("answered" if status < 300 else "refused")

    tried()
    tally.record(record_property)


def test_a_body_that_is_too_long_is_not_read(servers: Servers, unharmed: None) -> None:
    for era in ERAS:
        client = client_of(servers, ("http", era), TOKEN)
        assert isinstance(client, HttpClient)
        head = f"POST /mcp HTTP/1.1\r\nHost: {client.host}:{client.port}\r\n".encode() + AUTHORIZED
        head += JSON_TYPE + b"Content-Length: 100000000000\r\n\r\n{"
        assert exchange(client, head).startswith(b"HTTP/1.1 413")


def exchange(client: HttpClient, request: bytes, patience: float = 2.0) -> bytes:
    """Send bytes, and return what comes until the end, or until nothing comes any more."""
    said = b""
    with socket.create_connection((client.host, client.port), timeout=patience) as connection:
        try:
            connection.sendall(request)
            while piece := connection.recv(65536):
                said += piece
        except OSError:  # it stays silent, or has closed
            pass
    return said


@pytest.mark.timeout(120 + WANTED)
@pytest.mark.parametrize("era", ERAS)
def test_odd_headers_do_no_harm(
    era: str, servers: Servers, unharmed: None, record_property: Record
) -> None:
    client, tally = client_of(servers, ("http", era), TOKEN), Tally()
    assert isinstance(client, HttpClient)
    body = json.dumps(frame("head")).encode()
    usual = {
        "Host": f"{client.host}:{client.port}".encode(),
        "Connection": b"close",
        "Content-Length": b"%d" % len(body),
        **{
            name: value.encode()
            for name, value in {**client.headers, **client.headers_for("tools/list")}.items()
        },
    }

    @cases(10, share=0.1)
    @given(st.dictionaries(st.sampled_from(HEADERS), VALUES, min_size=1, max_size=3))
    def tried(odd: dict[str, bytes]) -> None:
        lines = [b"%s: %s" % (name.encode(), value) for name, value in {**usual, **odd}.items()]
        request = b"POST /mcp HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + body
        said = exchange(client, request, patience=0.3)
        said = said.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")  # to `Expect`
        if said:
            answered(int(said.split()[1]), said)
        tally.count("answered" if said.startswith(b"HTTP/1.1 2") else "refused")

    tried()
    tally.record(record_property)


def test_what_is_no_http_does_no_harm(servers: Servers, unharmed: None) -> None:
    client = client_of(servers, ("http", OLD[-1]), TOKEN)
    assert isinstance(client, HttpClient)
    name, session = f"{client.host}:{client.port}", client.headers["Mcp-Session-Id"]
    for raw in RAW.values():
        request = raw.replace(b"%H", name.encode() + b"\r\n" + AUTHORIZED[:-2])
        request = request.replace(b"%S", session.encode())
        said = exchange(client, request, patience=0.1)
        harmless(said.decode(errors="replace"))
        assert b" 500 " not in said.split(b"\r\n")[0]


def test_many_idle_connections_keep_nobody_waiting(servers: Servers, unharmed: None) -> None:
    client = client_of(servers, ("http", NEW), TOKEN)
    assert isinstance(client, HttpClient)
    idle = [socket.create_connection((client.host, client.port)) for _ in range(200)]
    for number, connection in enumerate(idle):
        connection.sendall(b"POST /mcp HTTP/1.1\r\nHost: x"[: number % 30])
    assert client.result("tools/list")["tools"]
    for connection in idle:
        connection.close()


# --- both -----------------------------------------------------------------------------------------


@pytest.mark.timeout(120 + WANTED)
@pytest.mark.parametrize("way", EVERY, ids=lambda way: f"{way[0]}-{way[1]}")
def test_tools_are_as_kind_to_bad_input_over_the_wire(
    way: tuple[str, str],
    servers: Servers,
    ground: Ground,
    daemon: FakeOllama,
    unharmed: None,
    record_property: Record,
) -> None:
    client, tally, sense = client_of(servers, way, TOKEN), Tally(), senses(ground.paths)
    schemas = {tool["name"]: tool["inputSchema"] for tool in client.result("tools/list")["tools"]}

    @cases(6, share=0.05)
    @given(st.data())
    def tried(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(schemas)))
        given = data.draw(arguments(schemas[name], sense), label=name)
        reply = client.request("tools/call", {"name": name, "arguments": given})
        harmless(json.dumps(reply))
        if "error" in reply:
            assert reply["error"]["code"] in CODES, reply
            return tally.count("error")
        assert "failed inside this server" not in json.dumps(reply), reply
        return tally.count("refused" if reply["result"].get("isError") else "answered")

    tried()
    tally.record(record_property)
