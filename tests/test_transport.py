"""The server as a child process, in raw JSON-RPC: eras, stdout, ending, cancelling, progress.

What needs no process of its own (progress at its source, no daemon anywhere) is asked in memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import pty
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from fastmcp import Client as FastClient

from ollama_mcp_server import progress as progress_module
from ollama_mcp_server.app import App
from ollama_mcp_server.daemon.connections import Connections
from ollama_mcp_server.progress import Progress
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from tests.conftest import CHAT, EMBEDDER, HELLO, Caller, text
from tests.fake_ollama import FakeOllama
from tests.wire import (
    EVERY,
    INT,
    NEW,
    OLD,
    PREFIX,
    TERM,
    Client,
    Http,
    HttpClient,
    Servers,
    Stdio,
    call_params,
    client_of,
    envelope,
    started,
    within,
)

TOKEN = "a-token-that-nobody-can-guess"
#: What a host sends and a model answers must not stand in any log.
SECRET = "zebrafish"
#: A user's tool module that writes to stdout, as it is imported and as it runs.
TALKATIVE = """
import subprocess
from fastmcp.tools import tool

print("a greeting at import", flush=True)
subprocess.run(["echo", "a child at import"])

@tool
def shout(text: str) -> dict[str, str]:
    print("a line from a tool", flush=True)
    subprocess.run(["echo", "a line from a child"])
    return {"said": text.upper()}
"""
#: One call of each tool that keeps the daemon at work, with the path that it asks.
WORK = {
    "ollama_chat": ("/api/chat", {"model": CHAT, "messages": HELLO}),
    "ollama_generate": ("/api/generate", {"model": CHAT, "prompt": "Hello"}),
    "chat_completion": ("/api/chat", {"model": CHAT, "messages": HELLO}),
    "ollama_embed": ("/api/embed", {"model": EMBEDDER, "input": "Hello"}),
    "ollama_batch": ("/api/chat", {"model": CHAT, "prompt": "Hello", "items": ["you"]}),
    "ollama_pull": ("/api/pull", {"model": "gemma3:1b"}),
    "ollama_create": ("/api/create", {"model": "mine", "from": CHAT}),
    "ollama_push": ("/api/push", {"model": CHAT}),
}


@pytest.fixture(scope="module")
def servers(one_daemon: FakeOllama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A server for each era of stdio and one for HTTP, which log all they can."""
    home = tmp_path_factory.mktemp("home")
    (home / "tools").mkdir()
    (home / "tools" / "talkative.py").write_text(TALKATIVE)
    told = {
        "OLLAMA_HOST": one_daemon.url,
        "OLLAMA_MCP_TOOLSETS": "all",
        "OLLAMA_MCP_TOOLS_DIR": str(home / "tools"),
        "OLLAMA_MCP_LOG_LEVEL": "debug",
        "FASTMCP_LOG_LEVEL": "DEBUG",
        "OLLAMA_API_KEY": "",
    }
    with started(home, "--path", "/x", token=TOKEN, **told) as servers:
        yield servers


@pytest.fixture
def peers(servers: Any, daemon: FakeOllama) -> list[Client]:
    """A client on each transport in each era; `daemon` is behind them."""
    return [client_of(servers, way, TOKEN) for way in EVERY]


@pytest.fixture(params=EVERY, ids=lambda way: f"{way[0]}-{way[1]}")
def peer(servers: Any, daemon: FakeOllama, request: pytest.FixtureRequest) -> Client:
    """One of these clients after the other."""
    return client_of(servers, request.param, TOKEN)


def chat(**more: Any) -> dict[str, Any]:
    return {"model": CHAT, "messages": HELLO, **more}


# --- both eras, both transports -------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["stdio", "http"])
@pytest.mark.parametrize(
    ("wished", "got"), [*zip(OLD, OLD, strict=True), ("1999-01-01", OLD[-1]), (NEW, OLD[-1])]
)
def test_initialize_echoes_an_older_version_and_else_offers_the_newest_of_them(
    kind: str, wished: str, got: str, servers: Any, daemon: FakeOllama
) -> None:
    peer = client_of(servers, (kind, OLD[-1]), TOKEN)
    begun = peer.handshake(wished)
    assert begun["protocolVersion"] == got
    assert begun["serverInfo"]["name"] == "ollama-mcp-server"
    assert "ollama_list" in begun["instructions"]
    assert peer.call("ollama_list")["structuredContent"]["models"]


