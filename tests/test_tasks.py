"""Long calls as tasks: what clients that ask for them get, and that nobody else notices."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from typing import Any

import anyio
import pytest
from docket import Docket
from docket.dependencies import current_execution
from fastmcp.client.elicitation import ElicitResult
from fastmcp.client.extension_hooks import build_internal_client_extensions
from fastmcp.tools import Tool
from fastmcp_tasks.client import TasksClientExtension, ToolTask, call_tool_task
from pydantic import ValidationError

from ollama_mcp_server.errors import ToolFailed, Unauthorized
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from ollama_mcp_server.tasks import asked as asking
from ollama_mcp_server.tasks import engine
from tests.conftest import CHAT, Caller, MakeApp
from tests.fake_ollama import FakeOllama
from tests.tools.test_agent import TOOLS, calls, notes
from tests.tools.test_chat import final, says
from tests.wire import PREFIX, Http, HttpClient

MODEL = "gemma3:1b"  # the fake registry has it
#: What asks for tasks, in the `_meta` of a request.
ASKING = {f"{PREFIX}/clientCapabilities": {"extensions": {f"{PREFIX}/tasks": {}}}}
KEY = "0123456789abcdef" * 2
#: Each tool whose calls may be tasks: what it asks the daemon, and how it is called.
LONG: dict[str, tuple[str, dict[str, Any]]] = {
    "ollama_pull": ("/api/pull", {"model": MODEL}),
    "ollama_create": ("/api/create", {"model": "mine", "from": CHAT}),
    "ollama_push": ("/api/push", {"model": CHAT}),
    "ollama_batch": ("/api/chat", {"model": CHAT, "prompt": "Hello", "items": ["a", "b"]}),
}

Serve = Callable[..., Caller]


@pytest.fixture
def serve(make_app: MakeApp) -> Serve:
    """Make clients of servers whose calls may be tasks; they ask for them, if not told else."""

    def make(
        *, asks: bool = True, mode: str = "auto", elicitation_handler: Any = None, **settings: Any
    ) -> Caller:
        extensions = [TasksClientExtension()] if asks else []
        server = build_server(make_app(tasks=True, **settings))
        return Caller(
            server, mode=mode, extensions=extensions, elicitation_handler=elicitation_handler
        )

    return make


@pytest.fixture
async def client(serve: Serve) -> AsyncIterator[Caller]:
    """It would be given jobs at once, were it not for the tasks."""
    async with serve(wait=0.1) as client:
        yield client


async def begun(client: Caller, daemon: FakeOllama, tool: str = "ollama_pull") -> ToolTask:
    """Begin a task, and return it once the daemon is at work on it."""
    path, arguments = LONG[tool]
    daemon.hold(path)
    task = await call_tool_task(client, tool, arguments, raise_on_error=False)
    await daemon.until(lambda: asked(daemon, path) != [], 10)
    return task


def asked(daemon: FakeOllama, path: str) -> list[Any]:
    return [request for request in daemon.requests if request.path == path]


def plain(result: Any) -> dict[str, Any]:
    """What does not differ from call to call."""
    told = dict(result.structured_content)
    return {name: told[name] for name in told if name != "warnings"}


@pytest.mark.parametrize("tool", LONG)
async def test_a_task_is_the_same_call(
    client: Caller, serve: Serve, daemon: FakeOllama, tool: str
) -> None:
    path, arguments = LONG[tool]
    task = await begun(client, daemon, tool)
    assert (await task.status()).status == "working"
    daemon.release(path)
    result = await task.result()
    assert not result.is_error
    daemon.reset()
    async with serve(asks=False) as other:
        assert plain(await other.call(tool, **arguments)) == plain(result)


async def test_its_status_tells_the_progress(client: Caller, daemon: FakeOllama) -> None:
    task = await begun(client, daemon)

    message = None
    with anyio.fail_after(10):
        while not message:
            message = (await task.status()).status_message
    assert MODEL in message


async def test_arguments_and_errors_are_those_of_a_call(client: Caller) -> None:
    got = await client.call("ollama_pull", name=MODEL)  # as other servers name it
    assert got.structured_content["status"] == "success"
    wrong = await client.error("ollama_pull", model=MODEL, modell="x")
    assert wrong["code"] == "invalid_argument"
    assert "did you mean model?" in wrong["message"]
    assert (await client.error("ollama_pull", model="nowhere"))["code"] == "model_not_found"


async def test_cancelling_stops_the_daemon_too(client: Caller, daemon: FakeOllama) -> None:
    task = await begun(client, daemon)
    await task.cancel()
    await daemon.until(lambda: asked(daemon, "/api/pull")[0].closed_early, 10)
    assert (await task.wait(timeout=10)).status == "cancelled"


async def test_the_end_of_the_server_does_not_wait_for_it(serve: Serve, daemon: FakeOllama) -> None:
    async with serve() as client:
        await begun(client, daemon)
    await daemon.until(lambda: asked(daemon, "/api/pull")[0].closed_early, 10)


async def test_only_long_calls_are_tasks(client: Caller, daemon: FakeOllama) -> None:
    daemon.hold("/api/generate")
    said = await client.call("ollama_generate", model=CHAT, prompt="Hello")
    assert said.structured_content["status"] == "running", "a job, as without tasks"


@pytest.mark.parametrize(("mode", "asks"), [("legacy", True), ("auto", False)])
async def test_who_does_not_ask_is_answered_as_ever(
    serve: Serve, daemon: FakeOllama, mode: str, asks: bool
) -> None:
    notes: list[str | None] = []

    async def note(value: float, total: float | None, message: str | None) -> None:
        notes.append(message)

    async with serve(mode=mode, asks=asks, wait=0.3) as client:
        got = await client.call("ollama_pull", model=MODEL, on_progress=note)
        assert got.structured_content["status"] == "success"
        assert notes
        daemon.hold("/api/pull")
        said = await client.call("ollama_pull", model=MODEL)
        assert said.structured_content["job"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_what_is_published_stays_the_same(serve: Serve, make_app: MakeApp, mode: str) -> None:
    async with serve(mode=mode) as client, Caller(build_server(make_app()), mode=mode) as other:
        assert await client.list_tools() == await other.list_tools()


async def test_the_host_that_is_asked_for(serve: Serve, daemon: FakeOllama) -> None:
    hosts = {"here": daemon.url, "away": "http://127.0.0.1:9"}
    async with serve(hosts=hosts) as client:
        got = await client.call_tool("ollama_pull", {"model": MODEL, "host": "here"})
        assert got.meta is not None
        assert got.meta["ollama/host"] == "here"
        got = await client.call_tool(
            "ollama_pull", {"model": MODEL, "host": "away"}, raise_on_error=False
        )
        assert "daemon_unreachable" in str(got.structured_content)


async def test_too_many_are_refused(
    client: Caller, daemon: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "MOST", 1)
    await begun(client, daemon)
    assert (await client.error("ollama_pull", model=MODEL))["code"] == "rate_limited"


@pytest.mark.parametrize("yes", [True, False])
async def test_an_agent_asks_its_user(serve: Serve, daemon: FakeOllama, yes: bool) -> None:
    questions: list[str] = []

    async def answer(message: str, *_: Any) -> ElicitResult[Any]:
        questions.append(message)
        return ElicitResult(action="accept", content={"confirm": yes})

    daemon.reply("/api/chat", calls(("notes__delete", {"name": "token"})), final())
    daemon.reply("/api/chat", says("Done."), final())
    async with serve(servers=json.dumps([notes()]), elicitation_handler=answer) as client:
        task = await call_tool_task(client, "ollama_agent", {"task": "Delete it", "model": TOOLS})
        said = (await task.result()).structured_content
    assert said["content"] == "Done."
    assert ("error" in said["steps"][0]) is not yes
    assert len(questions) == 1


async def test_an_agent_that_can_ask_nobody_destroys_nothing(
    serve: Serve, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", calls(("notes__delete", {"name": "token"})), final())
    daemon.reply("/api/chat", says("Done."), final())
    async with serve(servers=json.dumps([notes()])) as client:
        said = await client.call("ollama_agent", task="Delete it", model=TOOLS)
    assert "error" in said.structured_content["steps"][0]


# What is shared, and with whom


class Asking(HttpClient):
    """A client that asks for tasks with every request."""

    def ask_for(self, method: str, **params: Any) -> dict[str, Any]:
        return self.request(method, {**params, "_meta": ASKING})

    def begin(self, tool: str, **arguments: Any) -> str:
        told = self.ask_for("tools/call", name=tool, arguments=arguments)["result"]
        assert told["resultType"] == "task", told
        return str(told["taskId"])

    def end(self, task: str) -> dict[str, Any]:
        while (told := self.ask_for("tasks/get", taskId=task)["result"])["status"] == "working":
            time.sleep(0.05)
        return dict(told)


@pytest.fixture(scope="module")
def keyed(one_daemon: FakeOllama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http]:
    """A server with keys: Ann's, Bob's, one for some models, and the token."""
    only = {"models": ["nothing"]}
    keys = [kept("ann"), kept("bob"), kept("carl", **only)]
    with Http(
        tmp_path_factory.mktemp("home"),
        token=KEY,
        OLLAMA_HOST=one_daemon.url,
        OLLAMA_MCP_TASKS="1",
        OLLAMA_MCP_KEYS=json.dumps({"keys": keys}),
    ) as server:
        yield server


def kept(name: str, **more: Any) -> dict[str, Any]:
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return {"name": name, "sha256": sha256, "scopes": ["infer", "manage"], **more}


@pytest.mark.parametrize("owner", ["ann", KEY])
def test_a_task_is_its_owners(keyed: Http, daemon: FakeOllama, owner: str) -> None:
    mine = Asking(keyed.url, token=owner)
    daemon.hold("/api/chat")
    task = mine.begin("ollama_batch", model=CHAT, prompt="Hello", items=["a"])
    for name in {"ann", "bob", KEY} - {owner}:
        other = Asking(keyed.url, token=name)
        for method in ("tasks/get", "tasks/cancel"):
            assert "not found" in other.ask_for(method, taskId=task)["error"]["message"]
        answer = other.ask_for("tasks/update", taskId=task, inputResponses={})
        assert "not found" in answer["error"]["message"]
    assert mine.ask_for("tasks/get", taskId=task)["result"]["status"] == "working"
    daemon.release("/api/chat")
    result = mine.end(task)["result"]
    assert result["structuredContent"]["done"] == 1


def test_a_key_may_no_more_by_a_task(keyed: Http, daemon: FakeOllama) -> None:
    carl = Asking(keyed.url, token="carl")
    task = carl.begin("ollama_batch", model=CHAT, prompt="Hello", items=["a"])
    error = carl.end(task)["result"]["structuredContent"]["error"]
    assert error["code"] == "permission_denied"
    assert not asked(daemon, "/api/chat")


def test_who_does_not_ask_may_not_look(keyed: Http, daemon: FakeOllama) -> None:
    ann = Asking(keyed.url, token="ann")
    task = ann.begin("ollama_pull", model="nowhere")
    assert ann.request("tasks/get", {"taskId": task})["error"]["code"] == -32021


# What has been begun before


class Begun:
    """An execution, which another worker may have had before."""

    def __init__(self, docket: Docket | None, key: str = "a task") -> None:
        self.docket, self.key, self.redelivered = docket, key, docket is not None


async def test_a_call_is_made_again_only_so_often(make_app: MakeApp) -> None:
    server = build_server(make_app(tasks=True))
    pull, agent = await server.get_tool("ollama_pull"), await server.get_tool("ollama_agent")
    assert isinstance(pull, Tool)
    assert isinstance(agent, Tool)
    async with Docket(name="a test", url="memory://a-test") as docket:
        was: Any = Begun(docket)
        for _ in range(engine.AGAIN):
            await engine.check(pull, was)
        with pytest.raises(ToolFailed, match="servers have ended"):
            await engine.check(pull, was)
        with pytest.raises(ToolFailed, match="what its tools did so far stands"):
            await engine.check(agent, was)


async def test_the_work_of_one_whose_token_has_ended_is_not_begun(make_app: MakeApp) -> None:
    pull = await build_server(make_app()).get_tool("ollama_pull")
    assert isinstance(pull, Tool)
    anonymous: Any = Begun(None, "anon:1:tool:ollama_pull")
    anns: Any = Begun(None, "auth:ann:1:tool:ollama_pull")
    current_execution.set(anonymous)
    await engine.check(pull, anonymous)
    current_execution.set(anns)
    with pytest.raises(Unauthorized):
        await engine.check(pull, anns)


# Where it is kept


def test_without_the_switch_nothing_is_loaded() -> None:
    program = (
        "import sys; from ollama_mcp_server.settings import Settings, quiet_the_frame;"
        "quiet_the_frame(); from ollama_mcp_server.app import App;"
        "from ollama_mcp_server.server import build_server; build_server(App(Settings()));"
        "assert not {'docket', 'redis', 'fastmcp_tasks'} & set(sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], env={}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr


def test_without_the_extra_it_says_what_to_install(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("ollama_mcp_server.tasks")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastmcp_tasks", None)
    with pytest.raises(ValueError, match=r"pip install 'ollama-mcp-server\[tasks\]'"):
        build_server(make_app(tasks=True))


@pytest.mark.parametrize(
    ("given", "url"),
    [
        (None, None),
        ("memory", None),
        ("disk", None),
        ("redis://:p%2F@host:1/2", "redis://:p%2F@host:1/2"),
        ("valkey://host", "redis://host"),
        ("valkeys://host", "rediss://host"),
    ],
)
def test_the_store(given: str | None, url: str | None) -> None:
    settings = Settings(state_url=given, tasks=True, request_state_key=KEY)
    assert engine.valkey_of(settings) == url


def test_an_address_that_is_none_is_told_without_the_password() -> None:
    settings = Settings(state_url="redis://:p@ss@host:port/0", tasks=True, request_state_key=KEY)
    with pytest.raises(ValueError, match="OLLAMA_MCP_STATE_URL") as told:
        engine.valkey_of(settings)
    assert "ss@" not in str(told.value)


def test_a_shared_store_needs_a_key() -> None:
    with pytest.raises(ValidationError, match="OLLAMA_MCP_REQUEST_STATE_KEY"):
        Settings(state_url="valkey://host", tasks=True)


def test_workers_share_no_memory() -> None:
    with pytest.raises(ValidationError, match="several workers"):
        Settings(tasks=True, workers=2)


def test_clients_of_agents_do_not_ask_for_tasks() -> None:
    """A cancelled wait for a foreign server's task would not stop it."""
    assert build_internal_client_extensions(None) == []


def test_a_silent_worker_is_replaced_in_seconds() -> None:
    assert timedelta(seconds=10) <= engine.SILENCE <= timedelta(seconds=30)
