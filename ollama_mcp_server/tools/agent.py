"""Let a model work on a task with other servers' tools."""

from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Any

from fastmcp import Context
from fastmcp.tools import ToolResult
from mcp_types import InputRequiredResult
from pydantic import BeforeValidator, Field

from ..agent.afar import Afar
from ..agent.events import Consent, Ended, Run, Step, Task
from ..agent.results import AgentAnswer, answer_of, as_text, line, meta_of
from ..agent.underway import Underway
from ..app import App
from ..delegation.answer import Answer
from ..delegation.jobs import current
from ..errors import InvalidArgument
from ..tool import tool
from ._answers import option_warnings, result
from ._arguments import (
    HIDDEN,
    STRINGS,
    Files,
    Format,
    Message,
    ModelOptions,
    OptionalModel,
    QuietKeepAlive,
    Think,
    shown,
)
from ._confirm import agreed, ask, asking, can_ask, is_modern
from ._hints import ACTS, HEEDS, LONG
from ._inputs import read_inputs
from ._reading import from_json, to_texts


def _servers(value: Any) -> Any:
    value = from_json(value)
    return [value] if isinstance(value, str | dict) else value


@tool(
    title="Let a local model work with tools",
    annotations=ACTS,
    tags={"agent", LONG, HEEDS},
    returns=AgentAnswer,
)
async def ollama_agent(
    ctx: Context,
    task: Annotated[
        str | None, Field(description="What to do, with every name and path that it needs.")
    ] = None,
    messages: Annotated[
        list[Message] | None,
        BeforeValidator(from_json),
        Field(description="A conversation in place of task.", json_schema_extra=HIDDEN),
    ] = None,
    model: OptionalModel = None,
    servers: Annotated[
        list[str | dict[str, Any]] | None,
        BeforeValidator(_servers),
        shown(STRINGS, "MCP servers (ollama://servers lists them); default: those for path."),
    ] = None,
    tools: Annotated[
        list[str] | None,
        BeforeValidator(to_texts),
        shown(STRINGS, "Only these tools: fs:read_*."),
    ] = None,
    path: Annotated[
        str | None, Field(description="Folder that the servers work in, under the allowed ones.")
    ] = None,
    system: Annotated[str | None, Field(description="System prompt.")] = None,
    files: Files = None,
    format: Format = None,
    max_rounds: Annotated[int, Field(ge=1, le=100, description="Turns at most.")] = 15,
    options: ModelOptions = None,
    think: Think = None,
    conversation: Annotated[
        str | None,
        Field(
            description="new, or a handle: keeps task and answer for a next call.",
            json_schema_extra=HIDDEN,
        ),
    ] = None,
    allow_destructive: Annotated[
        bool, Field(description="true lets tools destroy without asking the user.")
    ] = False,
    tool_timeout: Annotated[
        int | None,
        Field(
            ge=1,
            le=3_600_000,
            description="Milliseconds that one call of a tool may take; default 30000.",
            json_schema_extra=HIDDEN,
        ),
    ] = None,
    max_seconds: Annotated[
        float | None,
        Field(
            gt=0,
            description="Seconds after which the run ends with what there is; default none.",
            json_schema_extra=HIDDEN,
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        Field(
            ge=1,
            description="Tokens, prompts and answers together, after which the run ends; "
            "default none.",
            json_schema_extra=HIDDEN,
        ),
    ] = None,
    keep_alive: QuietKeepAlive = None,
) -> ToolResult | InputRequiredResult:
    """Let a local model work on a task with the tools of other MCP servers until it is done.

    Use to hand over whole errands: look through files, query a database, fetch and sum up. For
    text alone use ollama_generate. Calls that may destroy something are refused unless the user
    agrees; the rest can change what their servers let them. Takes seconds to minutes; cancelling
    stops the tools too. Returns content, steps (each call), stop_reason, usage.
    """
    app = App.of(ctx)
    owner = app.owner(ctx)
    run: Underway[ToolResult] | Afar
    if ctx.input_responses is not None and ctx.request_state is not None:
        run = await app.paused.take(ctx.request_state, owner)
        await run.answer(agreed(ctx))
    else:
        said = conversation_of(task, messages, system)
        told = Task(
            said,
            model=model,
            servers=servers,
            tools=tools,
            path=Path(path) if path else None,
            format=format,
            options=options.sent() if options else None,
            think=think,
            keep_alive=keep_alive,
            max_rounds=max_rounds,
            tool_timeout=tool_timeout,
            max_seconds=max_seconds,
            max_tokens=max_tokens,
            allow_destructive=allow_destructive,
        )
        progress = app.progress(ctx, "starting")

        async def work(consent: Consent) -> ToolResult:
            body: dict[str, Any] = {"messages": told.messages}
            notes = await read_inputs(app, body, files)
            told.messages = body["messages"]
            if conversation is None:
                done, handle = await last(app, told, progress, consent), None
            else:
                async with app.conversations.turn(conversation, owner) as kept:
                    kept.add(told.messages)
                    told.messages = list(kept.messages)
                    told.model = told.model or kept.model or None
                    done = await last(app, told, progress, consent)
                    kept.take(kept.messages, Answer(done.answer, final={"model": done.model}))
                    handle = kept.handle
            done.warnings += notes + option_warnings(options)
            return result(answer_of(done, handle), as_text(done), meta_of(done))

        run = Underway(work, progress)
    async with app.watched(ctx, run.progress):
        while True:
            outcome = await run.next()
            if not isinstance(outcome, Step):
                return outcome
            words = question_of(outcome)
            job = current.get()
            if not can_ask(ctx) or (job is not None and job.is_handed_over):
                await run.answer(False)
            elif is_modern(ctx):
                return asking(words, await app.paused.keep(run, owner))
            else:
                await run.answer(await ask(ctx, words))


async def last(app: App, task: Task, progress: Any, consent: Consent) -> Run:
    """Work on a task, and return what came of it."""
    async with aclosing(app.agent.run(task, progress, consent)) as events:
        async for event in events:
            if isinstance(event, Ended):
                return event.run
    raise AssertionError("a run ends with its end")


def conversation_of(
    task: str | None, messages: list[Message] | None, system: str | None
) -> list[dict[str, Any]]:
    """Return the messages that a run begins with.

    Raises:
        InvalidArgument: there is neither a task nor a message, or both.
    """
    if bool(task and task.strip()) == bool(messages):
        raise InvalidArgument("give either task or messages", "task is what to do, in words")
    said = [message.sent() for message in messages or ()] or [{"role": "user", "content": task}]
    return [{"role": "system", "content": system}, *said] if system else said


def question_of(step: Step) -> str:
    """Return what the user is asked."""
    return f"Let the local model call {step.name}? It may destroy something. {line(step)}"
