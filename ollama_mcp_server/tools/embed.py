"""Turn text into vectors, and search by them."""

import re
import secrets
import sys
from array import array
from contextlib import aclosing
from typing import Annotated, Any

from fastmcp import Context
from fastmcp.tools import ToolResult, tool
from pydantic import BeforeValidator, Field, StringConstraints

from ..app import App
from ..daemon.options import Options
from ..daemon.results import Result, Usage, meta
from ..daemon.wire import Part
from ..delegation.answer import waiting_phase
from ..delegation.deadline import deadline
from ..delegation.search.passages import Passage
from ..delegation.search.ranking import Embedder, Vector, passages_of, prefixes, rank
from ..errors import ContextOverflow, InvalidArgument
from ..schemas import published
from ._answers import given, option_warnings, result
from ._arguments import HIDDEN, OPEN_OBJECT, TEXTS, OptionalModel, QuietKeepAlive, Timeout, shown
from ._hints import ASKS
from ._reading import from_json, to_texts

#: Vectors are given to this many significant digits: more than float32 holds would be noise.
DIGITS = 7
#: Numbers in one answer, at most: about 500 kB, what Python's clients take in one message.
MAX_NUMBERS = 40_000
#: Tokens of a passage that is searched: a longer one is about too much, and costs its reader more.
PASSAGE = 256
#: Passages in an answer, at most: about 40 kB.
MOST = 30

#: How paths are published; one path alone is accepted too.
_PATHS = {"type": "array", "items": {"type": "string"}}

#: Texts to embed, each with its name.
Texts = list[tuple[str, str]]


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


@tool(
    title="Embed or search text with a local model",
    annotations=ASKS,
    tags={"chat"},
    output_schema=published(Embedded),
)
async def ollama_embed(
    ctx: Context,
    input: Annotated[
        Any,
        BeforeValidator(to_texts),
        shown(TEXTS, "A text, or a list of texts: one vector each."),
    ] = None,
    files: Annotated[
        Any,
        BeforeValidator(to_texts),
        shown(_PATHS, "Files to search, in the allowed folders: notes/**/*.md."),
    ] = None,
    query: Annotated[
        Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] | None,
        Field(description="What to search for: returns passages, no vectors."),
    ] = None,
    top_k: Annotated[
        int, Field(ge=1, le=MOST, description="Passages to return, 1 to 30; default 5.")
    ] = 5,
    model: OptionalModel = None,
    dimensions: Annotated[
        int | None,
        Field(ge=1, description="Length to cut vectors to.", json_schema_extra=HIDDEN),
    ] = None,
    options: Annotated[
        Options | None,
        BeforeValidator(from_json),
        shown(
            OPEN_OBJECT | HIDDEN, 'Options of the load: {"num_ctx": 8192}, the window in tokens.'
        ),
    ] = None,
    keep_alive: QuietKeepAlive = None,
    vectors: Annotated[
        bool | None,
        Field(
            description="true splits long inputs and files, and returns a vector for each passage, "
            "with its place; default false: a long input is an error, files are only counted.",
            json_schema_extra=HIDDEN,
        ),
    ] = None,
    timeout: Timeout = None,
    truncate: Annotated[
        bool | None,
        Field(
            description="true cuts an input that is longer than the model's window; default "
            "false: an error.",
            json_schema_extra=HIDDEN,
        ),
    ] = None,
) -> ToolResult:
    """Search files and texts by meaning, or get vectors, with a local embedding model.

    Use with query to find the passages nearest to it, without reading the files: long text is
    split at sentence ends, its vectors stay here. Without query, each input becomes an
    L2-normalised vector: hundreds of numbers that your context pays for. For an answer in words
    use ollama_generate. Needs a model with the capability embedding (see ollama_list).
    Returns results (text, source, lines, score), best first, or embeddings in input order.
    """
    app = App.of(ctx)
    if input is None and files is None:
        raise InvalidArgument("there is nothing to embed", "Give input, files, or both")
    if query is not None and vectors:
        raise InvalidArgument("with query, no vectors are returned", "Leave query or vectors out")
    skipped: list[str] = []
    is_plain = files is None and query is None and not vectors
    texts = [(f"input[{number}]", text) for number, text in enumerate(input or ())]
    async with app.progress(ctx, "choosing a model") as progress:
        with deadline(timeout):
            choice, row = await app.delegate.choose(model, ["embedding"], progress)
            if files is not None:
                from ..delegation.inputs.files import read_files

                progress.update("reading files")
                read = await read_files(app.roots, files, skipped)
                texts += [(file.name, file.text) for file in read]
            progress.watch(
                f"embedding with {choice.model}", waiting_phase(choice.model, app.catalog.running)
            )
            sent = options.sent() if options else None
            body = choice.applied(given(dimensions=dimensions, options=sent, keep_alive=keep_alive))
            body.pop("system", None)  # a profile's, which is not for embedding
            unload = not is_plain and body.get("keep_alive") in (0, "0s", "0m")
            if unload:
                del body["keep_alive"]  # it means after the last request
            version = str(row["digest"]) if row else secrets.token_hex()
            embedder = Embedder(app.client, body, version, app.vectors, progress)
            if is_plain:
                said = await _each(embedder, [text for _, text in texts], bool(truncate))
            elif query is not None:
                said = await _ranked(app, embedder, row, texts, query, top_k)
            else:
                said = await _passages(app, embedder, row, texts, bool(vectors))
            if unload:
                await embedder.unload()
    why = [f"no model was named; {choice.model} answered: {choice.why}"] if choice.why else []
    said.warnings = [*why, *skipped, *option_warnings(options), *(said.warnings or ())] or None
    return result(said, _told(said), meta(embedder.final))


