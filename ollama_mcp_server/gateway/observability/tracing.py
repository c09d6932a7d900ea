"""Spans of OpenTelemetry, where a program's operator has set up an SDK; else they cost nothing.

FastMCP makes those of MCP, over `/mcp` and towards other servers. Ours are those of the plain
routes and of the models, by the GenAI conventions; no prompt and no answer is in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import context, propagate, trace
from opentelemetry.trace import ProxyTracerProvider, Span, SpanKind, Status, StatusCode, Tracer

from ... import __version__

if TYPE_CHECKING:
    from ...daemon.watched import End
    from .live import Turn

#: What asking a model on a route is called.
_OPERATIONS = {
    "/api/generate": "text_completion",
    "/v1/completions": "text_completion",
    "/api/embed": "embeddings",
    "/api/embeddings": "embeddings",
    "/v1/embeddings": "embeddings",
}


def tracer() -> Tracer | None:
    """Return what makes our spans; None where nobody would take them."""
    if isinstance(trace.get_tracer_provider(), ProxyTracerProvider):
        return None
    return trace.get_tracer("ollama_mcp_server", __version__)


@contextmanager
def request(
    method: str, route: str, headers: Mapping[str, str], *, mcp: bool = False
) -> Iterator[Span | None]:
    """Trace a request over HTTP, as part of the trace that its headers tell of.

    With `mcp` it gets no span of ours: FastMCP's own is made in the trace that the headers tell
    of, else in the one of the request's `_meta`, which a span around it would hide.
    """
    if (made := tracer()) is None:
        yield None
        return
    if mcp:
        before = context.attach(propagate.extract(headers))
        try:
            yield None
        finally:
            context.detach(before)
        return
    with made.start_as_current_span(
        f"{method} {route}",
        context=propagate.extract(headers),
        kind=SpanKind.SERVER,
        attributes={"http.request.method": method, "http.route": route},
        record_exception=False,  # its message may quote what was sent
        set_status_on_exception=False,
    ) as span:
        yield span


def answered(span: Span | None, status: int) -> None:
    """Tell how a request was answered."""
    if span is not None:
        span.set_attribute("http.response.status_code", status)
        if status >= 500:
            span.set_attribute("error.type", str(status))
            span.set_status(Status(StatusCode.ERROR))


def asking(path: str, model: str | None) -> Span | None:
    """Begin the span of an asking of a model."""
    if (made := tracer()) is None:
        return None
    operation = _OPERATIONS.get(path, "chat")
    attributes = {"gen_ai.operation.name": operation, "gen_ai.provider.name": "ollama"}
    if model:
        attributes["gen_ai.request.model"] = model
    return made.start_span(
        f"{operation} {model}" if model else operation, kind=SpanKind.CLIENT, attributes=attributes
    )


def asked(turn: Turn, end: End | None) -> None:
    """End it, with what is known then."""
    span = turn.span
    if span is None:
        return
    if turn.first is not None:
        span.set_attribute("gen_ai.response.time_to_first_chunk", turn.first - turn.since)
    if end is None or turn.status != 200:
        span.set_attribute("error.type", str(turn.status) if turn.status > 200 else "broken")
        span.set_status(Status(StatusCode.ERROR))
    else:
        if turn.model:
            span.set_attribute("gen_ai.response.model", turn.model)
        if end.prompt_tokens is not None:
            span.set_attribute("gen_ai.usage.input_tokens", end.prompt_tokens)
        if end.tokens is not None:
            span.set_attribute("gen_ai.usage.output_tokens", end.tokens)
        if end.reason is not None:
            span.set_attribute("gen_ai.response.finish_reasons", [end.reason])
    span.end()
