"""Passages as vectors, in batches and remembered, and which of them come nearest to a query."""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import json
import re
from array import array
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from operator import mul
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import anyio

from ...daemon.wire import Part
from ...errors import ContextOverflow, DaemonError
from ...progress import Progress
from .passages import Passage, cut, cut_again, fitting

if TYPE_CHECKING:
    from ...daemon.catalog import Catalog
    from ...daemon.client import Client

#: The numbers of a vector, four bytes each.
Vector: TypeAlias = "array[float]"

#: Passages in one request, and tokens in it, at most: larger ones are no faster, and progress and
#: cancelling wait for them.
BATCH = 16
BATCH_TOKENS = 4_096
#: Bytes of vectors that are remembered, and what each takes beside its numbers.
REMEMBERED = 64 * 2**20
OVERHEAD = 256
#: Tokens of a window of which nobody tells anything.
WINDOW = 512
#: What stands for the vector of a passage that the model refused as too long.
REFUSED: Vector = array("f")
#: Counts of the daemon's final parts that add up.
_SUMS = ("prompt_eval_count", "total_duration", "load_duration")


class Prefixes(NamedTuple):
    """What a model wants before a query, and before a passage that is searched."""

    query: str = ""
    document: str = ""


_REPRESENT = "Represent this sentence for searching relevant passages: "
_INSTRUCT = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
)
#: By the models' own cards; the first name that is found counts.
_PREFIXES = (
    (r"nomic-embed-text", Prefixes("search_query: ", "search_document: ")),
    (r"embeddinggemma", Prefixes("task: search result | query: ", "title: none | text: ")),
    (r"qwen3-embedding", Prefixes(_INSTRUCT)),
    (r"arctic-embed(2|.*v2)", Prefixes("query: ")),
    (r"arctic-embed|mxbai-embed|bge-(small|base|large)(?!-zh)", Prefixes(_REPRESENT)),
    (r"\be5-(?!.*(instruct|mistral))", Prefixes("query: ", "passage: ")),
)
#: Families of which one model embeds, whatever name it was given.
_FAMILIES = {
    "nomic-bert": "nomic-embed-text",
    "nomic-bert-moe": "nomic-embed-text",
    "gemma3": "embeddinggemma",
    "gemma-embedding": "embeddinggemma",
    "qwen3": "qwen3-embedding",
}


def prefixes(model: str, family: str = "") -> Prefixes:
    """Return the prefixes for a search with a model, by its name, else by its family."""
    for name in (model.lower(), _FAMILIES.get(family, "")):
        for pattern, found in _PREFIXES:
            if re.search(pattern, name):
                return found
    return Prefixes()


class Vectors:
    """The vectors of texts that were embedded last, up to a number of bytes."""

    def __init__(self, limit: int = REMEMBERED) -> None:
        self._limit = limit
        self._size = 0
        self._vectors: OrderedDict[bytes, Vector] = OrderedDict()

    def get(self, key: bytes) -> Vector | None:
        """Return what is remembered under a key, or None."""
        if key in self._vectors:
            self._vectors.move_to_end(key)
        return self._vectors.get(key)

    def put(self, key: bytes, vector: Vector) -> None:
        """Remember a vector; those that were not asked for longest make room."""
        self._drop(key)
        self._vectors[key] = vector
        self._size += _bytes(vector)
        while self._size > self._limit:
            self._drop(next(iter(self._vectors)))

    def _drop(self, key: bytes) -> None:
        if (vector := self._vectors.pop(key, None)) is not None:
            self._size -= _bytes(vector)


def _bytes(vector: Vector) -> int:
    return len(vector) * vector.itemsize + OVERHEAD


