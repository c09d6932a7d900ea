"""Honest context on the real daemon: every prompt is read whole, or refused with the numbers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from scripts.testbed import models
from scripts.testbed.daemon import Daemon
from tests.conftest import Caller, text
from tests.live.sessions import own_daemon

pytestmark = pytest.mark.live

#: The window of the model in its Modelfile, so narrow that what exceeds it is read in seconds; what
#: it is raised to; and the longest that it was trained for.
OWN, RAISED, LONGEST = 512, 1024, 8192
MODEL = "testbed/narrow:latest"
FIRST = "Peregrine falcons nest on the cathedral."
SHORT = {"num_predict": 4, "temperature": 0}


def prompt(lines: int) -> str:
    """Return a text of about 10 tokens a line."""
    return "\n".join([FIRST, *["The quick brown fox jumps over the lazy dog."] * lines])


@pytest.fixture(scope="module")
def ollama(ollama_pid: int) -> Iterator[Daemon]:
    """A daemon with a store of its own, for the model is made for these tests."""
    with own_daemon() as (own, _):
        narrow = {"model": MODEL, "from": models.CHAT, "parameters": {"num_ctx": OWN}}
        httpx.post(f"{own.url}/api/create", json={**narrow, "stream": False}).raise_for_status()
        yield own


@pytest.fixture
async def caller(ollama: Daemon, request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    settings = Settings(ollama_host=ollama.url, **getattr(request, "param", {}))
    async with Caller(build_server(App(settings)), mode="auto") as caller:
        yield caller


def direct(ollama: Daemon, path: str, body: dict[str, Any]) -> dict[str, Any]:
    body = {"model": MODEL, "stream": False, "options": SHORT, **body}
    answer: dict[str, Any] = httpx.post(ollama.url + path, json=body, timeout=60).json()
    return answer


def unload(ollama: Daemon) -> None:
    direct(ollama, "/api/generate", {"keep_alive": 0})


def calls(text: str) -> list[tuple[str, dict[str, Any], str, dict[str, Any]]]:
    """Return each tool with its arguments, and the same request to the daemon itself."""
    first, _, rest = text.partition("\n")
    messages = [
        {"role": "user", "content": first},
        {"role": "assistant", "content": "Noted."},
        {"role": "user", "content": rest},
    ]
    return [
        ("ollama_generate", {"prompt": text, "options": SHORT}, "/api/generate", {"prompt": text}),
        ("ollama_chat", {"messages": messages, "options": SHORT}, "/api/chat",
         {"messages": messages}),
        ("chat_completion", {"messages": messages, "max_tokens": 4, "temperature": 0}, "/api/chat",
         {"messages": messages}),
    ]  # fmt: skip


@pytest.mark.parametrize("number", range(3))
async def test_a_prompt_longer_than_the_window_is_read_whole(
    caller: Caller, ollama: Daemon, number: int
) -> None:
    tool, arguments, path, body = calls(prompt(60))[number]
    options = {**SHORT, "num_ctx": LONGEST}
    whole = direct(ollama, path, {**body, "options": options, "truncate": False})
    assert whole["prompt_eval_count"] > OWN
    cut = direct(ollama, path, body)
    assert cut["prompt_eval_count"] < whole["prompt_eval_count"]  # what others send
    unload(ollama)
    result = await caller.call(tool, model=MODEL, **arguments)
    usage = result.structured_content["usage"]
    assert usage["prompt_tokens"] == whole["prompt_eval_count"]
    assert f"raised from {OWN} to {RAISED} tokens" in str(result.structured_content["warnings"])


@pytest.mark.parametrize("number", [0, 1])
async def test_what_the_daemon_renders_holds_the_first_line(
    caller: Caller, ollama: Daemon, number: int
) -> None:
    tool, arguments, path, body = calls(prompt(60))[number]
    result = await caller.call(tool, model=MODEL, debug_render_only=True, **arguments)
    rendered = result.meta["ollama/final"]["_debug_info"]["rendered_template"]
    assert FIRST in rendered
    unload(ollama)
    cut = direct(ollama, path, {**body, "_debug_render_only": True})
    if path == "/api/chat":
        assert FIRST not in cut["_debug_info"]["rendered_template"]


@pytest.mark.parametrize("number", range(3))
async def test_a_prompt_beyond_the_longest_window_is_refused_with_the_numbers(
    caller: Caller, ollama: Daemon, number: int
) -> None:
    tool, arguments, path, body = calls(prompt(900))[number]
    error = await caller.error(tool, model=MODEL, **arguments)
    assert error["code"] == "context_overflow"
    options = {**SHORT, "num_ctx": LONGEST}
    told = direct(ollama, path, {**body, "options": options, "truncate": False})["error"]
    assert f'"n_prompt_tokens":{error["details"]["prompt_tokens"]}' in str(told)
    assert error["details"]["context"] == LONGEST


@pytest.mark.parametrize("caller", [{"max_context": RAISED}], indirect=True)
async def test_the_settings_bound_what_is_raised(caller: Caller, ollama: Daemon) -> None:
    unload(ollama)
    error = await caller.error("ollama_generate", model=MODEL, prompt=prompt(150))
    assert (error["code"], error["details"]["context"]) == ("context_overflow", RAISED)
    assert "OLLAMA_MCP_MAX_CONTEXT" in error["hint"]


async def test_the_callers_own_window_is_not_raised(caller: Caller) -> None:
    error = await caller.error(
        "ollama_generate", model=MODEL, prompt=prompt(60), options={"num_ctx": 256}
    )
    assert (error["code"], error["details"]["context"]) == ("context_overflow", 256)
    assert "Leave options.num_ctx out" in error["hint"]


async def test_text_that_is_denser_than_it_looks_is_read_whole(
    caller: Caller, ollama: Daemon
) -> None:
    """Bytes tell about tokens only on average: then the daemon's own refusal raises the window."""
    unload(ollama)
    dense = "\U0001f9ff" * 220  # one sign of four bytes may be four tokens
    result = await caller.call("ollama_generate", model=MODEL, prompt=dense, options=SHORT)
    usage = result.structured_content["usage"]
    assert usage["prompt_tokens"] > OWN
    assert usage["context"] >= RAISED


