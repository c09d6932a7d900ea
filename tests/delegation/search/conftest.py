"""Embedders of one server."""

from __future__ import annotations

import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.delegation.search.embedder import Embedder
from ollama_mcp_server.delegation.search.vectors import Vectors
from ollama_mcp_server.progress import Progress
from tests.conftest import EMBEDDER
from tests.delegation.search.made import MakeEmbedder


@pytest.fixture
async def make(app: App) -> MakeEmbedder:
    """Make embedders that share what they remember, of one server."""
    vectors = Vectors()

    def embedder(version: str = "1", progress: Progress | None = None, **said: object) -> Embedder:
        body = {"model": EMBEDDER, **said}
        return Embedder(app.client, body, version, vectors, progress or Progress(None, ""))

    return embedder
