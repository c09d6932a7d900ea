"""A batch at work: its items, the requests, the file of its results, and the asking."""

from functools import partial
from typing import Any

import anyio

from ..app import App
from ..daemon.wire import Part
from ..delegation.answer import Answer, waiting_phase
from ..delegation.batch.engine import run_batch
from ..delegation.batch.journal import Journal, open_journal
from ..delegation.batch.ledger import Ledger
from ..delegation.batch.template import Item, Template
from ..delegation.choice import needs_of
from ..delegation.inputs.files import read_files
from ..errors import InvalidArgument, OllamaMCPError
from ..progress import Progress
from ._answers import remarks


async def items_of(
    app: App, items: list[Any] | None, files: list[str] | None, skipped: list[str]
) -> list[Item]:
    """Return what the prompt is asked about; `skipped` takes what is left out of globs.

    Raises:
        InvalidArgument: neither items nor files were given, or both.
    """
    if bool(items) == bool(files):
        raise InvalidArgument(
            "items or files must be given" + (", not both" if items else ", with something in it"),
            'As in items: ["first", "second"], or files: ["docs/*.md"]',
        )
    if items:
        return [Item.of(value) for value in items]
    documents = await read_files(app.roots, files or [], skipped)
    return [Item.of_file(document.name, document.text) for document in documents]


def names_of(model: str | None, models: list[str] | None) -> list[str | None]:
    """Return the names of the models that are asked; None is for one that is to be chosen.

    Raises:
        InvalidArgument: both ways of naming them were used.
    """
    if model and models:
        raise InvalidArgument("model and models were both given", "Give one of them")
    return [*models] if models else [model]


async def bodies_of(
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


async def journal_of(
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


async def run(
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
