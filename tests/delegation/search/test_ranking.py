"""The passages that come nearest to a query."""

from __future__ import annotations

import pytest

from ollama_mcp_server.delegation.search.ranking import rank
from tests.delegation.search.made import MakeEmbedder, passage


async def test_the_nearest_come_first(make: MakeEmbedder) -> None:
    given = [passage(text) for text in ("the tax report", "a cat sat", "the cat sat", "stars")]
    embedder = make()
    [query] = await embedder.ask(["the cat sat"])
    best, compared = await rank(embedder, query, given, 2)
    assert compared == 4
    assert [found.text for _, found in best] == ["the cat sat", "a cat sat"]
    assert best[0][0] == pytest.approx(1)
    assert best[0][0] > best[1][0] > 0


async def test_of_equals_the_earlier_comes_first(make: MakeEmbedder) -> None:
    given = [passage("far away"), *(passage("same words", source) for source in "abc")]
    embedder = make()
    [query] = await embedder.ask(["same words"])
    best, _ = await rank(embedder, query, given, 3)
    assert [found.source for _, found in best] == ["a", "b", "c"]
    assert (await rank(embedder, query, [], 3)) == ([], 0)
