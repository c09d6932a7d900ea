"""What came of a call, as another process reads it."""

from __future__ import annotations

import asyncio

import pytest
from fastmcp.tools import ToolResult
from mcp_types import ImageContent, TextContent

from ollama_mcp_server.delegation.jobs.outcomes import as_text, read, written
from ollama_mcp_server.errors import ModelNotFound


@pytest.mark.parametrize(
    "result",
    [
        ToolResult(content="words", structured_content={"b": 1, "a": None, "ü": [1.5, "\ud800"]}),
        ToolResult(content="Error: no", structured_content={"error": {}}, is_error=True),
        ToolResult(content=[TextContent(type="text", text="one")], meta={"ollama/final": {"n": 1}}),
        ToolResult(
            content=[
                ImageContent(type="image", data="aGk=", mime_type="image/png"),
                TextContent(type="text", text="two"),
            ]
        ),
    ],
)
def test_a_result_comes_back_as_it_was(result: ToolResult) -> None:
    again = read(written(result))
    assert again.content == result.content
    assert again.structured_content == result.structured_content
    if result.structured_content:
        assert list(again.structured_content or {}) == list(result.structured_content)
    assert (again.meta, again.is_error) == (result.meta, result.is_error)


async def ended(error: BaseException) -> asyncio.Task[None]:
    async def fail() -> None:
        raise error

    task = asyncio.create_task(fail())
    await asyncio.wait([task])
    return task


async def test_what_was_raised_is_told_as_a_result() -> None:
    said = read(as_text(await ended(ModelNotFound("no model x", "Pull it"))))
    assert said.is_error
    assert said.structured_content is not None
    assert said.structured_content["error"]["code"] == "model_not_found"


async def test_what_is_no_error_of_ours_is_not_told_in_its_words() -> None:
    text = as_text(await ended(RuntimeError("the secret")))
    assert "secret" not in text
    assert "RuntimeError" in text
