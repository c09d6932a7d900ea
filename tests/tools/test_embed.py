"""Vectors."""

from __future__ import annotations

import math

import pytest

from tests.conftest import CHAT, EMBEDDER, Caller, text
from tests.fake_ollama import FakeOllama


@pytest.mark.parametrize(
    ("given", "count"), [("one", 1), (["one", "two"], 2), ('["one", "two", "three"]', 3)]
)
async def test_one_vector_for_each_text(either_era: Caller, given: object, count: int) -> None:
    result = await either_era.call("ollama_embed", model=EMBEDDER, input=given)
    said = result.structured_content
    assert (said["count"], len(said["embeddings"])) == (count, count)
    assert all(len(vector) == said["dimensions"] for vector in said["embeddings"])
    assert math.isclose(sum(x * x for x in said["embeddings"][0]), 1, abs_tol=1e-4)
    assert text(result).count("\n[") == count


async def test_fields_on_the_wire(client: Caller, daemon: FakeOllama) -> None:
    await client.call("ollama_embed", model=EMBEDDER, input="x", dimensions=4, keep_alive="1m",
                      options={"num_ctx": 256})  # fmt: skip
    assert daemon.requests[-1].body == {
        "model": EMBEDDER, "input": ["x"], "truncate": False, "dimensions": 4,
        "keep_alive": "1m", "options": {"num_ctx": 256}}  # fmt: skip


async def test_a_chat_model_is_refused_with_one_that_embeds(client: Caller) -> None:
    error = await client.error("ollama_embed", model=CHAT, input="x")
    assert error["code"] == "capability_missing"
    assert error["details"]["candidates"] == [EMBEDDER]


@pytest.mark.parametrize("wrong", [[], 5, [5], [["x"]], {}])
async def test_what_is_no_text(client: Caller, wrong: object) -> None:
    error = await client.error("ollama_embed", model=EMBEDDER, input=wrong)
    assert error["code"] == "invalid_argument"


async def test_what_does_not_fit_in_one_answer_is_said(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/embed", {"model": EMBEDDER, "embeddings": [[0.1] * 1000] * 50})
    result = await client.call("ollama_embed", model=EMBEDDER, input=["x"] * 50)
    assert result.structured_content["count"] == 40
    assert "only the first 40 of 50" in text(result)
