"""Passages as vectors, in batches and remembered."""

from __future__ import annotations

import asyncio
import hashlib
import json
from array import array
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...daemon.wire import Part
from ...errors import ContextOverflow, DaemonError
from ...progress import Progress
from .passages import Passage, cut_again
from .vectors import Vector, Vectors

if TYPE_CHECKING:
    from ...daemon.client import Client

#: Passages in one request, and tokens in it, at most: larger ones are no faster, and progress and
#: cancelling wait for them.
BATCH = 16
BATCH_TOKENS = 4_096
#: What stands for the vector of a passage that the model refused as too long.
REFUSED: Vector = array("f")
#: Counts of the daemon's final parts that add up.
_SUMS = ("prompt_eval_count", "total_duration", "load_duration")


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
