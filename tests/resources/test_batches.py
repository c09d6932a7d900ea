"""Kept results of batches as resources."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp import MCPError

from ollama_mcp_server.app import App
from ollama_mcp_server.resources import batches
from tests.conftest import Caller


def lines(count: int, size: int = 10) -> list[str]:
    """Results as ollama_batch keeps them; the content holds what must be escaped."""
    return [json.dumps({"index": n, "content": "é\n" * size}) for n in range(count)]


async def test_all_results_are_read(either_era: Caller, app: App) -> None:
    kept = lines(5)
    handle = await app.kept.put("\n".join(kept), "")
    content = await either_era.read_resource(f"ollama://batches/{handle}")
    assert content[0].mime_type == "application/x-ndjson"
    assert content[0].text.split("\n") == kept


async def test_many_are_read_in_pages(either_era: Caller, app: App) -> None:
    kept = lines(300, 500)
    uri, found, pages = f"ollama://batches/{await app.kept.put(chr(10).join(kept), '')}", [], 0
    while uri:
        page = (await either_era.read_resource(uri))[0].text.split("\n")
        last: dict[str, Any] = json.loads(page[-1])
        uri = last.get("next", "")
        found += page[:-1] if uri else page
        pages += 1
    assert found == kept
    assert 2 <= pages <= 5


def test_a_line_that_is_too_long_by_itself_comes_alone() -> None:
    long = "x" * (batches.PAGE + 1)
    assert batches.fitting([long, "y"]) == [long]
    assert batches.fitting(["y", long]) == ["y"]
    assert batches.fitting([]) == []


@pytest.mark.parametrize("offset", ["-1", "x", "6", "1.5"])
async def test_a_wrong_offset_is_told(either_era: Caller, app: App, offset: str) -> None:
    handle = await app.kept.put("\n".join(lines(5)), "")
    with pytest.raises(MCPError, match="from 0 to 5") as caught:
        await either_era.read_resource(f"ollama://batches/{handle}?offset={offset}")
    assert caught.value.error.code == -32602


async def test_the_callers_own_are_listed_the_newest_first(either_era: Caller, app: App) -> None:
    handles = [await app.kept.put("{}" * n, "") for n in (1, 2)]
    listed = [each for each in await either_era.list_resources() if "batches" in str(each.uri)]
    assert [str(each.uri) for each in listed] == [
        f"ollama://batches/{handle}" for handle in reversed(handles)
    ]
    assert listed[0].title == "Results of a batch (4 bytes)"


async def test_anothers_are_neither_listed_nor_read(either_era: Caller, app: App) -> None:
    messages = []
    for handle in (await app.kept.put("{}", "somebody else"), "nonsense"):
        with pytest.raises(MCPError) as caught:
            await either_era.read_resource(f"ollama://batches/{handle}")
        error = caught.value.error
        assert error.code == (-32002 if either_era.protocol_version < "2026" else -32602)
        messages.append(error.message)
    assert messages[0] == messages[1], "nobody learns whether a handle is someone's"
    assert not [e for e in await either_era.list_resources() if "batches" in str(e.uri)]
