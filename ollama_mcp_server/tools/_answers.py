"""How an answer is shown: the text for hosts that read text, the object for those that do not."""

import json
from typing import Any

from fastmcp import Context
from fastmcp.tools import ToolResult

from ..app import App
from ..daemon.options import Options
from ..daemon.results import ChatAnswer, Done, Result, Usage, meta
from ..delegation.answer import Answer
from ..delegation.transfer import Transfer
from ._inputs import read_inputs


def usage(answer: Answer) -> Usage:
    """Return the tokens that the daemon's final part counts."""
    return Usage(
        prompt_tokens=answer.final.get("prompt_eval_count") or 0,
        completion_tokens=answer.final.get("eval_count") or 0,
        context=answer.window,
    )


async def ask_model(
    ctx: Context,
    path: str,
    body: dict[str, Any],
    options: Options | None = None,
    timeout: int | None = None,
    *,
    files: list[str] | None = None,
    retries: int = 2,
) -> Answer:
    """Send a request to `/api/chat` or `/api/generate`, and return the answer.

    `body` may hold None for what the caller did not give; `timeout` is in milliseconds.
    """
    app = App.of(ctx)
    if options:
        body["options"] = options.sent()
    async with app.progress(ctx, "choosing a model") as progress:
        told = await read_inputs(app, body, files)
        answer = await app.delegate.ask(path, body, progress, retries=retries, timeout_ms=timeout)
    answer.warnings += told + option_warnings(options)
    return answer


def chat_result(answer: Answer, conversation: str | None = None, **extra: Any) -> ToolResult:
    """Return the result of a chat or a completion; `extra` goes to `_meta`."""
    said = ChatAnswer(
        content=None if answer.data is not None else answer.content,
        data=answer.data,
        thinking=answer.thinking or None,
        tool_calls=answer.tool_calls or None,
        model=answer.model,
        done_reason=answer.done_reason,
        usage=usage(answer),
        warnings=[*answer.warnings, *remarks(answer)] or None,
        conversation=conversation,
    )
    lines = [answer.content] if answer.content else []
    if answer.tool_calls:
        lines.append("tool_calls: " + json.dumps(answer.tool_calls, ensure_ascii=False))
    return result(
        said,
        "\n".join(lines),
        meta(answer.final, logprobs=answer.logprobs, notes=answer.notes, **extra),
    )


def result(said: Result, text: str, _meta: dict[str, Any] | None = None) -> ToolResult:
    """Return a result whose text and object each carry all; warnings follow the text."""
    notes = [f"[{note}]" for note in getattr(said, "warnings", None) or ()]
    notes += [f"[conversation: {c}]"] if (c := getattr(said, "conversation", None)) else []
    return ToolResult(
        content="\n".join([text, *notes] if text else notes) or "(empty)",
        structured_content=said.lean(),
        meta=_meta or None,
    )


def remarks(answer: Answer, limit: str = "options.num_predict or num_ctx") -> list[str]:
    """Return what a reader must know of an answer, beyond its text; `limit` can be raised."""
    if answer.done_reason == "length":
        if not answer.content and answer.thinking:
            return [
                f"the answer is empty: thinking used up the limit; raise {limit}, or switch "
                "thinking off"
            ]
        return [f"the answer was cut at the length limit; raise {limit}"]
    if answer.done_reason in ("load", "unload"):
        return [f"nothing was asked; the model was {answer.done_reason}ed"]
    if not answer.content and not answer.tool_calls and "_debug_info" not in answer.final:
        return [
            "the model answered nothing"
            + ("; its thinking is in the field thinking" if answer.thinking else "")
        ]
    return []


def option_warnings(options: Options | None) -> list[str]:
    """Return a warning for each option that Ollama will ignore."""
    return [
        f"Ollama 0.34 does not know the option {name!r}; it was passed on and may be ignored"
        for name in (options.unknown if options else ())
    ]


def given(**fields: Any) -> dict[str, Any]:
    """Return a request with those fields that the caller gave."""
    return {name: value for name, value in fields.items() if value is not None}


def moved_result(model: str, moved: Transfer, text: str) -> ToolResult:
    """Return the result of a pull, push or create that came to its end."""
    layers = list(moved.totals)
    size = f" ({moved.total / 1e6:,.0f} MB in {len(layers)} layers)" if layers else ""
    said = Done(model=model, status=moved.status, bytes=moved.total or None, layers=layers or None)
    return result(said, text + size)
