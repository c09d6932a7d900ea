"""A person's yes, in both eras of the protocol, and without one where the host cannot ask."""

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


async def confirmed(ctx: Context, question: str) -> bool | InputRequiredResult:
    """Return whether the user agrees; True where the client declares no elicitation.

    In the era of 2026-07-28 the question is the call's first result (the client calls again with
    the answer), which the tool must return as it is.
    """
    capabilities = ctx.session.client_capabilities
    if capabilities is None or capabilities.elicitation is None:
        return True
    request = ctx.request_context
    if request is not None and request.protocol_version in MODERN_PROTOCOL_VERSIONS:
        if ctx.input_responses is None:
            params = ElicitRequestFormParams(message=question, requested_schema=_SCHEMA)
            return InputRequiredResult(
                result_type="input_required",
                input_requests={
                    "confirm": ElicitRequest(method="elicitation/create", params=params)
                },
            )
        answer = ctx.input_responses.get("confirm")
        content = getattr(answer, "content", None) or {}
        return getattr(answer, "action", None) == "accept" and content.get("confirm") is True
    asked = await ctx.elicit(question, bool)
    return asked.action == "accept" and asked.data is True
