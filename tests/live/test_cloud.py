"""Models and services that are elsewhere: a second daemon is the cloud, a stand-in the web."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr

from scripts.testbed import daemon, models, processes, recorder
from tests.conftest import Caller, text
from tests.live.sessions import (
    CACHE,
    LONG,
    SHORT,
    VERSION,
    WEATHER,
    in_memory,
    over_http,
    over_stdio,
    user,
)

pytestmark = pytest.mark.live

KEY = "a-key-that-nobody-may-see"
FRANCE = [user("What is the capital of France?")]
CHAT, EMBED = f"{models.CHAT}-cloud", f"{models.EMBED}-cloud"


@dataclass
class Cloud:
    """A daemon without models of its own, and what it asks of the daemon that is its cloud."""

    url: str
    tape: recorder.Recorder


@pytest.fixture(scope="module")
def cloud(
    ollama_host: str, ollama_pid: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    store = tmp_path_factory.mktemp("cloud") / "store"
    with recorder.start(ollama_host) as tape:
        elsewhere = {"OLLAMA_CLOUD_BASE_URL": tape.url, "OLLAMA_REMOTES": "127.0.0.1"}
        with daemon.start(CACHE, version=VERSION, env=elsewhere, store=store) as near:
            yield Cloud(near.url, tape)


@pytest.fixture
async def caller(cloud: Cloud) -> AsyncIterator[Caller]:
    cloud.tape.exchanges.clear()
    async with in_memory(cloud.url) as client:
        yield client


# The daemon's cloud


async def test_a_cloud_model_answers_a_chat(cloud: Cloud, caller: Caller) -> None:
    result = await caller.call("ollama_chat", model=CHAT, messages=FRANCE, options=LONG)
    assert "Paris" in result.structured_content["content"]
    assert "Paris" in text(result)
    (asked,) = [e for e in cloud.tape.exchanges if e.path.startswith("/api/chat?")]  # and signed
    assert asked.json["model"] == models.CHAT
    assert asked.json["truncate"] is False
    assert asked.json["options"] == LONG


async def test_a_cloud_model_answers_a_prompt(caller: Caller) -> None:
    result = await caller.call(
        "ollama_generate", model=CHAT, prompt=FRANCE[0]["content"], options=LONG
    )
    assert "Paris" in result.structured_content["content"]


async def test_a_cloud_model_answers_a_completion(caller: Caller) -> None:
    result = await caller.call(
        "chat_completion", model=CHAT, messages=FRANCE, temperature=0, max_tokens=64
    )
    assert "Paris" in result.structured_content["choices"][0]["message"]["content"]


async def test_a_cloud_model_embeds(caller: Caller) -> None:
    result = await caller.call("ollama_embed", model=EMBED, input="hello", dimensions=3)
    assert [len(vector) for vector in result.structured_content["embeddings"]] == [3]


async def test_a_cloud_model_is_shown(caller: Caller) -> None:
    result = await caller.call("ollama_show", model=CHAT)
    assert result.structured_content["model"] == CHAT
    assert result.structured_content["details"]["family"] == "llama"


async def test_a_cloud_model_calls_a_tool(caller: Caller) -> None:
    result = await caller.call(
        "ollama_chat",
        model=f"{models.TOOLS}:cloud",
        messages=[user("What is the weather in Oslo?")],
        tools=[WEATHER],
        options=LONG,
    )
    (call,) = result.structured_content["tool_calls"]
    assert call["function"]["arguments"] == {"city": "Oslo"}


async def test_a_model_that_the_cloud_has_not_is_not_found(caller: Caller) -> None:
    error = await caller.error("ollama_chat", model="nothing:cloud", messages=FRANCE)
    assert (error["code"], error["retryable"]) == ("model_not_found", False)
    assert "nothing:cloud" in error["message"]


async def test_a_remote_model_is_marked_wherever_it_shows(cloud: Cloud, caller: Caller) -> None:
    name = "mine/far"
    await caller.call(
        "ollama_create", model=name, **{"from": models.CHAT}, remote_host=cloud.tape.url
    )
    listed = await caller.call("ollama_list", name=name)
    (row,) = listed.structured_content["models"]
    assert (row["remote_model"], row["remote_host"]) == (models.CHAT, cloud.tape.url)
    assert f"remote at {cloud.tape.url}: leaves this machine" in text(listed)
    shown = await caller.call("ollama_show", model=name)
    assert shown.structured_content["remote_host"] == cloud.tape.url
    answer = await caller.call("ollama_chat", model=name, messages=FRANCE, options=LONG)
    assert "Paris" in answer.structured_content["content"]
    assert answer.meta["ollama/final"]["remote_host"] == cloud.tape.url
    assert answer.meta["ollama/final"]["remote_model"] == models.CHAT
    deleted = await caller.call("ollama_delete", model=name)
    assert deleted.structured_content["status"] == "success"


async def test_a_remote_host_that_is_not_allowed_is_refused(caller: Caller) -> None:
    name = "mine/farther"
    made = await caller.call(
        "ollama_create", model=name, **{"from": models.CHAT}, remote_host="http://198.51.100.1"
    )
    assert not made.is_error
    error = await caller.error("ollama_chat", model=name, messages=FRANCE)
    assert (error["code"], error["retryable"]) == ("invalid_argument", False)
    assert "remote" in error["message"]
    await caller.call("ollama_delete", model=name)


async def test_without_the_cloud_its_models_are_forbidden(ollama_pid: int, tmp_path) -> None:
    settings = {"OLLAMA_NO_CLOUD": "1"}
    with daemon.start(CACHE, version=VERSION, env=settings, store=tmp_path / "store") as near:
        async with in_memory(near.url) as caller:
            for tool, arguments in {
                "ollama_chat": {"messages": FRANCE},
                "ollama_generate": {"prompt": "Hi"},
                "ollama_embed": {"input": "Hi"},
                "ollama_show": {},
            }.items():
                error = await caller.error(tool, model=CHAT, **arguments)
                assert (error["code"], error["retryable"]) == ("permission_denied", False)
                assert "cloud is disabled" in error["message"]
            status = (await caller.call("ollama_ps")).structured_content["cloud"]
            assert status == {"disabled": True, "source": "env"}


async def test_a_cloud_that_is_not_there_is_told_apart_from_the_daemon(
    ollama_pid: int, tmp_path
) -> None:
    nowhere = {"OLLAMA_CLOUD_BASE_URL": f"http://127.0.0.1:{processes.free_port()}"}
    with daemon.start(CACHE, version=VERSION, env=nowhere, store=tmp_path / "store") as near:
        async with in_memory(near.url) as caller:
            error = await caller.error("ollama_chat", model=CHAT, messages=FRANCE)
    assert (error["code"], error["retryable"]) == ("registry_error", True)
    assert "cloud" in error["message"]


SIGNIN = "https://ollama.com/connect?name=here&key=c3No"


@pytest.mark.parametrize(
    ("status", "said", "code", "retryable"),
    [
        (401, {"error": "unauthorized", "signin_url": SIGNIN}, "unauthorized", False),
        (403, {"error": "this model requires a subscription"}, "permission_denied", False),
        (413, {"error": "request too large"}, "too_large", False),
        (429, {"error": "you have reached your weekly usage limit"}, "rate_limited", True),
    ],
)
async def test_what_the_cloud_refuses_is_passed_on(
    ollama_pid: int, tmp_path, status: int, said: dict[str, Any], code: str, retryable: bool
) -> None:
    with stand_in({"/api/chat": (status, said)}) as there:
        env = {"OLLAMA_CLOUD_BASE_URL": there.url}
        with daemon.start(CACHE, version=VERSION, env=env, store=tmp_path / "store") as near:
            async with in_memory(near.url) as caller:
                error = await caller.error("ollama_chat", model=CHAT, messages=FRANCE)
    assert (error["code"], error["retryable"]) == (code, retryable)
    if status == 401:
        assert error["details"]["signin_url"] == SIGNIN
        assert SIGNIN in error["hint"]
    if status in (403, 429):
        assert said["error"] in error["message"]


# Ollama's web search and fetch


PAGE = {"title": "Ollama", "url": "https://ollama.com", "content": "Get up and running."}
WEB = {
    "/api/web_search": (200, {"results": [PAGE, {**PAGE, "title": "Blog"}]}),
    "/api/web_fetch": (200, {**PAGE, "links": ["https://ollama.com/blog"]}),
}


async def test_a_search_goes_out_with_the_key_and_its_pages_come_back() -> None:
    with stand_in(WEB) as web:
        settings = {"OLLAMA_API_KEY": KEY, "OLLAMA_CLOUD_BASE_URL": web.url}
        async with Caller(over_stdio("127.0.0.1:1", **settings)) as caller:
            found = await caller.call("ollama_web_search", query="ollama", max_results=2)
            page = await caller.call("ollama_web_fetch", url="ollama.com")
    assert [asked.path for asked in web.asked] == ["/api/web_search", "/api/web_fetch"]
    assert [asked.body for asked in web.asked] == [
        {"query": "ollama", "max_results": 2},
        {"url": "ollama.com"},
    ]
    assert {asked.headers["authorization"] for asked in web.asked} == {f"Bearer {KEY}"}
    assert found.structured_content == WEB["/api/web_search"][1]
    assert page.structured_content == WEB["/api/web_fetch"][1]
    for result in (found, page):
        assert "Ollama" in text(result)
        assert "Get up and running." in text(result)
    assert "https://ollama.com" in text(found)


async def test_a_page_s_links_are_in_the_text_too() -> None:
    with stand_in(WEB) as web:
        async with in_memory("127.0.0.1:1", api_key=KEY, cloud_url=web.url) as caller:
            page = await caller.call("ollama_web_fetch", url="ollama.com")
    assert "https://ollama.com/blog" in text(page)


async def test_a_search_that_finds_nothing_is_no_error() -> None:
    with stand_in({"/api/web_search": (200, {"results": []})}) as web:
        async with in_memory("127.0.0.1:1", api_key=KEY, cloud_url=web.url) as caller:
            found = await caller.call("ollama_web_search", query="nothing")
    assert found.structured_content == {"results": []}
    assert text(found) == "nothing was found"


@pytest.mark.parametrize(
    ("status", "said", "code"),
    [
        (401, {"error": "unauthorized"}, "unauthorized"),
        (401, {"error": "unauthorized", "signin_url": SIGNIN}, "unauthorized"),
        (429, {"error": "rate limit exceeded"}, "rate_limited"),
        (500, {"error": "internal"}, "daemon_error"),
    ],
)
async def test_what_the_web_refuses_is_told_without_the_key(
    status: int, said: dict[str, str], code: str
) -> None:
    with stand_in({"/api/web_search": (status, said)}) as web:
        async with in_memory("127.0.0.1:1", api_key=KEY, cloud_url=web.url) as caller:
            error = await caller.error("ollama_web_search", query="ollama")
    assert error["code"] == code
    assert KEY not in json.dumps(error)
    if status == 401:
        assert said.get("signin_url", "OLLAMA_API_KEY") in error["hint"]


async def test_without_a_key_there_is_no_web(ollama_host: str) -> None:
    async with in_memory(ollama_host) as caller:
        offered = {tool.name for tool in await caller.list_tools()}
    assert not offered & {"ollama_web_search", "ollama_web_fetch"}


# Keys and headers


@pytest.mark.parametrize("transport", ["stdio", "http"])
async def test_a_key_is_never_sent_to_a_daemon_on_this_machine(
    ollama_host: str, transport: str
) -> None:
    with recorder.start(ollama_host) as tape:
        if transport == "stdio":
            await ask_everything(Caller(over_stdio(tape.url, OLLAMA_API_KEY=KEY)))
        else:
            with over_http(tape.url, OLLAMA_API_KEY=KEY) as url:
                await ask_everything(Caller(url))
        assert len(tape.exchanges) >= 5
        assert not [e for e in tape.exchanges if "authorization" in e.headers]
        assert KEY not in str([e.headers for e in tape.exchanges])


async def ask_everything(client: Caller) -> None:
    async with client as caller:
        await caller.call("ollama_list")
        await caller.call("ollama_ps")
        await caller.call("ollama_show", model=models.CHAT)
        await caller.call("ollama_generate", model=models.CHAT, prompt="Hi", options=SHORT)
        await caller.call("ollama_embed", model=models.EMBED, input="Hi")


async def test_extra_headers_are_sent_with_each_request(ollama_host: str) -> None:
    headers = {"X-Key": SecretStr("1234"), "Authorization": SecretStr("Bearer theirs")}
    with recorder.start(ollama_host) as tape:
        async with in_memory(tape.url, headers=headers, api_key=KEY) as caller:
            await caller.call("ollama_list")
            await caller.call("ollama_generate", model=models.CHAT, prompt="Hi", options=SHORT)
        assert {e.headers["x-key"] for e in tape.exchanges} == {"1234"}
        assert {e.headers["authorization"] for e in tape.exchanges} == {"Bearer theirs"}


async def test_extra_headers_are_read_from_the_environment(ollama_host: str) -> None:
    with recorder.start(ollama_host) as tape:
        told = {"OLLAMA_MCP_HEADERS": '{"X-Key": "1234"}'}
        async with Caller(over_stdio(tape.url, **told)) as caller:
            await caller.call("ollama_list")
        assert [e.headers.get("x-key") for e in tape.exchanges] == ["1234"]


# The stand-in


@dataclass
class Asked:
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class StandIn:
    """A server on loopback, and the requests that came to it."""

    url: str
    asked: list[Asked]


@contextmanager
def stand_in(answers: dict[str, tuple[int, Any]]) -> Iterator[StandIn]:
    """Serve a status and an object for each path."""
    asked: list[Asked] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked.append(Asked(self.path, headers, json.loads(body)))
            path = self.path.partition("?")[0]  # a daemon adds the time, and signs
            status, said = answers.get(path, (404, {"error": "not found"}))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=[0.02])
    thread.start()
    try:
        yield StandIn(f"http://127.0.0.1:{server.server_port}", asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
