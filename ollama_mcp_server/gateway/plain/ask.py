"""Our own plain routes: ask a question, call a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from ..gate import caller_of
from ..runs.events import Streamed
from ..traffic.body import KEY, REFUSALS, described, read_as
from ..traffic.outlet import Intake
from .calls import Calls, split
from .outcomes import Told
from .questions import Answered, Asking, Question

if TYPE_CHECKING:
    from ..gate import Gate


#: What the description of the route says of answers that stream.
STREAM: dict[str, Any] = {"content": {"text/event-stream": {}}}  # of events, not one text


#: What OpenAPI says of two names of which exactly one is given.
ONE: list[Any] = [
    {"required": [one], "properties": {one: {"type": "string"}, other: {"type": "null"}}}
    for one, other in (("tool", "action"), ("action", "tool"))
]


class Order(BaseModel):
    """A call of a tool."""

    model_config = ConfigDict(strict=True, extra="forbid", json_schema_extra={"oneOf": ONE})

    tool: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="server:tool of a configured server, or one of this server's own tools."
    )
    action: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="The same as tool."
    )
    arguments: dict[str, Any] = Field(default_factory=dict)
    path: str | None = Field(
        None, description="Folder that the server works in, under the allowed ones."
    )
    allow_destructive: bool = Field(
        False, description="true makes the call even if it may destroy something."
    )

    @model_validator(mode="after")
    def _names_one(self) -> Order:
        if (self.tool is None) == (self.action is None):
            raise ValueError("give either tool or action")
        return self

    @property
    def name(self) -> str:
        """What is to be called."""
        return self.tool or self.action or ""


def router(gate: Gate) -> APIRouter:
    """Return the routes."""
    routes = APIRouter(tags=["ask"], dependencies=[KEY])
    asking, calls = Asking(gate), Calls(gate)

    @routes.post(
        "/api/ask",
        summary="Ask a question",
        response_model=Answered,
        responses={200: STREAM, **REFUSALS},
        openapi_extra=described(Question),
    )
    async def ask(request: Request) -> Response:
        """Let a local model answer, with the tools of the configured MCP servers.

        With `stream`, the answer is a stream of server-sent events: `asking` (the model's next
        turn), `said` (a piece of it), `calling` and `called` (a tool), at last `ended`, whose data
        is the whole answer, or `error`.
        """
        intake = Intake(request.receive)
        question = read_as(Question, await intake.whole())
        caller = caller_of(request)
        if question.stream:
            return Streamed(intake, lambda outlet: asking.stream(question, caller, outlet))
        return Told(await asking.answer(question, caller))

    @routes.post(
        "/api/do", summary="Call a tool", responses=REFUSALS, openapi_extra=described(Order)
    )
    async def do(request: Request) -> Response:
        """Call a tool, and answer what it answers: structured content, or else text."""
        order = read_as(Order, await Intake(request.receive).whole())
        server, tool = split(order.name)
        return Told(
            await calls.make(
                caller_of(request),
                server,
                tool,
                order.arguments,
                path=order.path,
                allow_destructive=order.allow_destructive,
            )
        )

    return routes
