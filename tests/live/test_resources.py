"""Resources, completion and changes with a real daemon, by real clients of both eras."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx
import mcp_types
import pytest
from mcp import MCPError
from mcp.client.subscriptions import listen
from mcp.shared.subscriptions import ResourcesListChanged, ResourceUpdated

from scripts.testbed import models
from tests.conftest import Caller, text
from tests.live.sessions import LONG, in_memory, over_http, over_stdio, own_daemon
from tests.wire import EVERY, NEW

pytestmark = pytest.mark.live

#: A name as another registry has it.
FAR = "hf.co/user/repo:Q4_K_M"
#: Short enough for the smallest model.
OPENS = {"type": "object", "properties": {"opens": {"enum": ["8", "9"]}}, "required": ["opens"]}
NOTE = "notifications/resources/list_changed"


@dataclass
class Ground:
    """A daemon whose library may be changed, and a server process for it."""

    url: str
    served: str

    def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = httpx.request(method, f"{self.url}/api/{path}", json=body, trust_env=False)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def names(self) -> list[str]:
        return [row["name"] for row in self.ask("GET", "tags")["models"]]


@pytest.fixture(scope="module")
def ground(ollama_host: str) -> Iterator[Ground]:
    with own_daemon() as (ollama, _), over_http(ollama.url) as served:
        yield Ground(ollama.url, served)


class Peer(Caller):
    """A client that keeps what it is notified of, but progress."""

    def __init__(self, transport: Any, mode: str) -> None:
        self.notes: list[str] = []
        super().__init__(transport, mode=mode, message_handler=self.keep)

    async def keep(self, message: Any) -> None:
        if not isinstance(message, mcp_types.ProgressNotification):
            self.notes.append(message.method)


@pytest.fixture(params=EVERY, ids=lambda way: f"{way[0]}-{way[1]}")
async def peer(ground: Ground, request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    """A client on each transport in each era."""
    transport, era = request.param
    way = ground.served if transport == "http" else over_stdio(ground.url)
    async with Peer(way, "auto" if era == NEW else "legacy") as client:
        yield client


async def uris(client: Caller) -> list[str]:
    return [str(each.uri) for each in await client.list_resources()]


async def test_every_model_is_listed_and_read(peer: Peer, ground: Ground) -> None:
    models_ = [f"ollama://models/{name}" for name in ground.names()]
    listed = await uris(peer)
    assert listed[:3] == ["ollama://models", "ollama://running", "ollama://servers"]
    assert sorted(listed[3:]) == sorted(models_)
    for uri in listed:
        content = await peer.read_resource(uri)
        assert json.loads(content[0].text)
    content = await peer.read_resource(f"ollama://models/{models.EMBED}")
    assert json.loads(content[0].text)["capabilities"] == ["embedding"]
    with pytest.raises(MCPError, match=r"is not installed\. Did you mean"):
        await peer.read_resource(f"ollama://models/{models.EMBED}x")


async def test_what_others_change_is_in_the_next_list(peer: Peer, ground: Ground) -> None:
    before = await uris(peer)
    ground.ask("POST", "copy", source=models.EMBED, destination=FAR)
    try:
        (new,) = set(await uris(peer)) - set(before)
        assert new == f"ollama://models/{FAR}"
        for uri in (new, "ollama://models/hf.co%2Fuser%2Frepo%3AQ4_K_M"):
            content = await peer.read_resource(uri)
            assert json.loads(content[0].text)["model"] == FAR
    finally:
        ground.ask("DELETE", "delete", model=FAR)
    assert set(await uris(peer)) == set(before)
    assert peer.notes == [], "nobody asks the daemon in between"


async def test_names_are_completed(peer: Peer, ground: Ground) -> None:
    template = mcp_types.ResourceTemplateReference(
        type="ref/resource", uri="ollama://models/{name*}"
    )
    found = await peer.complete(template, {"name": "name", "value": ""})
    assert sorted(found.values) == sorted(ground.names())
    menu = mcp_types.PromptReference(type="ref/prompt", name="delegate_task")
    found = await peer.complete(menu, {"name": "model", "value": models.CHAT[:4]})
    assert models.CHAT in found.values
    assert models.EMBED not in found.values


async def test_a_prompt_knows_the_models(peer: Peer) -> None:
    result = await peer.get_prompt("choose_model", {"purpose": "search by meaning"})
    said = result.messages[0].content.text  # type: ignore[union-attr]
    assert f"- {models.EMBED}: embedding" in said


async def test_the_call_that_a_prompt_spells_out_does_what_it_says(
    ground: Ground, tmp_path: Path
) -> None:
    (tmp_path / "notes.md").write_text("The shop opens at 9.")
    asked = {
        "summarize_files": {"files": "*.md"},
        "extract_to_schema": {"files": "notes.md", "schema": json.dumps(OPENS)},
    }
    async with in_memory(ground.url, roots=str(tmp_path)) as client:
        for name, given in asked.items():
            prompt = await client.get_prompt(name, {**given, "model": models.CHAT})
            said = prompt.messages[0].content.text  # type: ignore[union-attr]
            line = next(part for part in said.splitlines() if part.startswith("ollama_generate {"))
            arguments = json.loads(line.removeprefix("ollama_generate "))
            result = await client.call("ollama_generate", **arguments, options=LONG)
            assert not result.is_error, text(result)
            if name == "extract_to_schema":
                assert set(result.structured_content["data"]) == {"opens"}


async def test_a_change_of_ones_own_is_told(peer: Peer, ground: Ground) -> None:
    new = "ollama://models/mine/changed:latest"
    watched = ["ollama://models", new]
    async with AsyncExitStack() as stack:
        told: Any = None
        if peer.protocol_version == NEW:
            told = await stack.enter_async_context(
                listen(peer.session, resources_list_changed=True, resource_subscriptions=watched)
            )
        for tool, arguments in (
            ("ollama_create", {"model": "mine/changed", "from": models.CHAT, "system": "Be brief"}),
            ("ollama_delete", {"model": "mine/changed"}),
        ):
            before, found = await uris(peer), set()
            result = await peer.call(tool, **arguments)
            assert not result.is_error, text(result)
            if told is None:
                assert peer.notes == [NOTE]
            else:
                with anyio.fail_after(30):
                    while len(found) < 3:
                        found.add(await told.__anext__())
                assert found == {ResourcesListChanged(), *map(ResourceUpdated, watched)}
            peer.notes.clear()
            assert set(await uris(peer)) ^ set(before) == {new}
    assert new.removeprefix("ollama://models/") not in ground.names()
