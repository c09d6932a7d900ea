"""Turn text into vectors, and search by them."""

import secrets
from typing import Annotated, Any

from fastmcp import Context
from fastmcp.tools import ToolResult
from pydantic import BeforeValidator, Field, StringConstraints

from ..app import App
from ..daemon.options import Options, is_zero
from ..daemon.results import meta
from ..delegation.answer import waiting_phase
from ..delegation.deadline import deadline
from ..delegation.search.embedder import Embedder
from ..errors import InvalidArgument
from ..tool import tool
from ._answers import given, option_warnings, result
from ._arguments import HIDDEN, OPEN_OBJECT, TEXTS, OptionalModel, QuietKeepAlive, Timeout, shown
from ._embeddings import Embedded, text_of
from ._hints import ASKS
from ._reading import from_json, to_texts
from ._searching import nearest, passages_embedded, vectors_of

#: Passages in an answer, at most: about 40 kB.
MOST = 30

#: How paths are published; one path alone is accepted too.
_PATHS = {"type": "array", "items": {"type": "string"}}


@tool(
    title="Embed or search text with a local model",
    annotations=ASKS,
    tags={"chat"},
    returns=Embedded,
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
            unload = not is_plain and is_zero(body.get("keep_alive"))
            if unload:
                del body["keep_alive"]  # it means after the last request
            version = str(row["digest"]) if row else secrets.token_hex()
            embedder = Embedder(app.client, body, version, app.vectors, progress)
            if is_plain:
                said = await vectors_of(embedder, [text for _, text in texts], bool(truncate))
            elif query is not None:
                said = await nearest(app, embedder, row, texts, query, top_k)
            else:
                said = await passages_embedded(app, embedder, row, texts, bool(vectors))
            if unload:
                await embedder.unload()
    why = [f"no model was named; {choice.model} answered: {choice.why}"] if choice.why else []
    said.warnings = [*why, *skipped, *option_warnings(options), *(said.warnings or ())] or None
    return result(said, text_of(said), meta(embedder.final))
