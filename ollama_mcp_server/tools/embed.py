"""Turn text into vectors."""

from typing import Annotated, Any

from fastmcp import Context
from fastmcp.tools import ToolResult, tool
from pydantic import BeforeValidator, Field

from ..app import App
from ..daemon.results import Embedding, Usage, meta
from ..delegation.answer import waiting_phase
from ..delegation.deadline import deadline
from ..schemas import published
from ._answers import named, option_warnings, result
from ._arguments import HIDDEN, TEXTS, KeepAlive, LoadOptions, OptionalModel, Timeout, shown
from ._hints import ASKS
from ._reading import to_texts

#: Vectors are given to this many significant digits: more than float32 holds would be noise.
DIGITS = 7
#: Numbers in one answer, at most: about 500 kB, what Python's clients take in one message.
MAX_NUMBERS = 40_000


@tool(
    title="Embed text with a local model",
    annotations=ASKS,
    tags={"chat"},
    output_schema=published(Embedding),
)
async def ollama_embed(
    ctx: Context,
    input: Annotated[
        Any,
        BeforeValidator(to_texts),
        shown(
            TEXTS,
            "A text, or a list of texts: one vector each. One longer than the window is an error.",
        ),
    ],
    model: OptionalModel = None,
    dimensions: Annotated[
        int | None,
        Field(
            ge=1,
            description="Length to cut vectors to; default the model's.",
        ),
    ] = None,
    options: LoadOptions = None,
    keep_alive: KeepAlive = None,
    timeout: Timeout = None,
    truncate: Annotated[
        bool | None,
        Field(
            description="true cuts a text that is longer than the model's window; default false: "
            "an error.",
            json_schema_extra=HIDDEN,
        ),
    ] = None,
) -> ToolResult:
    """Turn texts into embedding vectors with a local embedding model.

    Use for semantic search, clustering or deduplication; not to get an answer in words (use
    ollama_generate). Needs a model with the capability embedding (see ollama_list), which the
    first call loads in a second; nothing leaves the daemon. Vectors are L2-normalised, so
    their dot product is the cosine; those of two models do not compare, so name the model. Each is
    hundreds of numbers that your context pays for: send few texts (40,000 numbers fit).
    Returns embeddings in the order of the input.
    """
    app = App.of(ctx)
    model, notes = await named(app, model, ["embedding"])
    given = {
        "dimensions": dimensions,
        "keep_alive": keep_alive,
        "options": options.sent() if options else None,
    }
    body = {
        "model": model,
        "input": input,
        "truncate": bool(truncate),
        **{name: value for name, value in given.items() if value is not None},
    }
    look = waiting_phase(model, app.catalog.running)
    async with app.progress(ctx, f"embedding with {model}", look) as progress:
        with deadline(timeout):
            answer = await app.client.request("POST", "/api/embed", body, waiting=progress.waits)
    vectors = [[float(f"{x:.{DIGITS}g}") for x in vector] for vector in answer["embeddings"]]
    length = len(vectors[0]) if vectors else 0
    warnings = notes + option_warnings(options)
    if len(vectors) * length > MAX_NUMBERS:
        kept = max(1, MAX_NUMBERS // length)
        warnings.append(
            f"only the first {kept} of {len(vectors)} vectors are here, more do not "
            "fit in one answer; send the other texts in further calls"
        )
        vectors = vectors[:kept]
    said = Embedding(
        embeddings=vectors,
        count=len(vectors),
        dimensions=length,
        model=answer.get("model") or model,
        warnings=warnings or None,
        usage=Usage(prompt_tokens=answer.get("prompt_eval_count") or 0, completion_tokens=0),
    )
    lines = [f"{len(vectors)} vectors of {length} dimensions from {said.model}:"]
    lines += [str(vector).replace(" ", "") for vector in vectors]
    return result(said, "\n".join(lines), meta(answer))