def test_discover_tells_versions_name_and_instructions(servers: Any) -> None:
    for way in ("stdio", "http"):
        told = servers[way, NEW].result("server/discover")
        assert told["supportedVersions"] == [NEW]
        assert "ollama_list" in told["instructions"]
        assert told["_meta"][f"{PREFIX}/serverInfo"]["name"] == "ollama-mcp-server"


def test_a_stateless_request_needs_its_own_meta(servers: Any) -> None:
    server = servers["stdio", NEW]
    bare = {"jsonrpc": "2.0", "id": "bare", "method": "tools/list", "params": {}}
    assert server.sent(bare).reply()["error"]["code"] == -32602
    other = envelope(**{f"{PREFIX}/protocolVersion": "2031-01-01"})
    refused = server.sent({**bare, "id": "other", "params": {"_meta": other}}).reply()
    assert refused["error"]["data"]["supported"] == [NEW]


def test_the_tools_are_the_same_in_every_way(peer: Client, servers: Any) -> None:
    listed = peer.result("tools/list")["tools"]
    assert [tool["name"] for tool in listed] == [
        tool["name"] for tool in servers["stdio", NEW].result("tools/list")["tools"]
    ]
    assert {"ollama_chat", "ollama_push", "shout"} <= {tool["name"] for tool in listed}


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("ollama_list", {}),
        ("ollama_show", {"model": CHAT}),
        ("ollama_load", {"model": CHAT}),
        *((tool, arguments) for tool, (_, arguments) in WORK.items()),
        ("shout", {"text": "hello"}),
    ],
)
def test_each_kind_of_call_is_answered(
    peer: Client, tool: str, arguments: dict[str, Any], daemon: FakeOllama
) -> None:
    if tool == "ollama_push":
        daemon.reply("/api/push", {"status": "pushing"}, {"status": "success"})
    result = peer.call(tool, **arguments)
    assert not result.get("isError"), result
    assert result["structuredContent"]
    assert result["content"][0]["text"]


def test_an_unknown_tool_is_a_protocol_error_with_the_nearest_names(peer: Client) -> None:
    error = peer.request("tools/call", call_params("ollama_caht", {"model": SECRET}))["error"]
    assert error["code"] == -32602
    assert "ollama_chat" in error["message"]
    assert "ollama_chat" in error["data"]["nearest"]


def test_bad_arguments_are_a_result_that_the_model_can_read(peer: Client) -> None:
    result = peer.call("ollama_chat", model=CHAT, mesages=[SECRET])
    assert result["isError"]
    assert "messages" in result["content"][0]["text"]
    assert result["structuredContent"]["error"]["code"] == "invalid_argument"
    assert SECRET not in json.dumps(result)


def test_malformed_parameters_are_a_protocol_error(peer: Client) -> None:
    assert peer.request("tools/call", {"name": "ollama_list", "arguments": [1]})["error"][
        "code"
    ] in (-32602, -32600)


def test_a_line_that_is_no_json_leaves_the_server_alive(servers: Any) -> None:
    for era in (OLD[-1], NEW):
        server = servers["stdio", era]
        server.write("this is no JSON")
        server.write("")
        assert server.result("tools/list")["tools"]


def test_a_session_of_the_older_era_is_needed_and_can_be_ended(servers: Any) -> None:
    peer = HttpClient(servers["http", NEW].url, OLD[-1], TOKEN)
    session = peer.headers["Mcp-Session-Id"]
    body = json.dumps(peer.message("tools/list"))
    headers = peer.headers_for("tools/list")
    assert peer.ask("POST", "", body, **headers)[0] == 200
    assert peer.ask("POST", "", body, **headers, Mcp_Session_Id="of-nobody")[0] == 404
    del peer.headers["Mcp-Session-Id"]
    assert peer.ask("POST", "", body, **headers)[0] == 400
    assert peer.ask("DELETE", Mcp_Session_Id=session)[0] == 200
    assert peer.ask("POST", "", body, **headers, Mcp_Session_Id=session)[0] == 404


def test_the_endpoint_is_at_the_chosen_path_and_nowhere_else(servers: Any) -> None:
    server = servers["http", NEW]
    assert server.url == f"http://127.0.0.1:{server.port}/x"
    assert server.ask("GET", "/mcp")[0] == 404


