"""How vectors, and the passages that a search finds, are shown."""

import re
from typing import Any

from pydantic import Field

from ..daemon.results import Result, Usage
from ..delegation.search.embedder import Embedder
from ..delegation.search.passages import Passage
from ..delegation.search.vectors import Vector

#: Vectors are given to this many significant digits: more than float32 holds would be noise.
DIGITS = 7
#: Numbers in one answer, at most: about 500 kB, what Python's clients take in one message.
MAX_NUMBERS = 40_000


class Found(Result):
    """A passage: of a file by its lines, of an input by its characters."""

    text: str | None = None
    source: str
    lines: str | None = None
    start: int | None = None
    end: int | None = None
    score: float | None = None

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return f"{self.source}:{self.lines or f'{self.start}-{self.end}'}"


class Embedded(Result):
    """Passages, best first; or vectors, one for each input or passage, in their order."""

    results: list[Found] | None = None
    embeddings: list[list[float]] | None = Field(None, description="One L2-normalised vector each.")
    count: int
    dimensions: int
    model: str
    usage: Usage
    warnings: list[str] | None = None


def embedded(embedder: Embedder, count: int, vector: Vector, **found: Any) -> Embedded:
    """Return the result; `vector` is one of those that were made."""
    final = embedder.final
    return Embedded(
        **found,
        count=count,
        dimensions=len(vector),
        model=final.get("model") or embedder.model,
        usage=Usage(prompt_tokens=final.get("prompt_eval_count") or 0, completion_tokens=0),
        warnings=None if count else ["there is no text to embed"],
    )


def found_of(passage: Passage, **more: Any) -> Found:
    """Return a passage by its place, and what more is said of it."""
    first, last = passage.lines
    place: dict[str, Any] = {"lines": f"{first}-{last}" if last > first else str(first)}
    if re.fullmatch(r"input\[\d+\]", passage.source):
        place = {"start": passage.start, "end": passage.end}
    return Found(source=passage.source, **place, **more)


def text_of(said: Embedded) -> str:
    """Return the result as text."""
    if said.embeddings is not None:
        places = [f"{found.place} " for found in said.results or ()] or [""] * said.count
        vectors = [str(vector).replace(" ", "") for vector in said.embeddings]
        lines = [f"{said.count} vectors of {said.dimensions} dimensions from {said.model}:"]
        lines += [place + vector for place, vector in zip(places, vectors, strict=True)]
        return "\n".join(lines)
    if said.results is not None:
        return "\n\n".join(f"{hit.place} ({hit.score})\n{hit.text}" for hit in said.results)
    return (
        f"{said.count} passages are embedded by {said.model}, and remembered for a query; "
        "vectors: true returns their vectors"
    )


def room(vector: Vector) -> int:
    """Return how many vectors of this length fit in one answer."""
    return max(1, MAX_NUMBERS // max(1, len(vector)))


def rounded(vectors: list[Vector]) -> list[list[float]]:
    """Return vectors with as many digits as they hold."""
    return [[float(f"{x:.{DIGITS}g}") for x in vector] for vector in vectors]
