"""Run one prompt over many items."""

from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any

import anyio
from fastmcp import Context
from fastmcp.tools import ToolResult, tool
from pydantic import BeforeValidator, Field

from ..app import App
from ..daemon.wire import Part
from ..delegation.answer import Answer, waiting_phase
from ..delegation.batch.engine import run_batch
from ..delegation.batch.journal import Journal, open_journal
from ..delegation.batch.ledger import Ledger
from ..delegation.batch.template import Item, Template, parse
from ..delegation.choice import needs_of
from ..delegation.inputs.files import read_files
from ..errors import InvalidArgument, OllamaMCPError
from ..progress import Progress
from ..schemas import published
from ._answers import given, option_warnings, remarks
from ._arguments import (
    HIDDEN,
    Format,
    ModelOptions,
    OptionalModel,
    shown,
)
from ._batches import Batch, answered, batch_result, batch_warnings, text_of
from ._hints import LOADS, LONG, MEMORY
from ._reading import from_json, to_keep_alive, to_texts, to_think

#: What is shown of a list of names, for which a single one does as well.
NAMES = {"type": "array", "items": {"type": "string"}}
#: Characters of results that are answered where the caller does not say.
CHARACTERS = 8000


def to_items(value: Any) -> Any:
    """Return a list of texts and objects."""
    value = from_json(value)
    if value is None or (
        isinstance(value, list) and all(isinstance(item, str | dict) for item in value)
    ):
        return value
    raise ValueError('must be a list of texts or objects, such as ["a", "b"] or [{"title": "a"}]')


@tool(
    title="Run one prompt over many items",
    annotations=LOADS,
    tags={"chat", LONG, MEMORY},
    output_schema=published(Batch),
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
        asked = await _items(app, items, files, skipped)
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
        bodies, notes = await _bodies(app, _names(model, models), body, progress)
        names = [body["model"] for body in bodies]
        with ExitStack() as stack:
            journal = None
            if output is not None:
                journal = stack.enter_context(await _open(app, output, prompt, bodies, asked))
            ledger = Ledger(asked, names, journal)
            progress.so_far = lambda: text_of(answered(ledger, max_result_chars)[0])
            stack.callback(ledger.close)
            stopped = [
                await _run(app, ledger, template, body, progress, retries, timeout)
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
    return batch_result(app, ctx, ledger, output, max_result_chars, warnings)


async def _items(
    app: App, items: list[Any] | None, files: list[str] | None, skipped: list[str]
) -> list[Item]:
    """Return what the prompt is asked about."""
    if bool(items) == bool(files):
        raise InvalidArgument(
            "items or files must be given" + (", not both" if items else ", with something in it"),
            'As in items: ["first", "second"], or files: ["docs/*.md"]',
        )
    if items:
        return [Item.of(value) for value in items]
    documents = await read_files(app.roots, files or [], skipped)
    return [Item.of_file(document.name, document.text) for document in documents]


def _names(model: str | None, models: list[str] | None) -> list[str | None]:
    if model and models:
        raise InvalidArgument("model and models were both given", "Give one of them")
    return [*models] if models else [model]


async def _bodies(
    app: App, names: list[str | None], body: Part, progress: Progress
) -> tuple[list[Part], list[str]]:
    """Return the request for each model, with its profile applied, and a note on a chosen one."""
    bodies: dict[str, Part] = {}
    notes = []
    for name in names:
        choice, _ = await app.delegate.choose(name, needs_of(body), progress)
        bodies.setdefault(choice.model, choice.applied(body))
        if choice.why:
            notes.append(f"no model was named; {choice.model} answers: {choice.why}")
    return list(bodies.values()), notes


async def _open(
    app: App, output: str, prompt: str, bodies: list[Part], items: list[Item]
) -> Journal:
    """Open the file that takes the results; it belongs to one prompt, with all that shapes it."""
    request = {
        "prompt": prompt,
        "system": [body["messages"][:-1] for body in bodies],
        "format": bodies[0].get("format"),
        "options": [body.get("options") or {} for body in bodies],
        "think": bodies[0].get("think"),
    }

    def opened() -> Journal:
        path = app.roots.writable(output)
        return open_journal(
            partial(app.roots.open, path),
            app.roots.name(path),
            [body["model"] for body in bodies],
            request,
            [item.fields for item in items],
        )

    return await anyio.to_thread.run_sync(opened)


async def _run(
    app: App,
    ledger: Ledger,
    template: Template,
    body: Part,
    progress: Progress,
    retries: int,
    timeout_ms: int | None,
) -> OllamaMCPError | None:
    """Ask one model for all items; models take no turns, for each turn would load one."""
    model = body["model"]

    async def ask(prompt: str) -> Answer:
        messages = [*body["messages"][:-1], {"role": "user", "content": prompt}]
        silent = Progress(None, "")  # each would tell of its own tokens
        return await app.delegate.ask(
            "/api/chat",
            {**body, "messages": messages},
            silent,
            retries=retries,
            timeout_ms=timeout_ms,
        )

    def take(index: int, result: Answer | OllamaMCPError) -> None:
        noted = [*result.warnings, *remarks(result)] if isinstance(result, Answer) else ()
        ledger.take(model, index, result, noted)
        progress.update(ledger.message, ledger.done + ledger.failed, ledger.total)

    progress.watch(f"asking {model}", waiting_phase(model, app.catalog.running))
    return await run_batch(ledger.prompts(model, template), ask, take)
