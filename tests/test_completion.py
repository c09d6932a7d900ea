"""Completion of model names and handles, in both eras."""

from __future__ import annotations

import anyio
import mcp_types
import pytest

from ollama_mcp_server import glance, reading
from ollama_mcp_server.app import App
from ollama_mcp_server.completion import matching
from ollama_mcp_server.server import build_server
from tests.conftest import CHAT, EMBEDDER, INSERT, PICTURES, THINKER, Caller, MakeApp
from tests.fake_ollama import FakeOllama

MODEL = mcp_types.ResourceTemplateReference(type="ref/resource", uri="ollama://models/{name*}")
TALKERS = [CHAT, THINKER, PICTURES, INSERT]


def prompt(name: str) -> mcp_types.PromptReference:
    return mcp_types.PromptReference(type="ref/prompt", name=name)


async def completed(client: Caller, ref: object, typed: str, argument: str = "model") -> list[str]:
    found = await client.complete(ref, {"name": argument, "value": typed})  # type: ignore[arg-type]
    return list(found.values)


async def test_every_prompt_with_a_model_completes_those_that_talk(either_era: Caller) -> None:
    with_a_model = [
        each.name
        for each in await either_era.list_prompts()
        if "model" in [argument.name for argument in each.arguments or ()]
    ]
    assert with_a_model == ["delegate_task", "summarize_files", "extract_to_schema", "review_diff"]
    for name in with_a_model:
        assert await completed(either_era, prompt(name), "") == TALKERS
        assert await completed(either_era, prompt(name), "q") == [THINKER]


async def test_a_template_completes_every_model(either_era: Caller) -> None:
    templates = [each.uri_template for each in await either_era.list_resource_templates()]
    assert MODEL.uri in templates
    assert await completed(either_era, MODEL, "", "name") == [*TALKERS, EMBEDDER]
    assert await completed(either_era, MODEL, "all", "name") == [EMBEDDER]


async def test_prefixes_come_before_what_is_only_contained(either_era: Caller) -> None:
    assert await completed(either_era, prompt("delegate_task"), "LLA") == [CHAT, PICTURES, INSERT]
    assert await completed(either_era, prompt("delegate_task"), "nothing") == []


async def test_what_is_not_ours_to_complete_is_empty(either_era: Caller) -> None:
    assert await completed(either_era, prompt("delegate_task"), "a", "task") == []
    other = mcp_types.ResourceTemplateReference(type="ref/resource", uri="ollama://other/{x}")
    assert await completed(either_era, other, "", "x") == []


async def test_at_most_a_hundred_with_the_total(either_era: Caller, daemon: FakeOllama) -> None:
    rows = [{"name": f"m{n}:1b", "capabilities": ["completion"]} for n in range(130)]
    daemon.reply("/api/tags", {"models": rows})
    found = await either_era.complete(prompt("delegate_task"), {"name": "model", "value": "m"})
    assert (len(found.values), found.total, found.has_more) == (100, 130, True)


async def test_handles_of_ones_own_conversations(either_era: Caller, app: App) -> None:
    for owner in ("", "somebody else"):
        async with app.conversations.turn("new", owner) as conversation:
            conversation.add([{"role": "user", "content": "Hi"}])
        if not owner:
            handle = conversation.handle
    ref = mcp_types.ResourceTemplateReference(
        type="ref/resource", uri="ollama://conversations/{id}"
    )
    assert await completed(either_era, ref, "conv_", "id") == [handle]


async def test_aliases_and_profiles_come_first_where_their_model_is_there(
    make_app: MakeApp,
) -> None:
    app = make_app(
        aliases=f"small={CHAT},embed={EMBEDDER},gone=nobody:1b",
        profiles={"strict": {"model": "small", "system": "Be strict."}},
    )
    async with Caller(build_server(app)) as client:
        found = await completed(client, prompt("delegate_task"), "")
        assert found == ["small", "strict", *TALKERS]
        assert await completed(client, prompt("delegate_task"), "str") == ["strict"]
        assert "small" not in await completed(client, MODEL, "", "name")


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_with_no_daemon_nothing_is_completed(make_app: MakeApp, era: str) -> None:
    server = build_server(make_app(ollama_host="127.0.0.1:9"))
    async with Caller(server, mode=era) as client:
        assert await completed(client, prompt("delegate_task"), "") == []
        assert await completed(client, MODEL, "", "name") == []


async def test_a_silent_daemon_holds_up_no_completion(
    either_era: Caller, daemon: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glance, "PATIENCE", 0.05)
    monkeypatch.setattr(reading, "PATIENCE", 0.05)
    daemon.hold("/api/tags")
    with anyio.fail_after(20):
        assert await completed(either_era, prompt("delegate_task"), "") == []
        assert await completed(either_era, MODEL, "", "name") == []


def test_matching() -> None:
    names = ["my-qwen:1b", "qwen3:8b", "Qwen2.5:7b", "llama"]
    assert matching(names, " qwen ") == ["qwen3:8b", "Qwen2.5:7b", "my-qwen:1b"]
    assert matching(names, "") == names
