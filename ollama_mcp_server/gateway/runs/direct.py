"""A chat that is answered by one question to its model, told as an agent's run is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

from ...agent.events import Call, Ended, Event, Run, Said, StopReason
from ...daemon.wire import Part
from ...delegation.answer import Answer
from ...delegation.forced_calls import forced_call, take_forced_call
from ...delegation.inputs.images import read_images
from ...delegation.inputs.roots import Roots
from ...errors import InvalidArgument
from .chat import Chat

if TYPE_CHECKING:
    from ...app import App
    from ...progress import Progress


async def read_pictures(messages: list[Part], app: App) -> None:
    """Read the pictures of messages: `data:` URIs, and URLs where they are allowed; no files.

    Raises:
        OllamaMCPError: one is no picture, or may not be read.
    """
    for message in messages:
        if given := message.get("images"):
            if not all(url.startswith(("data:", "http://", "https://")) for url in given):
                raise InvalidArgument("a picture must be a URL", "As in data:image/png;base64,…")
            urls = app.settings.allow_urls
            message["images"], _ = await read_images(given, Roots(()), allow_urls=urls)


async def direct(app: App, chat: Chat, progress: Progress) -> AsyncGenerator[Event, None]:
    """Ask the model once, without servers, and tell what happens as an agent's run does.

    A call that `tool_choice` demands is made by constrained output, for Ollama has none.

    Raises:
        OllamaMCPError: the model could not be asked.
    """
    body = chat.body()
    await read_pictures(body["messages"], app)
    forced = forced_call(body["tools"] or [], chat.tool_choice)
    if forced:
        body["format"], instruction = forced
        body["tools"] = None
        body["messages"].insert(0, {"role": "system", "content": instruction})
    queue: asyncio.Queue[Event | None] = asyncio.Queue()

    def heard(part: Part) -> None:
        said = part.get("message") or {}
        piece = Said(said.get("content") or "", said.get("thinking") or "")
        if (piece.content or piece.thinking) and not body["format"]:
            queue.put_nowait(piece)

    asked = asyncio.create_task(app.delegate.ask("/api/chat", body, progress, heard=heard))
    asked.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (event := await queue.get()) is not None:
            yield event
        answer = asked.result()
    finally:
        asked.cancel()
        await asyncio.wait([asked])
    is_called = bool(forced) and take_forced_call(answer)
    run = run_of(answer)
    if forced and not is_called:
        run.stop_reason = "length"
        run.warnings.append("the call was cut before its end; raise max_tokens")
    yield Ended(run)


def run_of(answer: Answer) -> Run:
    """Return an answer as the run of an agent that took one turn."""
    calls = [
        Call(
            str(call["function"]["name"]),
            call["function"].get("arguments") or {},
            str(call.get("id") or ""),
        )
        for call in answer.tool_calls
    ]
    reason: StopReason = "tool_calls" if calls else "answered"
    if answer.done_reason == "length":
        reason = "length"
    return Run(
        answer=answer.content,
        data=answer.data,
        thinking=answer.thinking,
        calls=calls,
        rounds=1,
        prompt_tokens=answer.final.get("prompt_eval_count") or 0,
        completion_tokens=answer.final.get("eval_count") or 0,
        stop_reason=reason,
        model=answer.model,
        warnings=list(answer.warnings),
    )


def answer_of(run: Run) -> Answer:
    """Return a run as one answer, for those who tell answers."""
    calls = [
        {"id": call.id, "function": {"name": call.name, "arguments": call.arguments}}
        for call in run.calls
    ]
    length = run.stop_reason in ("length", "max_tokens")
    final = {
        "model": run.model,
        "done_reason": "length" if length else "stop",
        "prompt_eval_count": run.prompt_tokens,
        "eval_count": run.completion_tokens,
    }
    return Answer(run.answer, run.thinking, calls, final=final)