async def _each(embedder: Embedder, texts: list[str], truncate: bool) -> Embedded:
    """Return a vector for each text."""
    try:
        found = await embedder.ask(texts, truncate=truncate)
    except ContextOverflow as error:
        error.hint = (
            "Send vectors: true for a vector of each passage that fits, or a query to search it; "
            "or raise options.num_ctx as far as the model allows"
        )
        raise
    kept = found[: _room(found[0])]
    said = _said(embedder, len(kept), kept[0], embeddings=_rounded(kept))
    if len(kept) < len(found):
        said.warnings = [
            f"only the first {len(kept)} of {len(found)} vectors are here, more do not "
            "fit in one answer; send the other texts in further calls"
        ]
    return said


async def _ranked(
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
    found = [_found(part, text=part.text, score=round(score, 4)) for score, part in best]
    return _said(embedder, compared, wanted, results=found)


async def _passages(
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
                if done == _room(vector):
                    break
        else:
            is_whole = True
    if not vectors:
        return _said(embedder, done, vector)
    said = _said(
        embedder,
        done,
        vector,
        results=[_found(passage) for passage, _ in kept],
        embeddings=_rounded([vector for _, vector in kept]),
    )
    if not is_whole:
        said.warnings = [
            f"only the first {done} of about {len(passages)} vectors are here, more do not fit in "
            "one answer; send fewer files, or a query instead"
        ]
    return said


def _said(embedder: Embedder, count: int, vector: Vector, **found: Any) -> Embedded:
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


def _found(passage: Passage, **more: Any) -> Found:
    first, last = passage.lines
    place: dict[str, Any] = {"lines": f"{first}-{last}" if last > first else str(first)}
    if re.fullmatch(r"input\[\d+\]", passage.source):
        place = {"start": passage.start, "end": passage.end}
    return Found(source=passage.source, **place, **more)


def _told(said: Embedded) -> str:
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


def _family(row: Part | None) -> str:
    return str(((row or {}).get("details") or {}).get("family"))


def _room(vector: Vector) -> int:
    """Return how many vectors of this length fit in one answer."""
    return max(1, MAX_NUMBERS // max(1, len(vector)))


def _rounded(vectors: list[Vector]) -> list[list[float]]:
    return [[float(f"{x:.{DIGITS}g}") for x in vector] for vector in vectors]