@dataclass
class Embedder:
    """Asks one model for vectors.

    Attributes:
        client: the daemon's client.
        body: what every request says: model, and dimensions, options, keep_alive if given.
        version: the digest of the model, so that what is remembered is its own.
        vectors: what is remembered.
        progress: told how many passages are done.
        final: the daemon's last answer without vectors; its counts are the sums of all.
    """

    client: Client
    body: Part
    version: str
    vectors: Vectors
    progress: Progress
    final: Part = field(default_factory=dict)

    @property
    def model(self) -> str:
        """The model that is asked."""
        return str(self.body["model"])

    async def ask(self, texts: Sequence[str], *, truncate: bool = False) -> list[Vector]:
        """Return the vectors of texts, by one request; of none, it only loads the model.

        Raises:
            ContextOverflow: one of them, the daemon does not say which, is too long, and
                `truncate` does not allow to cut it.
        """
        body = {**self.body, "input": list(texts), "truncate": truncate}
        waits = self.progress.waits
        answer = await self.client.request("POST", "/api/embed", body, waiting=waits)
        found = answer.pop("embeddings", None) or []
        if len(found) != len(texts):
            raise DaemonError(f"Ollama answered {len(found)} vectors for {len(texts)} texts")
        sums = {name: answer.get(name, 0) + self.final.get(name, 0) for name in _SUMS}
        self.final = answer | sums
        return [array("f", vector) for vector in found]

    async def unload(self) -> None:
        """Have the model unloaded; it would be loaded anew for each batch, had they said so."""
        body = {"model": self.model, "input": [], "keep_alive": 0}
        await self.client.request("POST", "/api/embed", body)

    async def each(
        self, passages: Iterable[Passage], prefix: str = ""
    ) -> AsyncGenerator[tuple[Passage, Vector], None]:
        """Yield each passage with its vector, in their order.

        A passage that the model refuses as too long is yielded in parts instead.

        Raises:
            ContextOverflow: one was refused that cannot be cut any more.
        """
        left, done = deque(passages), 0
        while left:
            self._tell(done, len(left))
            batch = _batch(left)
            for vector in await self._vectors_of(batch, prefix):
                if not vector:
                    break
                done += 1
                yield batch.popleft(), vector
            if batch:  # the first was refused; those after it are remembered
                left.extendleft(reversed([*_parts(batch.popleft()), *batch]))
            await asyncio.sleep(0)  # where all are remembered, nothing else gives way
        self._tell(done, 0)

    def _tell(self, done: int, left: int) -> None:
        total = done + left
        self.progress.update(f"embedding: {done} of {total} passages", done, total)

    async def _vectors_of(self, passages: Sequence[Passage], prefix: str) -> list[Vector]:
        """Return the vectors of passages, REFUSED for one that is too long, and remember them."""
        texts = {self._key(prefix + passage.text): prefix + passage.text for passage in passages}
        found = {key: vector for key in texts if (vector := self.vectors.get(key)) is not None}
        new = {key: text for key, text in texts.items() if key not in found}
        for key, vector in zip(new, await self._asked(list(new.values())), strict=True):
            found[key] = vector
            self.vectors.put(key, vector)
        return [found[self._key(prefix + passage.text)] for passage in passages]

    async def _asked(self, texts: Sequence[str]) -> list[Vector]:
        """Return the vectors of texts, REFUSED for one that is too long."""
        if not texts:
            return []
        try:
            return await self.ask(texts)
        except ContextOverflow:
            if len(texts) == 1:
                return [REFUSED]
        # The daemon does not say which, and has embedded the others in vain.
        return [vector for text in texts for vector in await self._asked([text])]

    def _key(self, text: str) -> bytes:
        """Return what a vector depends on; the options, because the window decides on refusals."""
        asked = [self.version, self.body.get("dimensions"), self.body.get("options")]
        return hashlib.sha256((json.dumps(asked) + text).encode(errors="surrogatepass")).digest()


def _batch(left: deque[Passage]) -> deque[Passage]:
    """Take the passages of the next request."""
    batch = deque([left.popleft()])
    tokens = batch[0].tokens
    while left and len(batch) < BATCH and tokens + left[0].tokens <= BATCH_TOKENS:
        tokens += left[0].tokens
        batch.append(left.popleft())
    return batch


def _parts(passage: Passage) -> list[Passage]:
    parts = cut_again(passage)
    if not parts:
        raise ContextOverflow(
            "the model refuses even a few characters as too long",
            "Raise options.num_ctx as far as the model and memory allow",
        )
    return parts


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


async def passages_of(
    texts: Sequence[tuple[str, str]],
    size: int,
    embedder: Embedder,
    catalog: Catalog,
    row: Part | None,
) -> list[Passage]:
    """Return the passages of texts, which fit the window of a model.

    Args:
        texts: the name and the content of each.
        size: tokens that a passage may have, whatever the window.
        embedder: asks the model, which it has loaded by now.
        catalog: knows the window of what is loaded.
        row: the model in the library, if it is there.
    """
    size = min(fitting(await _window(catalog, row, embedder.body)), size)

    def passages() -> list[Passage]:
        return [part for name, text in texts for part in cut(text, size, name)]

    return await anyio.to_thread.run_sync(passages, abandon_on_cancel=True)


async def _window(catalog: Catalog, row: Part | None, body: Part) -> int:
    """Return the window, in tokens, of a model that was just loaded by a request like `body`."""
    maximum = ((row or {}).get("details") or {}).get("context_length") or WINDOW
    window = await catalog.window(body["model"]) or (body.get("options") or {}).get("num_ctx")
    if not window and row and not row.get("remote_host"):  # its runner goes by another name
        window = (await catalog.modelfile(row)).num_ctx
    return min(window or maximum, maximum)
