"""Chat with a model."""

from typing import Annotated, Any

from fastmcp import Context
from fastmcp.tools import ToolResult
from pydantic import Field

from ..app import App
from ..daemon.results import ChatAnswer
from ..delegation.answer import Answer
from ..delegation.memory.overflow import OnOverflow, fit
from ..errors import InvalidArgument
from ..tool import tool
from ._answers import chat_result, option_warnings
from ._arguments import (
    HIDDEN,
    ChatTools,
    DebugRenderOnly,
    Files,
    Format,
    Logprobs,
    Messages,
    ModelOptions,
    OptionalModel,
    QuietKeepAlive,
    Retries,
    Shift,
    Think,
    Timeout,
    TopLogprobs,
    Truncate,
)
from ._hints import ASKS, LONG
from ._inputs import read_inputs

#: Longest summary of a conversation's old turns, in tokens.
SUMMARY = 500


@tool(
    title="Chat with a local model",
    annotations=ASKS,
    tags={"chat", LONG},
    returns=ChatAnswer,
)
async def ollama_chat(
    ctx: Context,
    messages: Messages,
    model: OptionalModel = None,
    tools: ChatTools = None,
    files: Files = None,
    format: Format = None,
    conversation: Annotated[
        str | None,
        Field(
            description="new keeps the conversation here and returns a handle; with that handle "
            "send only the new message."
        ),
    ] = None,
    options: ModelOptions = None,
    think: Think = None,
    keep_alive: QuietKeepAlive = None,
    logprobs: Logprobs = None,
    top_logprobs: TopLogprobs = None,
    truncate: Truncate = None,
    shift: Shift = None,
    timeout: Timeout = None,
    retries: Retries = 2,
    on_overflow: Annotated[
        OnOverflow,
        Field(
            description="When the messages do not fit the largest window: error (default), "
            "drop_oldest (whole turns), or summarize (the oldest turns, by the model); told in "
            "warnings.",
            json_schema_extra=HIDDEN,
        ),
    ] = "error",
    debug_render_only: DebugRenderOnly = None,
) -> ToolResult:
    """Send a conversation to a local model and return its next message.

    Use for roles, history, pictures or tool calling; for one plain prompt use ollama_generate,
    for OpenAI's request and response shapes chat_completion. Private and free: prompts stay
    at the daemon, but for remote models. The first call loads the model (seconds);
    a long answer takes minutes, shows progress, and stops at the daemon when cancelled.
    Returns content (with tool_calls instead, if the model wants tools), done_reason, usage.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [message.sent() for message in messages],
        "tools": tools,
        "format": format,
        "think": think,
        "keep_alive": keep_alive,
        "logprobs": logprobs,
        "top_logprobs": top_logprobs,
        "truncate": truncate,
        "shift": shift,
        "_debug_render_only": debug_render_only,
    }
    app = App.of(ctx)
    if conversation is not None and (not messages or debug_render_only):
        raise InvalidArgument(
            "a conversation needs a message that the model answers", "Give messages"
        )
    if options:
        body["options"] = options.sent()
    async with app.progress(ctx, "choosing a model") as progress:
        told = await read_inputs(app, body, files)

        async def ask(history: list[dict[str, Any]]) -> Answer:
            asked = {**body, "messages": history}
            return await app.delegate.ask(
                "/api/chat", asked, progress, retries=retries, timeout_ms=timeout
            )

        async def summarise(history: list[dict[str, Any]]) -> Answer:
            asked = {
                "model": body["model"],
                "messages": history,
                "keep_alive": keep_alive,
                "options": {**(options.window() if options else {}), "num_predict": SUMMARY},
            }
            return await app.delegate.ask("/api/chat", asked, progress, timeout_ms=timeout)

        handle = None
        if conversation is None:
            fitted = await fit(ask, body["messages"], on_overflow, summarise)
        else:
            async with app.conversations.turn(conversation, app.owner(ctx)) as kept:
                kept.add(body["messages"])
                named = body["model"] = body["model"] or kept.model or None
                fitted = await fit(ask, kept.messages, on_overflow, summarise)
                kept.take(fitted.messages, fitted.answer)
                kept.model = named or kept.model  # the next turn is a profile's too
                handle = kept.handle
    answer = fitted.answer
    answer.warnings += told + option_warnings(options)
    answer.warnings += [fitted.note] if fitted.note else []
    return chat_result(answer, handle)
