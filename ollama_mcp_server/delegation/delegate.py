"""One who asks models, so that the answer can be relied on: the right model, the whole prompt."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from ..daemon.catalog import Modelfile, full_name
from ..daemon.options import is_zero
from ..daemon.refusals import lacking, overflow
from ..daemon.wire import Part
from ..errors import ContextOverflow, DaemonError, OllamaMCPError
from ..progress import Progress
from .answer import Answer, Heard, collect, said, waiting_phase
from .choice import Choice, choose, needs_of, resolve
from .context import Known, bound, kept, limit_of, overran, plan, raised
from .deadline import deadline
from .structured.ask import ask_for_data
from .structured.grammar import to_grammar
from .structured.schema import check_schema
from .transfer import transfer

if TYPE_CHECKING:
    from ..daemon.catalog import Catalog
    from ..daemon.client import Client
    from ..settings import Settings

#: A request that says nothing of a load took less to reach its runner, in nanoseconds.
LOADED_ANEW = 50_000_000
#: Fields of a request that its load must have as well.
_LOADS = ("model", "options", "keep_alive")


class Delegate:
    """Asks the models of one daemon, on behalf of every tool."""

    def __init__(self, client: Client, catalog: Catalog, settings: Settings) -> None:
        self._client = client
        self._catalog = catalog
        self._settings = settings
        #: Windows of models that we loaded for requests that forbid a shift.
        self._unshifting: dict[str, int | None] = {}

    async def ask(
        self,
        path: str,
        body: Part,
        progress: Progress,
        *,
        retries: int = 2,
        timeout_ms: int | None = None,
        heard: Heard | None = None,
    ) -> Answer:
        """Ask a model and return its whole answer, with what its reader must know of it.

        Args:
            path: `/api/chat` or `/api/generate`.
            body: the request, by Ollama's names; None stands for what was not given. Without
                `model` one is chosen.
            progress: told of each phase and of every token.
            retries: how often an answer that does not fit a schema is asked for again.
            timeout_ms: milliseconds after which the work is stopped; None waits for ever.
            heard: hears every part of the answer as it comes.

        Raises:
            ContextOverflow: the prompt is longer than any window that it may have.
            TimedOut: the time is up.
            OllamaMCPError: whatever else went wrong; `details.content` has what had been said.
        """
        answer = Answer(heard=heard)
        progress.so_far = lambda: answer.content
        try:
            with deadline(timeout_ms):
                body = await self._prepared(body, answer, progress)
                if body.get("format") is None:
                    await self._ask(path, body, answer, progress)
                else:
                    await self._ask_for_data(path, body, answer, progress, retries)
        except OllamaMCPError as error:
            error.details.update(said(answer))
            raise
        return answer

    async def choose(
        self, model: str | None, needs: list[str], progress: Progress
    ) -> tuple[Choice, Part | None]:
        """Return the model of a call with the reason for it, and its row in the library.

        A name may be an alias or a profile of the settings. One that is not installed is pulled
        where the settings allow it; else it has no row, and the daemon will say so.

        Raises:
            CapabilityMissing: the model cannot do what the call needs.
        """
        settings = self._settings
        if model is None and settings.auto_pull and settings.model:
            await self._row(resolve(settings.model, settings).model, progress)
        if model is None:
            local = self._client.address.is_loopback
            choice = await choose(self._catalog, needs, settings, local=local)
        else:
            choice = resolve(model, settings)
        row = await self._row(choice.model, progress)
        able = (row or {}).get("capabilities")
        missing = [need for need in needs if able and need not in able]
        if missing:
            raise lacking(choice.model, missing[0])
        return choice, row

    async def _row(self, model: str, progress: Progress) -> Part | None:
        """Return the row of a model, which is pulled first if that is allowed and necessary."""
        row = await self._catalog.find(model)
        if row is None and self._settings.auto_pull:
            body = {"model": model}
            await transfer(self._client, "/api/pull", body, progress=progress, aside=True)
            self._catalog.forget()
            row = await self._catalog.find(model)
        return row

    async def _prepared(self, body: Part, answer: Answer, progress: Progress) -> Part:
        """Return the request with its model, and with the settings of that model's profile."""
        body = {name: value for name, value in body.items() if value is not None}
        choice, _ = await self.choose(body.get("model"), needs_of(body), progress)
        if choice.why:
            answer.warnings.append(f"no model was named; {choice.model} answered: {choice.why}")
        body = choice.applied(body)
        progress.watch(f"asking {choice.model}", waiting_phase(choice.model, self._catalog.running))
        if body.get("think") is False and body.get("format") is not None:
            # Together they switch the schema off on some models (ollama/ollama#14645, #15260).
            del body["think"]
            answer.warnings.append("think: false was left out: it can switch the format off")
        return body

    async def _ask_for_data(
        self, path: str, body: Part, answer: Answer, progress: Progress, retries: int
    ) -> None:
        """Ask until the answer is JSON that fits the schema, as often as allowed."""
        schema = body["format"] if isinstance(body["format"], dict) else None
        if schema is not None:
            # In a thread: a large schema takes a second, and jsonschema's import a tenth of one.
            body["format"], answer.notes = await anyio.to_thread.run_sync(sent_schema, schema)
        if any(body.get(name) for name in ("raw", "suffix", "context")):
            retries = 0  # what would be added stands in no place of the prompt

        async def again(corrections: list[tuple[str, str]]) -> Answer:
            answer.clear()
            await self._ask(path, corrected(body, corrections), answer, progress)
            return answer

        await ask_for_data(again, schema, retries)

    async def _ask(self, path: str, body: Part, answer: Answer, progress: Progress) -> None:
        """Ask once, in a window that holds the prompt."""
        row = await self._catalog.find(body["model"])
        if row is None or row.get("remote_host"):
            body = {"truncate": False, "shift": False, **body}
            await collect(self._client, path, body, answer, progress)
            return
        options = body.get("options") or {}
        known = await self._known(row, body, progress)
        before = known.window
        while True:
            planned = plan(body, known) if asks(body) else kept(known, options)
            sent = planned.applied(body)
            try:
                await collect(self._client, path, sent, answer, progress)
                break
            except ContextOverflow as error:
                larger = self._larger(error, options, known, planned.num_ctx)
                known = replace(known, window=larger, loaded=True)
        asked_for = planned.num_ctx or options.get("num_ctx") or known.window
        window = await self._window(asked_for, known, answer)
        answer.window = window
        self._unshifting[full_name(body["model"])] = window if sent.get("shift") is False else None
        if window and before and planned.num_ctx and window > before:
            answer.warnings.append(
                f"the context window was raised from {before} to {window} tokens for this prompt"
            )
        if sent.get("shift") is None and overran(window, answer.final):
            answer.warnings.append(
                f"the window of {window} tokens was full, and the start of the prompt was dropped; "
                "raise options.num_ctx"
            )

    async def _window(self, asked_for: int | None, known: Known, answer: Answer) -> int | None:
        """Return the window that an answer really had, or None if it cannot be known."""
        anew = (answer.final.get("load_duration") or 0) > LOADED_ANEW
        if known.loaded and asked_for == known.window and not anew:
            return asked_for
        # Should the daemon not tell any more, the answer stands all the same.
        with suppress(OllamaMCPError):
            # Without a row, it shares the runner of a model of the same weights and options.
            return await self._catalog.window(answer.model) or asked_for
        return None

    def _larger(
        self, error: ContextOverflow, options: Part, known: Known, asked_for: int | None
    ) -> int:
        """Return the window to try after a refusal, or raise what the caller must know."""
        needed, window = error.details.get("prompt_tokens"), error.details.get("context")
        if "num_ctx" in options:
            error.hint = "Leave options.num_ctx out to have it raised as needed, or send less text"
            raise error
        # A daemon that gave less than it was asked for gives no more.
        limit = window if window and asked_for and window < asked_for else known.limit
        larger = raised(needed, window or known.window or 0, bound(options, known), limit)
        if larger is None:
            told = overflow(needed, max(window or 0, limit))
            told.hint = (
                "Send less text, or use a model with a larger window (ollama_list: context_length)"
                if limit == known.maximum or limit < known.limit
                else "Send less text, or allow larger windows with OLLAMA_MCP_MAX_CONTEXT"
            )
            raise told from error
        return larger

    async def _known(self, row: Part, body: Part, progress: Progress) -> Known:
        """Return what is known of the window of a model; one that is not loaded may be loaded."""
        model, name = body["model"], full_name(body["model"])
        modelfile, window = Modelfile(), None
        maximum = (row.get("details") or {}).get("context_length")
        # A daemon that answers no such question may still answer the call.
        with suppress(DaemonError):
            modelfile = await self._catalog.modelfile(row)
            window = await self._catalog.window(model, fresh=False)
        loaded = window is not None
        if window is None:
            window = modelfile.num_ctx
            if window is None and "num_ctx" not in (body.get("options") or {}) and asks(body):
                window = await self._load(body, progress)
                loaded = window is not None
        return Known(
            window=min(window, maximum or window) if window else None,
            maximum=maximum,
            limit=max(limit_of(maximum, self._settings.max_context), window or 0),
            num_predict=modelfile.num_predict,
            hidden=modelfile.system,
            template=modelfile.template,
            loaded=loaded,
            unshifting=loaded and self._unshifting.get(name) == window,
        )

    async def _load(self, body: Part, progress: Progress) -> int | None:
        """Load the model as the call will want it, and return its window."""
        load: Part = {name: body[name] for name in _LOADS if name in body}
        if is_zero(load.get("keep_alive")):
            del load["keep_alive"]  # it means after the answer
        with suppress(DaemonError):
            await self._client.request(
                "POST", "/api/generate", {**load, "stream": False}, waiting=progress.waits
            )
            return await self._catalog.window(body["model"])
        return None


def sent_schema(schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what is sent for a caller's schema, and what is only checked afterwards."""
    check_schema(schema)
    return to_grammar(schema)


def corrected(body: Part, corrections: list[tuple[str, str]]) -> Part:
    """Return a request that tells the model what was wrong with its earlier answers."""
    if not corrections:
        return body
    if "messages" in body:
        said = [
            {"role": role, "content": text}
            for pair in corrections
            for role, text in zip(("assistant", "user"), pair, strict=True)
        ]
        return {**body, "messages": [*body["messages"], *said]}
    told = "".join(f"\n\nYour answer:\n{said}\n\n{wrong}" for said, wrong in corrections)
    return {**body, "prompt": body["prompt"] + told}


def asks(body: dict[str, Any]) -> bool:
    """Return whether a request asks something, and does not only load or unload its model."""
    return bool(body.get("messages") or body.get("prompt"))
