"""Run one prompt over many items."""

from contextlib import ExitStack
from typing import Annotated, Any

from fastmcp import Context
from fastmcp.tools import ToolResult
from pydantic import BeforeValidator, Field

from ..app import App
from ..delegation.batch.ledger import Ledger
from ..delegation.batch.template import parse
from ..tool import tool
from ._answers import given, option_warnings
from ._arguments import HIDDEN, Format, ModelOptions, OptionalModel, shown
from ._batch_results import Batch, answered, batch_result, batch_warnings, text_of
from ._batch_work import bodies_of, items_of, journal_of, names_of, run
from ._hints import LOADS, LONG, MEMORY
from ._reading import to_items, to_keep_alive, to_texts, to_think

#: What is shown of a list of names, for which a single one does as well.
NAMES = {"type": "array", "items": {"type": "string"}}
#: Characters of results that are answered where the caller does not say.
CHARACTERS = 8000


@tool(
    title="Run one prompt over many items",
    annotations=LOADS,
    tags={"chat", LONG, MEMORY},
    returns=Batch,
)
async def ollama_batch(
    ctx: Context,
    prompt: Annotated[
        str,
        Field(
            description="The task, with {item}, a field of an object as {field}, or a file's "
            "{name} and {content}; without any, the item follows it."
        ),
    ],
    items: Annotated[
        Any,
        BeforeValidator(to_items),
        shown(
            {
                "type": "array",
                "items": {"anyOf": [{"type": "string"}, {"type": "object"}]},
            },
            "Texts, or objects; or give files.",
        ),
    ] = None,
    files: Annotated[
        Any,
        BeforeValidator(to_texts),
        shown(NAMES, "Files in place of items: paths or globs."),
    ] = None,
    model: OptionalModel = None,
    models: Annotated[
        Any,
        BeforeValidator(to_texts),
        shown(NAMES, "Models to compare."),
    ] = None,
    system: Annotated[str | None, Field(description="System prompt for every item.")] = None,
    format: Format = None,
    options: ModelOptions = None,
    output: Annotated[
        str | None,
        Field(description="JSON Lines file to write each result to, in an allowed folder."),
    ] = None,
    max_result_chars: Annotated[
        int,
        Field(ge=0, description="Most characters of results; default 8000."),
    ] = CHARACTERS,
    think: Annotated[
        Any,
        BeforeValidator(to_think),
        Field(description="As for ollama_chat.", json_schema_extra=HIDDEN),
    ] = None,
    keep_alive: Annotated[
        Any,
        BeforeValidator(to_keep_alive),
        Field(description="As for ollama_chat.", json_schema_extra=HIDDEN),
    ] = None,
    timeout: Annotated[
        int | None,
        Field(
            ge=1,
            description="Milliseconds for each item, its wait in the daemon's queue included.",
            json_schema_extra=HIDDEN,
        ),
    ] = None,
    retries: Annotated[
        int,
        Field(
            ge=0,
            le=10,
            description="Tries after an answer that does not fit the format, default 2.",
            json_schema_extra=HIDDEN,
        ),
    ] = 2,
) -> ToolResult:
    """Run one prompt over many items or files with a local model.

    Use to classify, extract, translate or summarise a whole list in one call; for one prompt use
    ollama_generate. As many run at once as the daemon takes; an item that fails stops no other.
    Give output for more than a few dozen: each result is written there as it comes, and the same
    call again goes on where it stopped. Returns results in the order of the items (with output
    the first 3), done, failed and total, usage.
    """
    app = App.of(ctx)
    template = parse(prompt)
    async with app.progress(ctx, "reading the files" if files else "choosing a model") as progress:
        skipped: list[str] = []
        asked = await items_of(app, items, files, skipped)
        template.check(asked)
        body = given(
            messages=[
                *([{"role": "system", "content": system}] if system else []),
                {"role": "user", "content": prompt},
            ],
            format=format,
            options=options.sent() if options else None,
            think=think,
            keep_alive=keep_alive,
        )
        bodies, notes = await bodies_of(app, names_of(model, models), body, progress)
        names = [body["model"] for body in bodies]
        with ExitStack() as stack:
            journal = None
            if output is not None:
                journal = stack.enter_context(await journal_of(app, output, prompt, bodies, asked))
            ledger = Ledger(asked, names, journal)
            progress.so_far = lambda: text_of(answered(ledger, max_result_chars)[0])
            stack.callback(ledger.close)
            stopped = [
                await run(app, ledger, template, body, progress, retries, timeout)
                for body in bodies
            ]
    errors = [error for error in stopped if error is not None]
    if errors and not ledger.done:
        raise errors[0]
    warnings = [
        *notes,
        *skipped,
        *option_warnings(options),
        *batch_warnings(ledger, errors, output),
    ]
    return await batch_result(app, ctx, ledger, output, max_result_chars, warnings)
