"""How an answer is shown: the text for hosts that read text, the object for those that do not."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from fastmcp import Context
from fastmcp.tools import ToolResult

from ..app import App
from ..daemon.options import Options
from ..daemon.results import ChatAnswer, Done, Result, Usage, meta
from ..delegation.answer import Answer, ask, waiting_phase
from ..delegation.choice import choose, needs_of
from ..delegation.transfer import Transfer
from ..errors import OllamaMCPError


def usage(answer: Answer) -> Usage:
    """Return the tokens that the daemon's final part counts."""
    return Usage(
        prompt_tokens=answer.final.get("prompt_eval_count") or 0,
        completion_tokens=answer.final.get("eval_count") or 0,
        context=answer.window,
    )


async def named(app: App, model: str | None, needs: Sequence[str]) -> tuple[str, list[str]]:
    """Return the model of a call: the caller's, else a chosen one with a note that says so."""
    if model:
        return model, []
    choice = await choose(
        app.catalog, needs, app.settings.model, local=app.client.address.is_loopback
    )
    return choice.model, [f"no model was named; {choice.model} answered: {choice.why}"]


async def ask_model(
    ctx: Context, path: str, body: dict[str, Any], options: Options | None, timeout: int | None
) -> tuple[Answer, list[str]]:
    """Send a request to `/api/chat` or `/api/generate`; return the answer, and warnings.

    `body` may hold None for what the caller did not give; `timeout` is in milliseconds.
    """
    app = App.of(ctx)
    body = {name: value for name, value in body.items() if value is not None}
    body["model"], notes = await named(app, body.get("model"), needs_of(body))
    if options:
        body["options"] = options.sent()
    warnings = notes + option_warnings(options) + thinking_with_format(body)
    look = waiting_phase(body["model"], app.catalog.running)
    async with app.progress(ctx, f"asking {body['model']}", look) as progress:
        answer = await ask(app.client, path, body, progress=progress, timeout_ms=timeout)
    if options and options.num_ctx:
        # The daemon may give less than was asked; this is the window that it really was. Should it
        # not tell any more, the answer stands all the same.
        with suppress(OllamaMCPError):
            answer.window = await app.catalog.window(body["model"])
    return answer, warnings


def chat_result(answer: Answer, warnings: list[str], **extra: Any) -> ToolResult:
    """Return the result of a chat or a completion; `extra` goes to `_meta`."""
    said = ChatAnswer(
        content=answer.content,
        thinking=answer.thinking or None,
        tool_calls=answer.tool_calls or None,
        model=str(answer.final.get("model")),
        done_reason=answer.done_reason,
        usage=usage(answer),
        warnings=[*warnings, *remarks(answer)] or None,
    )
    lines = [said.content] if said.content else []
    if answer.tool_calls:
        lines.append("tool_calls: " + json.dumps(answer.tool_calls, ensure_ascii=False))
    return result(said, "\n".join(lines), meta(answer.final, logprobs=answer.logprobs, **extra))


def result(said: Result, text: str, _meta: dict[str, Any] | None = None) -> ToolResult:
    """Return a result whose text and object each carry all; warnings follow the text."""
    notes = [f"[{note}]" for note in getattr(said, "warnings", None) or ()]
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


def thinking_with_format(body: dict[str, Any]) -> list[str]:
    """Take `think: false` out of a request that has a format, and return the warning for it.

    Together they switch the schema off on some models (ollama/ollama#14645, #15260).
    """
    if body.get("think") is False and body.get("format") is not None:
        del body["think"]
        return ["think: false was left out: with a format it can switch the schema off"]
    return []


def given(**fields: Any) -> dict[str, Any]:
    """Return a request with those fields that the caller gave."""
    return {name: value for name, value in fields.items() if value is not None}


def moved_result(model: str, moved: Transfer, text: str) -> ToolResult:
    """Return the result of a pull, push or create that came to its end."""
    layers = list(moved.totals)
    size = f" ({moved.total / 1e6:,.0f} MB in {len(layers)} layers)" if layers else ""
    said = Done(model=model, status=moved.status, bytes=moved.total or None, layers=layers or None)
    return result(said, text + size)
