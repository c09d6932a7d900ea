"""Which passages come nearest to a query."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from contextlib import aclosing
from operator import mul

from .embedder import Embedder
from .passages import Passage
from .vectors import Vector


async def rank(
    embedder: Embedder,
    query: Vector,
    passages: Iterable[Passage],
    top_k: int,
    prefix: str = "",
) -> tuple[list[tuple[float, Passage]], int]:
    """Return the passages nearest to a query with their scores, and how many were compared.

    A score is the cosine of the two vectors, -1 to 1. Of equals, the earlier comes first.
    """
    wanted, scored = list(query), []
    async with aclosing(embedder.each(passages, prefix)) as found:
        async for passage, vector in found:
            scored.append((sum(map(mul, wanted, vector)), passage))
    return heapq.nlargest(top_k, scored, key=lambda pair: pair[0]), len(scored)
