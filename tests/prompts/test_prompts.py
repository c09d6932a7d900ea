"""The prompts of a host's menu: how they are listed, and what they make of their arguments."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from fastmcp import FastMCP
from mcp import MCPError

from ollama_mcp_server import discovery, prompts
from ollama_mcp_server.delegation.choice import physical_memory
from ollama_mcp_server.delegation.recommended import fitting
from ollama_mcp_server.prompts._words import paths
from ollama_mcp_server.prompts.review import FINDINGS
from ollama_mcp_server.server import build_server
from tests.conftest import CHAT, EMBEDDER, Caller, MakeApp
from tests.fake_ollama import FakeOllama

DEFINITIONS = Path(prompts.__file__).with_name("definitions")
SCHEMA = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}
DIFF = "--- a/x.py\n+++ b/x.py\n@@ -1 +1 @@\n-a = 1\n+a = 2"
#: A call of each with all its arguments.
WHOLE: dict[str, dict[str, str]] = {
    "choose_model": {"purpose": "translate contracts"},
    "delegate_task": {"task": "Name three rivers", "model": CHAT},
    "summarize_files": {"files": "a.md, docs/*.md", "focus": "prices", "model": CHAT},
    "extract_to_schema": {
        "schema": json.dumps(SCHEMA), "files": "bill.pdf", "text": "Total: 3", "model": CHAT
    },
    "review_diff": {"diff": DIFF, "focus": "locks", "model": CHAT},
}  # fmt: skip


async def rendered(client: Caller, name: str, **arguments: str) -> str:
    """Return a prompt's text; it is one message of the user's."""
    result = await client.get_prompt(name, arguments)
    assert [message.role for message in result.messages] == ["user"]
    text = result.messages[0].content.text  # type: ignore[union-attr]
    assert len(text) < 4000
    return text


def call_in(text: str) -> dict[str, Any]:
    """Return the arguments of the call of ollama_generate that a prompt spells out."""
    line = next(line for line in text.splitlines() if line.startswith("ollama_generate {"))
    value = json.loads(line.removeprefix("ollama_generate "))
    assert isinstance(value, dict)
    return value


async def error(client: Caller, name: str, **arguments: str) -> Any:
    with pytest.raises(MCPError) as caught:
        await client.get_prompt(name, arguments)
    assert caught.value.error.code == -32602
    return caught.value.error


async def test_definitions_are_what_the_functions_say(
    client: Caller, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are public API, and what is served: `make schemas` rewrites them; review the diff."""
    monkeypatch.setattr(discovery, "kept", lambda _: [])
    async with Caller(build_server(make_app())) as deriving:
        derived = await deriving.list_prompts()
    for prompt in derived:
        path = DEFINITIONS / f"{prompt.name}.json"
        now = prompt.model_dump(mode="json", by_alias=True, exclude_none=True)
        text = json.dumps(now, ensure_ascii=False, indent=2) + "\n"
        if os.environ.get("UPDATE_SCHEMAS"):
            path.write_text(text)
        assert path.is_file(), f"no definition of {prompt.name}: make schemas"
        assert text == path.read_text(), f"{prompt.name} has changed: make schemas, review the diff"
    assert await client.list_prompts() == derived
    assert {path.stem for path in DEFINITIONS.glob("*.json")} == {each.name for each in derived}


async def test_every_prompt_is_described(either_era: Caller) -> None:
    for prompt in await either_era.list_prompts():
        assert re.fullmatch(r"[a-z_]+", prompt.name)
        assert prompt.title
        assert prompt.description
        assert "\n" not in prompt.description
        for argument in prompt.arguments or ():
            assert argument.description
            assert "schema:" not in argument.description, "FastMCP adds a schema to what is no str"
            if argument.name not in ("files", "text"):  # one of the two is needed
                assert argument.required is ("Default" not in argument.description)
    assert {prompt.name for prompt in await either_era.list_prompts()} == set(WHOLE)


@pytest.mark.parametrize("name", WHOLE)
async def test_a_prompt_names_only_tools_and_arguments_that_there_are(
    client: Caller, name: str
) -> None:
    tools = {tool.name: tool for tool in await client.list_tools()}
    text = await rendered(client, name, **WHOLE[name])
    assert set(re.findall(r"\bollama_[a-z_]+", text)) <= set(tools)
    if "ollama_generate {" in text:
        known = tools["ollama_generate"].input_schema["properties"]
        assert set(call_in(text)) <= set(known)


async def test_a_blank_field_of_a_menu_is_a_default(either_era: Caller) -> None:
    text = await rendered(either_era, "summarize_files", files="a.md", focus=" ", model="")
    assert set(call_in(text)) == {"files", "prompt"}
    assert "Above all" not in text
    text = await rendered(either_era, "delegate_task", task="x", model="")
    assert "without model" in text


async def test_delegate_task(either_era: Caller) -> None:
    text = await rendered(either_era, "delegate_task", task="Name three rivers", model=CHAT)
    assert "<task>\nName three rivers\n</task>" in text
    assert f'with model "{CHAT}"' in text


