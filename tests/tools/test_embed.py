"""Vectors, and searches by them."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.server import build_server
from tests.conftest import CHAT, EMBEDDER, Caller, MakeApp, text
from tests.fake_ollama import FakeOllama

NOTES = {
    "cats.md": "# Cats\n\nthe cat sat on the mat\n",
    "tax.md": "# Taxes\n\nthe quarterly tax report is due\n",
    "sub/stars.txt": "far stars shine\n\n" * 3,
}
LONG = "\n\n".join(f"Paragraph {number} has words about thing {number}." for number in range(200))


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


@pytest.fixture
async def folder(make_app: MakeApp, tmp_path: Path) -> AsyncIterator[Caller]:
    """A client of a server that may read a folder of notes."""
    for name, content in NOTES.items():
        path = tmp_path / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    app = make_app(roots=str(tmp_path / "notes"))
    async with Caller(build_server(app), mode="auto") as caller:
        yield caller


def embedded(daemon: FakeOllama) -> list[dict[str, Any]]:
    """Return the bodies of the requests for vectors."""
    return [request.body for request in daemon.requests if request.path == "/api/embed"]


async def test_a_query_ranks_the_passages_of_files(folder: Caller) -> None:
    result = await folder.call(
        "ollama_embed", files=["**/*"], query="the cat sat on a mat", top_k=2
    )
    said = result.structured_content
    best, second = said["results"]
    assert best["text"] == NOTES["cats.md"].strip()
    assert (best["source"], best["lines"]) == ("cats.md", "1-3")
    assert 1 >= best["score"] > second["score"] >= -1
    assert (said["count"], said["model"]) == (3, EMBEDDER)
    assert said["usage"]["prompt_tokens"] > 0
    assert "embeddings" not in said
    assert text(result).startswith(f"cats.md:1-3 ({best['score']})\n# Cats")
    assert second["text"] in text(result)


async def test_one_file_may_be_named_alone(folder: Caller) -> None:
    result = await folder.call("ollama_embed", files="sub/stars.txt", query="stars")
    (only,) = result.structured_content["results"]
    assert (only["source"], only["lines"]) == ("sub/stars.txt", "1-5")


async def test_a_query_ranks_the_passages_of_inputs(client: Caller) -> None:
    result = await client.call(
        "ollama_embed", model=EMBEDDER, input=["nothing here", LONG], query="thing 123.", top_k=1
    )
    (best,) = result.structured_content["results"]
    assert "thing 123." in best["text"]
    assert best["source"] == "input[1]"
    assert LONG[best["start"] : best["end"]] == best["text"]
    assert result.structured_content["count"] > 5


async def test_a_second_query_asks_for_its_own_vector_only(
    folder: Caller, daemon: FakeOllama
) -> None:
    await folder.call("ollama_embed", files=["*.md"], query="cats")
    before = len(embedded(daemon))
    result = await folder.call("ollama_embed", files=["*.md"], query="taxes")
    assert [body["input"] for body in embedded(daemon)[before:]] == [["taxes"]]
    assert result.structured_content["usage"]["prompt_tokens"] == 3


async def test_files_without_a_query_are_counted_and_remembered(
    folder: Caller, daemon: FakeOllama
) -> None:
    result = await folder.call("ollama_embed", files=["*.md"])
    said = result.structured_content
    assert (said["count"], said["dimensions"]) == (2, 384)
    assert said.keys().isdisjoint({"embeddings", "results"})
    assert "2 passages are embedded" in text(result)
    before = len(embedded(daemon))
    await folder.call("ollama_embed", files=["*.md"], query="cats")
    assert [body["input"] for body in embedded(daemon)[before:]] == [["cats"]]


async def test_vectors_of_files_come_when_asked_for(folder: Caller) -> None:
    result = await folder.call("ollama_embed", files=["*.md"], vectors=True)
    said = result.structured_content
    assert [found["source"] for found in said["results"]] == ["cats.md", "tax.md"]
    assert [len(vector) for vector in said["embeddings"]] == [384, 384]
    line = text(result).splitlines()[1]
    place, _, vector = line.partition(" ")
    assert (place, json.loads(vector)) == ("cats.md:1-3", said["embeddings"][0])


async def test_a_long_input_is_an_error_or_becomes_passages_with_their_places(
    client: Caller,
) -> None:
    error = await client.error("ollama_embed", model=EMBEDDER, input=LONG)
    assert error["code"] == "context_overflow"
    assert "vectors: true" in error["hint"]
    result = await client.call("ollama_embed", model=EMBEDDER, input=["x", LONG], vectors=True)
    said = result.structured_content
    assert said["count"] == len(said["embeddings"]) == len(said["results"]) > 2
    assert said["results"][0] == {"source": "input[0]", "start": 0, "end": 1}
    texts = [LONG[part["start"] : part["end"]] for part in said["results"][1:]]
    assert "".join("".join(texts).split()) == "".join(LONG.split())
    alone = await client.call("ollama_embed", model=EMBEDDER, input=texts)
    assert alone.structured_content["embeddings"] == said["embeddings"][1:]


async def test_vectors_that_do_not_fit_in_one_answer_are_not_made(
    client: Caller, daemon: FakeOllama
) -> None:
    result = await client.call(
        "ollama_embed", model=EMBEDDER, input=LONG, vectors=True, options={"num_ctx": 20}
    )
    said = result.structured_content
    assert said["count"] == len(said["embeddings"]) == 104
    assert "only the first 104 of about" in text(result)
    assert sum(len(body["input"]) for body in embedded(daemon)) < 120


async def test_a_model_gets_the_prefixes_that_it_wants(client: Caller, daemon: FakeOllama) -> None:
    await client.call("ollama_copy", source=EMBEDDER, destination="nomic-embed-text")
    asked = {"model": "nomic-embed-text", "input": "a cat"}
    await client.call("ollama_embed", **asked, query="cats")
    await client.call("ollama_embed", **asked)
    await client.call("ollama_embed", **asked, vectors=True)
    assert [body["input"] for body in embedded(daemon)] == [
        ["search_query: cats"], ["search_document: a cat"], ["a cat"], [], ["a cat"],
    ]  # fmt: skip


async def test_a_model_is_unloaded_after_all_is_done(client: Caller, daemon: FakeOllama) -> None:
    await client.call("ollama_embed", model=EMBEDDER, input=LONG, query="x", keep_alive=0)
    *asked, last = embedded(daemon)
    assert len(asked) > 1
    assert all("keep_alive" not in body for body in asked)
    assert last == {"model": EMBEDDER, "input": [], "keep_alive": 0}


async def test_a_profile_serves_embedding(make_app: MakeApp, daemon: FakeOllama) -> None:
    profile = {"model": EMBEDDER, "system": "Be brief.", "options": {"num_ctx": 128}}
    app = make_app(profiles={"search": profile})
    async with Caller(build_server(app), mode="auto") as caller:
        await caller.call("ollama_embed", model="search", input="x")
    assert embedded(daemon) == [
        {"model": EMBEDDER, "input": ["x"], "truncate": False, "options": {"num_ctx": 128}}
    ]


async def test_a_query_that_is_too_long_is_told_from_the_texts(client: Caller) -> None:
    error = await client.error("ollama_embed", model=EMBEDDER, input="x", query="word " * 600)
    assert (error["code"], error["hint"]) == ("context_overflow", "Shorten the query")


async def test_what_has_no_text_has_no_passages(client: Caller) -> None:
    for more in ({"query": "x"}, {"vectors": True}):
        result = await client.call("ollama_embed", model=EMBEDDER, input=" \n", **more)
        assert result.structured_content["count"] == 0
        assert result.structured_content["warnings"] == ["there is no text to embed"]


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({}, "nothing to embed"),
        ({"query": "x"}, "nothing to embed"),
        ({"input": "x", "query": " "}, "query"),
        ({"input": "x", "query": "x", "vectors": True}, "no vectors"),
        ({"input": "x", "query": "x", "top_k": 0}, "top_k"),
        ({"input": "x", "query": "x", "top_k": 31}, "top_k"),
        ({"files": []}, "files"),
    ],
)
async def test_what_is_no_search(client: Caller, wrong: dict[str, Any], told: str) -> None:
    error = await client.error("ollama_embed", model=EMBEDDER, **wrong)
    assert error["code"] == "invalid_argument"
    assert told in error["message"]


async def test_no_file_is_read_outside_of_the_folders(client: Caller, folder: Caller) -> None:
    for caller in (client, folder):
        error = await caller.error("ollama_embed", files=["/etc/passwd"], query="root")
        assert error["code"] == "permission_denied"