# --- stdout is the protocol's, stderr the log's ---------------------------------------------------


def test_stdout_holds_nothing_but_the_protocol(servers: Any, daemon: FakeOllama) -> None:
    for (kind, era), server in servers.items():
        server.call("shout", text="hello")
        server.call("ollama_chat", **chat())
        lines = list(server.out.items)
        if kind == "http":
            assert not any(b"HTTP/1.1" in line for line in lines), "a log line"
            continue
        for line in lines:
            assert json.loads(line)["jsonrpc"] == "2.0", (era, line)


def test_what_a_tool_module_prints_goes_to_stderr(servers: Any) -> None:
    server = servers["stdio", NEW]
    server.call("shout", text="hello")
    for line in (
        "a greeting at import",
        "a child at import",
        "a line from a tool",
        "a line from a child",
    ):
        server.err.wait(lambda logged, line=line: line in logged, 5)


def test_no_prompt_no_answer_and_no_token_is_logged(peer: Any, servers: Any, daemon: Any) -> None:
    messages = [{"role": "user", "content": SECRET}]
    assert SECRET in json.dumps(peer.call("ollama_chat", model=CHAT, messages=messages))
    peer.call("ollama_generate", model=CHAT, prompt=SECRET)
    peer.call("ollama_chat", model=CHAT, messages=SECRET)
    peer.call("ollama_chat", model=SECRET, messages=messages)
    peer.call("ollama_embed", model=EMBEDDER, input=SECRET)
    peer.request("tools/call", call_params("ollama_what", {"prompt": SECRET}))
    daemon.reply("/api/chat", {"message": {"content": SECRET}}, cut=True)
    assert peer.call("ollama_chat", model=CHAT, messages=messages)["isError"]
    peer.call("shout", loud=SECRET)
    server = servers["http", NEW] if isinstance(peer, HttpClient) else peer
    logged = server.stderr
    assert "DEBUG" in logged
    assert SECRET not in logged, next(line for line in server.err.items if SECRET in line)[:300]
    assert TOKEN not in logged


def test_the_log_level_counts_for_every_line(one_daemon: FakeOllama, tmp_path: Path) -> None:
    told = {"OLLAMA_HOST": one_daemon.url, "FASTMCP_LOG_LEVEL": "DEBUG"}
    with Stdio(tmp_path, "--log-level", "error", **told) as server:
        server.call("ollama_generate", model=CHAT, prompt="Hello")
        server.end()
        assert server.stderr == ""


# --- ending ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [INT, TERM, None], ids=["SIGINT", "SIGTERM", "closed stdin"])
def test_stdio_ends_within_a_second_idle_and_busy(
    number: int | None, daemon: FakeOllama, tmp_path: Path
) -> None:
    def attempt() -> float:
        daemon.reset()
        daemon.hold("/api/chat")
        with (
            Stdio(tmp_path, OLLAMA_HOST=daemon.url) as idle,
            Stdio(tmp_path, OLLAMA_HOST=daemon.url) as busy,
        ):
            busy.start("ollama_chat", chat())
            idle.result("tools/list")
            call = held(daemon, "/api/chat", 30)
            took = [server.end(number) for server in (busy, idle)]
            daemon.wait_for(lambda: call.closed_early)
            for server in (busy, idle):
                assert "Traceback" not in server.stderr
                assert not server.has_orphans
                assert server.process.returncode == (0 if number is None else 128 + number)
        return max(took)

    within(1.0, attempt)


def test_in_a_terminal_it_says_what_it_is_and_serves(
    one_daemon: FakeOllama, tmp_path: Path
) -> None:
    ours, its = pty.openpty()
    try:
        with Stdio(tmp_path, stdin=its, OLLAMA_HOST=one_daemon.url) as server:
            server.err.wait(lambda line: "Ctrl-C" in line)
            assert "an MCP server" in server.stderr
            assert "--help" in server.stderr
            request = server.message("tools/list")
            os.write(ours, json.dumps(request).encode() + b"\n")
            reply = server.inbox.wait(lambda message: message.get("id") == request["id"])
            assert reply["result"]["tools"]
            assert server.end(INT) < 5
            assert "Traceback" not in server.stderr
    finally:
        os.close(ours)
        os.close(its)