async def test_summarize_files(either_era: Caller) -> None:
    asked = call_in(await rendered(either_era, "summarize_files", **WHOLE["summarize_files"]))
    assert asked["files"] == ["a.md", "docs/*.md"]
    assert asked["model"] == CHAT
    assert asked["prompt"].endswith("Above all: prices")


async def test_extract_to_schema(either_era: Caller) -> None:
    name = "extract_to_schema"
    text = await rendered(either_era, name, schema=json.dumps(SCHEMA), files='["a b.pdf"]')
    assert call_in(text)["format"] == SCHEMA
    assert call_in(text)["files"] == ["a b.pdf"]
    text = await rendered(either_era, name, schema="name, total in euros", text="Bill: 3 €")
    assert call_in(text)["format"] == "…"
    assert "<fields>\nname, total in euros\n</fields>" in text
    assert "<text>\nBill: 3 €\n</text>" in text
    assert "files" not in call_in(text)
    told = await error(either_era, name, schema="x")
    assert "Give files or text" in told.message
    told = await error(either_era, name, schema='{"type": ', text="x")
    assert "not valid JSON" in told.message
    told = await error(either_era, name, schema="x", files="[1, ")
    assert "files is not valid JSON" in told.message


async def test_review_diff(either_era: Caller) -> None:
    name = "review_diff"
    text = await rendered(either_era, name)
    assert call_in(text)["files"] == ["ollama-review.diff"]
    assert "git diff HEAD > ollama-review.diff" in text
    text = await rendered(either_era, name, diff="change.patch")
    assert call_in(text)["files"] == ["change.patch"]
    assert "git diff" not in text
    text = await rendered(either_era, name, diff=DIFF, focus="locks")
    assert f"<diff>\n{DIFF}\n</diff>" in text
    assert "files" not in call_in(text)
    assert "Above all: locks" in call_in(text)["prompt"]
    assert call_in(text)["format"] == FINDINGS


def test_the_form_of_a_review_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(FINDINGS)
    finding = {"file": "x.py", "line": 3, "severity": "high", "problem": "p", "fix": "f"}
    jsonschema.validate({"findings": [finding]}, FINDINGS)


async def test_choose_model_shows_what_there_is(either_era: Caller, daemon: FakeOllama) -> None:
    text = await rendered(either_era, "choose_model", purpose="call tools")
    assert f"- {CHAT}: completion, tools (1.9 GB, 3.2B, context 131072)" in text
    assert f"- {EMBEDDER}: embedding" in text
    daemon.reply("/api/tags", {"models": []})
    assert "- none" in await rendered(either_era, "choose_model", purpose="call tools")
    rows = [{"name": f"m{n}:1b", "capabilities": ["completion"]} for n in range(70)]
    daemon.reply("/api/tags", {"models": rows})
    text = await rendered(either_era, "choose_model", purpose="call tools")
    assert "- and 10 more: ollama_list" in text
    assert f"{fitting(physical_memory())[0].name} (tools" in text, "one that is not there, and fits"


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_with_no_daemon_choose_model_says_what_to_do(make_app: MakeApp, era: str) -> None:
    server = build_server(make_app(ollama_host="127.0.0.1:9"))
    async with Caller(server, mode=era) as client:
        text = await rendered(client, "choose_model", purpose="call tools")
        assert "nothing answers at http://127.0.0.1:9" in text
        assert "ollama serve" in text
        for name, arguments in WHOLE.items():
            await rendered(client, name, **arguments)


async def test_wrong_arguments_are_named(either_era: Caller) -> None:
    told = await error(either_era, "delegate_task")
    assert told.message.startswith("delegate_task: task is missing. What is to be done")
    assert told.data["code"] == "invalid_argument"
    told = await error(either_era, "delegate_task", task="  ")
    assert "task is missing" in told.message
    told = await error(either_era, "delegate_task", task="secret words", modell="x")
    assert "unknown argument modell. Did you mean model?" in told.message
    assert "secret words" not in str(told)
    told = await error(either_era, "delegate", task="x")
    assert "Did you mean delegate_task?" in told.message


async def test_a_fault_of_ours_stays_here(
    server: FastMCP[Any], caplog: pytest.LogCaptureFixture
) -> None:
    @server.prompt
    def broken() -> str:
        raise RuntimeError("the secret of the house")

    async with Caller(server) as client:
        with pytest.raises(MCPError) as caught:
            await client.get_prompt("broken")
    assert caught.value.error.code == -32603
    assert "secret" not in str(caught.value.error)
    assert "the secret of the house" in caplog.text


def test_paths() -> None:
    assert paths("a.md, docs/*.md,\n b c.txt ,,") == ["a.md", "docs/*.md", "b c.txt"]
    assert paths('["a,b.md", "c"]') == ["a,b.md", "c"]
    assert paths("") == []
