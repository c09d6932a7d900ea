"""What is made of texts: vectors, passages embedded, or those nearest to a query."""

import sys
from array import array
from contextlib import aclosing

from ..app import App
from ..daemon.wire import Part
from ..delegation.search.embedder import Embedder
from ..delegation.search.passages import Passage
from ..delegation.search.prefixes import prefixes
from ..delegation.search.ranking import rank
from ..delegation.search.vectors import Vector
from ..delegation.search.windows import passages_of
from ..errors import ContextOverflow
from ._embeddings import Embedded, embedded, found_of, room, rounded

#: Tokens of a passage that is searched: a longer one is about too much, and costs its reader more.
PASSAGE = 256
#: Texts to embed, each with its name.
Texts = list[tuple[str, str]]


async def vectors_of(embedder: Embedder, texts: list[str], truncate: bool) -> Embedded:
    """Return a vector for each text."""
    try:
        found = await embedder.ask(texts, truncate=truncate)
    except ContextOverflow as error:
        error.hint = (
            "Send vectors: true for a vector of each passage that fits, or a query to search it; "
            "or raise options.num_ctx as far as the model allows"
        )
        raise
    kept = found[: room(found[0])]
    said = embedded(embedder, len(kept), kept[0], embeddings=rounded(kept))
    if len(kept) < len(found):
        said.warnings = [
            f"only the first {len(kept)} of {len(found)} vectors are here, more do not "
            "fit in one answer; send the other texts in further calls"
        ]
    return said


async def nearest(
    app: App, embedder: Embedder, row: Part | None, texts: Texts, query: str, top_k: int
) -> Embedded:
    """Return the passages that come nearest to the query."""
    wants = prefixes(embedder.model, _family(row))
    try:
        [wanted] = await embedder.ask([wants.query + query])
    except ContextOverflow as error:
        error.hint = "Shorten the query"
        raise
    passages = await passages_of(texts, PASSAGE, embedder, app.catalog, row)
    best, compared = await rank(embedder, wanted, passages, top_k, wants.document)
    found = [found_of(part, text=part.text, score=round(score, 4)) for score, part in best]
    return embedded(embedder, compared, wanted, results=found)


async def passages_embedded(
    app: App, embedder: Embedder, row: Part | None, texts: Texts, vectors: bool
) -> Embedded:
    """Return the vectors of the passages of texts, or only embed them for the next query."""
    await embedder.ask([])  # loads the model, so that its window is known
    prefix = "" if vectors else prefixes(embedder.model, _family(row)).document
    size = sys.maxsize if vectors else PASSAGE
    passages = await passages_of(texts, size, embedder, app.catalog, row)
    kept: list[tuple[Passage, Vector]] = []
    done, vector, is_whole = 0, array("f"), False
    async with aclosing(embedder.each(passages, prefix)) as found:
        async for passage, vector in found:
            done += 1
            if vectors:
                kept.append((passage, vector))
                if done == room(vector):
                    break
        else:
            is_whole = True
    if not vectors:
        return embedded(embedder, done, vector)
    said = embedded(
        embedder,
        done,
        vector,
        results=[found_of(passage) for passage, _ in kept],
        embeddings=rounded([vector for _, vector in kept]),
    )
    if not is_whole:
        said.warnings = [
            f"only the first {done} of about {len(passages)} vectors are here, more do not fit in "
            "one answer; send fewer files, or a query instead"
        ]
    return said


def _family(row: Part | None) -> str:
    return str(((row or {}).get("details") or {}).get("family"))
