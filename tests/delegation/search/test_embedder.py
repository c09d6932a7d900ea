"""Passages as vectors: in batches, remembered, and none lost."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from ollama_mcp_server.delegation.search.embedder import BATCH, Embedder
from ollama_mcp_server.delegation.search.passages import Passage
from ollama_mcp_server.errors import ContextOverflow, DaemonError
from ollama_mcp_server.progress import Progress
from tests.conftest import EMBEDDER
from tests.delegation.search.made import MakeEmbedder, passage, passages
from tests.fake_ollama import FakeOllama

TOO_LONG = "the input length exceeds the context length"


def asked(daemon: FakeOllama) -> list[list[str]]:
    """Return the texts of each request for vectors that has come in."""
    return [
        request.body["input"]
        for request in daemon.requests
        if request.path == "/api/embed" and request.body
    ]


async def each(embedder: Embedder, given: list[Passage], prefix: str = "") -> list[str]:
    return [found.text async for found, vector in embedder.each(given, prefix) if vector]


async def test_passages_are_embedded_in_batches_and_their_order(
    make: MakeEmbedder, daemon: FakeOllama
) -> None:
    given = passages(2 * BATCH + 3)
    embedder = make(dimensions=8)
    assert await each(embedder, given) == [passage.text for passage in given]
    assert [len(texts) for texts in asked(daemon)] == [BATCH, BATCH, 3]
    assert daemon.requests[0].body.keys() == {"model", "input", "truncate", "dimensions"}
    assert daemon.requests[0].body["truncate"] is False
    assert embedder.final["prompt_eval_count"] == 4 * len(given)


async def test_a_batch_of_long_passages_is_small(make: MakeEmbedder, daemon: FakeOllama) -> None:
    given = [Passage("it", f"text {at}", 0, (1, 1), 2000) for at in range(5)]
    await each(make(), given)
    assert [len(texts) for texts in asked(daemon)] == [2, 2, 1]


async def test_progress_counts_passages(make: MakeEmbedder) -> None:
    told: list[tuple[float, float | None, str]] = []

    async def report(value: float, total: float | None, message: str) -> None:
        told.append((value, total, message))

    async with Progress(report, "embedding") as progress:
        await each(make(progress=progress), passages(BATCH + 1))
    assert told[-1] == (BATCH + 1, BATCH + 1, f"embedding: {BATCH + 1} of {BATCH + 1} passages")


async def test_what_is_remembered_is_not_asked_for_again(
    make: MakeEmbedder, daemon: FakeOllama
) -> None:
    first, later = make(), make()
    await each(first, passages(5))
    before = len(asked(daemon))
    assert await each(later, passages(6)) == [f"text {at}" for at in range(6)]
    assert asked(daemon)[before:] == [["text 5"]]
    assert later.final["prompt_eval_count"] == 4


@pytest.mark.parametrize(
    "other", [{"version": "2"}, {"dimensions": 8}, {"options": {"num_ctx": 100}}]
)
async def test_another_model_or_length_is_asked_for_anew(
    make: MakeEmbedder, daemon: FakeOllama, other: dict[str, object]
) -> None:
    await each(make(), passages(1))
    await each(make(**other), passages(1))
    await each(make(), passages(1), prefix="passage: ")
    assert asked(daemon) == [["text 0"], ["text 0"], ["passage: text 0"]]


async def test_a_text_that_stands_twice_is_asked_for_once(
    make: MakeEmbedder, daemon: FakeOllama
) -> None:
    assert await each(make(), [passage("same"), passage("same", "other")]) == ["same", "same"]
    assert asked(daemon) == [["same"]]


async def test_a_refused_passage_is_cut_until_it_fits_and_nothing_is_lost(
    make: MakeEmbedder, daemon: FakeOllama
) -> None:
    words = [f"w{number}" for number in range(500)]
    long = passage(" ".join(words))
    given = [passage("before"), long, passage("after")]
    window = {"options": {"num_ctx": 100}}
    found = await each(make(**window), given)
    assert (found[0], found[-1]) == ("before", "after")
    assert [word for text in found[1:-1] for word in text.split()] == words
    assert max(len(text.split()) for text in found) <= 98
    # and it is remembered which were refused
    before = len(asked(daemon))
    assert await each(make(**window), given) == found
    assert len(asked(daemon)) == before


async def test_what_cannot_be_cut_any_more_is_an_error(
    make: MakeEmbedder, daemon: FakeOllama
) -> None:
    daemon.reply("/api/embed", status=400, error=TOO_LONG, times=9)
    with pytest.raises(ContextOverflow, match="even a few characters"):
        await each(make(), [passage("word")])


async def test_an_answer_with_too_few_vectors_is_an_error(
    make: MakeEmbedder, daemon: FakeOllama
) -> None:
    daemon.reply("/api/embed", {"model": EMBEDDER, "embeddings": [[1.0]]})
    with pytest.raises(DaemonError, match="1 vectors for 2 texts"):
        await each(make(), passages(2))


async def test_a_cancel_stops_the_request_and_keeps_what_was_done(
    make: MakeEmbedder, daemon: FakeOllama
) -> None:
    daemon.reply("/api/embed", {"model": EMBEDDER, "embeddings": [[1.0]] * BATCH})
    daemon.reply("/api/embed", delay=60)
    work = asyncio.create_task(each(make(), passages(2 * BATCH)))
    await daemon.until(lambda: len(asked(daemon)) == 2)
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work
    assert work.cancelled()
    await daemon.until(lambda: daemon.requests[-1].closed_early)
    await each(make(), passages(2 * BATCH))
    assert [texts[0] for texts in asked(daemon)] == ["text 0", f"text {BATCH}", f"text {BATCH}"]
