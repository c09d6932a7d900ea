"""Passages, and embedders of them."""

from __future__ import annotations

from collections.abc import Callable

from ollama_mcp_server.delegation.search.embedder import Embedder
from ollama_mcp_server.delegation.search.passages import Passage, count

MakeEmbedder = Callable[..., Embedder]


def passage(text: str, source: str = "it") -> Passage:
    return Passage(source, text, 0, (1, 1), count(text))


def passages(number: int) -> list[Passage]:
    return [passage(f"text {at}") for at in range(number)]
