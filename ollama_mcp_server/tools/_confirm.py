"""A person's yes, in both eras of the protocol."""

from contextvars import ContextVar

from fastmcp import Context
from mcp_types import ElicitRequest, ElicitRequestFormParams, InputRequiredResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

_SCHEMA = {
    "type": "object",
    "properties": {
        "confirm": {"type": "boolean", "title": "Yes", "description": "true to go ahead"}
    },
    "required": ["confirm"],
}

#: Whether a user can be asked by work that no request is open for: by a task, which waits for the
#: answer as a call of the newer era does.
by_task: ContextVar[bool] = ContextVar("by task", default=False)


def can_ask(ctx: Context) -> bool:
    """Return whether the client declares that it can ask its user."""
    if ctx.request_context is None:
        return by_task.get()
    capabilities = ctx.session.client_capabilities
    return capabilities is not None and capabilities.elicitation is not None


def is_modern(ctx: Context) -> bool:
    """Return whether a question is asked by the result of a call, as since 2026-07-28."""
    request = ctx.request_context
    return request is None or request.protocol_version in MODERN_PROTOCOL_VERSIONS


def asking(question: str, state: str | None = None) -> InputRequiredResult:
    """Return the result that asks; the client calls again with the answer, and with `state`."""
    params = ElicitRequestFormParams(message=question, requested_schema=_SCHEMA)
    request = ElicitRequest(method="elicitation/create", params=params)
    return InputRequiredResult(
        result_type="input_required", input_requests={"confirm": request}, request_state=state
    )


def agreed(ctx: Context) -> bool:
    """Return whether the answer that came with a call is a yes."""
    answer = (ctx.input_responses or {}).get("confirm")
    content = getattr(answer, "content", None) or {}
    return getattr(answer, "action", None) == "accept" and content.get("confirm") is True


async def ask(ctx: Context, question: str) -> bool:
    """Ask while the call is open, as until 2025-11-25, and return whether the answer is a yes."""
    asked = await ctx.elicit(question, bool)
    return asked.action == "accept" and asked.data is True


async def confirmed(ctx: Context, question: str) -> bool | InputRequiredResult:
    """Return whether the user agrees; True where the client declares no elicitation.

    In the era of 2026-07-28 the question is the call's first result (the client calls again with
    the answer), which the tool must return as it is.
    """
    if not can_ask(ctx):
        return True
    if not is_modern(ctx):
        return await ask(ctx, question)
    return asking(question) if ctx.input_responses is None else agreed(ctx)