@pytest.mark.parametrize("number", [INT, TERM], ids=["SIGINT", "SIGTERM"])
def test_http_ends_within_a_second_when_idle_even_with_an_open_stream(
    number: int, one_daemon: FakeOllama, tmp_path: Path
) -> None:
    def attempt() -> float:
        with Http(tmp_path, OLLAMA_HOST=one_daemon.url) as server:
            if number == TERM:
                stream = HttpClient(server.url, OLD[-1]).listen()
                stream.until_open()
            took = server.end(number)
            assert "ERROR" not in server.stderr
            assert "Traceback" not in server.stderr
            assert not server.has_orphans
            return took

    within(1.0, attempt)


@pytest.fixture
def two_calls(daemon: FakeOllama, tmp_path: Path, request: Any) -> Iterator[Any]:
    """An HTTP server with a held call in each era; its flags are the parameter."""
    with Http(tmp_path, *getattr(request, "param", ()), OLLAMA_HOST=daemon.url) as server:
        daemon.hold("/api/chat")
        peers = (server, HttpClient(server.url, OLD[-1]))
        calls = [peer.start("ollama_chat", chat()) for peer in peers]
        daemon.wait_for(lambda: len(asked(daemon, "/api/chat")) == 2, 10)
        yield server, calls


def test_http_lets_running_calls_end_and_takes_no_new_ones(
    two_calls: Any, daemon: FakeOllama
) -> None:
    server, calls = two_calls
    server.process.send_signal(TERM)
    time.sleep(0.5)
    assert server.process.poll() is None
    with pytest.raises(ConnectionRefusedError):
        server.ask("GET", "/health")
    daemon.release("/api/chat")
    for call in calls:
        assert call.result(5)["structuredContent"]["content"] == "You said: Hello there"
    assert server.wait() < 5
    assert "Traceback" not in server.stderr


@pytest.mark.parametrize("two_calls", [["--shutdown-seconds", "0.2"]], indirect=True)
def test_http_ends_when_the_time_of_running_calls_is_up(two_calls: Any, daemon: FakeOllama) -> None:
    server, _ = two_calls
    assert server.end(TERM) < 5
    daemon.wait_for(lambda: all(call.closed_early for call in asked(daemon, "/api/chat")))
    assert "Traceback" not in server.stderr


def test_a_second_signal_ends_http_at_once(two_calls: Any, daemon: FakeOllama) -> None:
    server, _ = two_calls
    server.process.send_signal(INT)
    time.sleep(0.3)
    assert server.process.poll() is None
    assert server.end(INT) < 1
    daemon.wait_for(lambda: all(call.closed_early for call in asked(daemon, "/api/chat")))
    assert "Traceback" not in server.stderr
    assert not server.has_orphans


# --- cancelling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tool", WORK)
def test_a_cancel_closes_the_request_to_the_daemon(
    tool: str, peer: Client, daemon: FakeOllama
) -> None:
    path, arguments = WORK[tool]
    daemon.hold(path)
    call = peer.start(tool, arguments)
    asked = held(daemon, path)
    call.cancel()
    daemon.wait_for(lambda: asked.closed_early)
    daemon.release(path)
    assert peer.call("ollama_list")["structuredContent"]["models"], "the next call works"
    if isinstance(peer, Stdio):
        assert not call.has_reply
    elif not peer.is_new:
        assert "error" in call.reply(), "the POST of an older client has to end"


