"""Passages that fit a model."""

from __future__ import annotations

from ollama_mcp_server.app import App
from ollama_mcp_server.delegation.search.passages import cut
from ollama_mcp_server.delegation.search.windows import passages_of
from tests.conftest import EMBEDDER
from tests.delegation.search.made import MakeEmbedder


async def test_passages_fit_the_window_and_the_size(app: App, make: MakeEmbedder) -> None:
    row = await app.catalog.find(EMBEDDER)
    text = [("it", "word " * 2000)]

    async def longest(size: int, **said: object) -> int:
        embedder = make(**said)
        await embedder.ask([])
        found = await passages_of(text, size, embedder, app.catalog, row)
        assert [part.text for part in found] == [
            part.text for part in cut(text[0][1], found[0].tokens)
        ]
        return found[0].tokens

    assert await longest(10_000) == 384
    assert await longest(100) == 100
    assert await longest(10_000, options={"num_ctx": 256}) == 192