async def test_the_raised_window_is_kept(caller: Caller, ollama: Daemon) -> None:
    unload(ollama)
    arguments = {"model": MODEL, "options": SHORT}
    await caller.call("ollama_generate", prompt=prompt(60), **arguments)
    after = await caller.call("ollama_generate", prompt="Say hi.", **arguments)
    assert after.structured_content["usage"]["context"] == RAISED
    assert "raised" not in text(after)
    assert after.meta["ollama/timings"].get("load", 0) < 0.05


async def test_what_another_program_loaded_is_not_loaded_anew(
    caller: Caller, ollama: Daemon
) -> None:
    unload(ollama)
    ask = {"prompt": "Say hi.", "options": {**SHORT, "num_ctx": 768}}
    direct(ollama, "/api/generate", ask)
    ours = await caller.call(
        "ollama_generate", model=MODEL, prompt="Say hi.", options={"num_predict": 4}
    )
    assert ours.structured_content["usage"]["context"] == 768
    assert ours.meta["ollama/timings"].get("load", 0) < 0.05
    again = direct(ollama, "/api/generate", ask)
    assert again["load_duration"] < 50e6


async def test_a_model_of_the_daemons_own_window(caller: Caller, ollama: Daemon) -> None:
    """Where no Modelfile says num_ctx, the model is loaded first to see what the daemon gives."""
    shown = direct(ollama, "/api/show", {"model": MODEL})
    blob = next(
        line.rpartition("sha256-")[2] for line in shown["modelfile"].splitlines()
        if line.startswith("FROM /")
    )  # fmt: skip
    body = {"files": {"bare.gguf": f"sha256:{blob}"}, "template": "{{ .Prompt }}"}
    direct(ollama, "/api/create", {**body, "model": "bare:latest"})
    try:
        result = await caller.call("ollama_generate", model="bare", prompt="Say", options=SHORT)
        usage = result.structured_content["usage"]
        row = httpx.get(ollama.url + "/api/ps").json()["models"][0]  # noqa: ASYNC210
        assert usage["context"] == row["context_length"]
        assert "raised" not in text(result)
    finally:
        url = ollama.url + "/api/delete"
        httpx.request("DELETE", url, json={"model": "bare:latest"})  # noqa: ASYNC210