def test_a_cancel_in_mid_answer_closes_the_request_too(peer: Client, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", {"message": {"content": "Well"}, "done": False}, 60)
    call = peer.start("ollama_chat", chat())
    call.until("writing")
    call.cancel()
    daemon.wait_for(lambda: asked(daemon, "/api/chat")[0].closed_early)


def test_a_cancel_while_the_daemon_is_full_asks_no_more(servers: Any, daemon: FakeOllama) -> None:
    peer = servers["stdio", NEW]
    daemon.reply("/api/chat", status=503, error="server busy, please try again", times=9)
    call = peer.start("ollama_chat", chat())
    call.until("queued")
    call.cancel()
    asked = len(daemon.requests)
    time.sleep(0.8)  # the next try would be after 0.5 s
    assert len(daemon.requests) - asked <= 1, "one may have been on its way"
    assert not any(request.path == "/api/chat" for request in daemon.requests[asked + 1 :])


def test_a_dropped_connection_of_the_older_era_cancels_nothing(
    servers: Any, daemon: FakeOllama
) -> None:
    server = servers["http", NEW]
    peer = HttpClient(server.url, OLD[-1], TOKEN)
    daemon.hold("/api/chat")
    call = peer.start("ollama_chat", chat())
    asked = held(daemon, "/api/chat")
    call.close()
    peer.call("ollama_list")
    assert not asked.closed_early
    daemon.release("/api/chat")
    daemon.wait_for(lambda: asked.done)
    peer.call("ollama_list")
    assert "Traceback" not in server.stderr


async def test_thirty_cancellations_leave_no_task_and_no_connection(
    app: App, daemon: FakeOllama
) -> None:
    async with FastClient(build_server(app), mode="auto") as client:
        await client.list_tools()
        before = len(asyncio.all_tasks())
        daemon.hold("/api/chat")
        for number in range(30):
            call = asyncio.create_task(client.call_tool("ollama_chat", chat()))
            await daemon.until(lambda number=number: len(asked(daemon, "/api/chat")) > number)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        await daemon.until(lambda: all(call.closed_early for call in asked(daemon, "/api/chat")))
        daemon.release("/api/chat")
        await client.call_tool("ollama_chat", chat())
        assert len(asyncio.all_tasks()) <= before
        connections = app.client._client._transport
        assert isinstance(connections, Connections)
        assert len(connections) == 1


def asked(daemon: FakeOllama, path: str) -> list[Any]:
    return [request for request in daemon.requests if request.path == path]


def held(daemon: FakeOllama, path: str, timeout: float = 10) -> Any:
    """Wait until the daemon has a request to a path; returns it."""
    daemon.wait_for(lambda: bool(asked(daemon, path)), timeout)
    return asked(daemon, path)[0]


# --- progress -------------------------------------------------------------------------------------


def test_progress_strictly_increases_and_names_its_phases(
    peers: list[Client], daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", status=503, error="server busy, please try again", times=len(peers))
    daemon.pace = 0.005
    words = " ".join(f"word{number}" for number in range(60))
    messages = [{"role": "user", "content": words}]
    calls = [peer.start("ollama_chat", chat(messages=messages)) for peer in peers]
    for call in calls:
        call.result()
        values = [note["progress"] for note in call.notes]
        told = [note["message"] for note in call.notes]
        assert all(later > earlier for earlier, later in pairwise(values)), values
        assert told[0].startswith("queued")
        assert told[-1].startswith("writing")
        assert values[-1] >= 60


def test_progress_tells_that_a_model_loads_and_then_that_it_reads(
    servers: Any, daemon: FakeOllama
) -> None:
    peer = servers["stdio", NEW]
    for path in ("/api/generate", "/api/chat"):  # the first only loads it, where that is asked
        daemon.hold(path)
    calls = [peer.start("ollama_chat", chat())]
    calls[0].until(f"loading {CHAT}")
    daemon.library.load(daemon.library.find(CHAT, "", KeyError), {})
    daemon.release("/api/generate")
    calls.append(peer.start("ollama_chat", chat()))
    calls[1].until(f"reading the prompt with {CHAT}")
    daemon.release("/api/chat")
    for call in calls:
        call.result()


def test_without_a_token_there_is_no_progress(peer: Client, daemon: FakeOllama) -> None:
    daemon.pace = 0.01
    call = peer.start("ollama_chat", chat(), progress=False)
    call.result()
    since = call.inbox.items[call.began :]
    assert not any(item.get("method") == "notifications/progress" for item in since)


def test_a_pull_tells_its_bytes_and_never_goes_back(
    peers: list[Client], daemon: FakeOllama
) -> None:
    layer = {"status": "pulling", "digest": "sha256:1", "total": 1000}
    steps = [part for done in (100, 700, 300, 1000) for part in ({**layer, "completed": done}, 0.1)]
    daemon.reply("/api/pull", *steps, {"status": "success"}, times=len(peers))
    calls = [peer.start("ollama_pull", {"model": "gemma3:1b"}) for peer in peers]
    for call in calls:
        call.result()
        values = [note["progress"] for note in call.notes]
        assert all(later > earlier for earlier, later in pairwise(values)), values
        assert call.notes[-1]["total"] >= values[-1] >= 1000


class Notes:
    """A reporter that keeps what it is told, and when; `open` lets it return."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self.messages: list[str] = []
        self.times: list[float] = []
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, value: float, total: float | None, message: str) -> None:
        self.values.append(value)
        self.messages.append(message)
        self.times.append(time.monotonic())
        await self.open.wait()


async def test_progress_sends_ten_notes_a_second_at_most_and_the_last_state_always() -> None:
    notes = Notes()
    async with Progress(notes, "asking") as progress:
        for number in range(100):
            progress.update(f"writing: {number}", number)
            await asyncio.sleep(0.005)
    gaps = [later - earlier for earlier, later in pairwise(notes.times[:-1])]
    assert min(gaps) >= 0.09
    assert notes.messages[-1] == "writing: 99"
    assert notes.values == sorted(set(notes.values))


async def test_progress_beats_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "BEAT", 0.05)
    monkeypatch.setattr(progress_module, "FIRST_LOOK", 0.02)
    monkeypatch.setattr(progress_module, "SPACING", 0.01)
    phases = iter(["loading", "loading", *["reading the prompt"] * 100])

    async def look() -> str:
        return next(phases)

    notes = Notes()
    async with Progress(notes, "asking", look) as progress:
        await asyncio.sleep(0.5)
        progress.update("writing", 1)
        await asyncio.sleep(0.2)
    assert list(dict.fromkeys(notes.messages)) == ["loading", "reading the prompt", "writing"]
    assert notes.messages.count("writing") > 1, "it beats while writing pauses, too"
    assert notes.values == sorted(set(notes.values))


async def test_progress_beats_even_when_the_daemon_does_not_say_what_it_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress_module, "BEAT", 0.2)
    monkeypatch.setattr(progress_module, "FIRST_LOOK", 0.05)

    async def look() -> str:
        await asyncio.sleep(60)
        return "late"

    notes = Notes()
    async with Progress(notes, "asking", look):
        await asyncio.sleep(1)
    assert len(notes.values) >= 2
    assert set(notes.messages) == {"asking"}


async def test_after_the_queue_progress_tells_the_next_phase(
    app: App, daemon: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_module, "BEAT", 0.2)
    daemon.reply("/api/chat", status=503, error="server busy, please try again")
    daemon.hold("/api/chat")
    notes = Notes()

    async def on_progress(value: float, total: float | None, message: str | None) -> None:
        await notes(value, total, message or "")

    async with Caller(build_server(app), mode="auto") as client:
        call = asyncio.create_task(client.call("ollama_chat", **chat(), on_progress=on_progress))
        await daemon.until(lambda: bool(asked(daemon, "/api/chat")))
        daemon.release("/api/chat")
        daemon.hold("/api/chat")
        await daemon.until(lambda: any("queued" in told for told in notes.messages), 5)
        await daemon.until(lambda: any("reading" in told for told in notes.messages), 5)
        daemon.release("/api/chat")
        assert not (await call).is_error


async def test_a_slow_reader_does_not_hold_up_the_daemon(app: App, daemon: FakeOllama) -> None:
    notes = Notes()
    notes.open.clear()
    async with Progress(notes, "asking") as progress:
        body = {"model": CHAT, "messages": HELLO}
        answer = await asyncio.wait_for(app.delegate.ask("/api/chat", body, progress), 10)
        assert answer.content == "You said: Hello there"
        assert len(notes.values) <= 1
        notes.open.set()
    await app.aclose()


# --- no daemon ------------------------------------------------------------------------------------


#: Tools that ask the daemon nothing.
WITHOUT_DAEMON = {"ollama_job", "ollama_conversations"}


async def test_without_a_daemon_every_call_says_what_to_do() -> None:
    app = App(Settings(ollama_host="127.0.0.1:9", toolsets="all"))
    arguments = {
        "ollama_agent": {"task": "x", "servers": []},
        "ollama_verify_tools": {"model": CHAT},
        "ollama_show": {"model": CHAT},
        "ollama_load": {"model": CHAT},
        "ollama_delete": {"model": CHAT},
        "ollama_copy": {"source": CHAT, "destination": "mine"},
        **{tool: given for tool, (_, given) in WORK.items()},
    }
    async with Caller(build_server(app), mode="auto") as client:
        names = [tool.name for tool in await client.list_tools()]
        assert set(arguments) <= set(names)
        for name in names:
            if name in WITHOUT_DAEMON:
                continue
            result = await client.call(name, **arguments.get(name, {}))
            assert result.is_error, name
            assert result.structured_content["error"]["code"] == "daemon_unreachable", name
            assert "ollama serve" in text(result), name
