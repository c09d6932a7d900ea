"""Spans: where an SDK is set up, of requests and models, by the conventions, without any text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ollama_mcp_server.gateway.observability.tracing import tracer
from tests.conftest import CHAT, MakeApp
from tests.gateway.serving import served

TRACE, PARENT = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
TRACEPARENT = f"00-{TRACE:032x}-{PARENT:016x}-01"
SECRET = "a-prompt-about-a-secret"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """What a program's operator would set up; the API lets that be done once."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    [found] = [span for span in spans.get_finished_spans() if span.name == name]
    return found


async def test_a_request_and_its_model_are_part_of_the_clients_trace(
    spans: InMemorySpanExporter, make_app: MakeApp
) -> None:
    async with served(make_app()) as client:
        body = {"model": CHAT, "messages": [{"role": "user", "content": SECRET}]}
        headers = {"traceparent": TRACEPARENT}
        assert (await client.post("/api/chat", json=body, headers=headers)).status_code == 200
    request, chat = named(spans, "POST /api/chat"), named(spans, f"chat {CHAT}")
    assert request.parent is not None
    assert (request.parent.trace_id, request.parent.span_id) == (TRACE, PARENT)
    assert chat.parent is not None
    assert chat.parent.span_id == request.context.span_id
    assert dict(request.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/api/chat",
        "http.response.status_code": 200,
    }
    told = dict(chat.attributes or {})
    assert told.pop("gen_ai.usage.input_tokens") > 0  # type: ignore[operator]
    assert told.pop("gen_ai.usage.output_tokens") > 0  # type: ignore[operator]
    assert told.pop("gen_ai.response.time_to_first_chunk") > 0  # type: ignore[operator]
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "ollama",
        "gen_ai.request.model": CHAT,
        "gen_ai.response.model": CHAT,
        "gen_ai.response.finish_reasons": ("stop",),
    }
    assert SECRET not in str([span.to_json() for span in spans.get_finished_spans()])


async def test_a_failure_is_told(spans: InMemorySpanExporter, make_app: MakeApp) -> None:
    async with served(make_app()) as client:
        body = {"model": "missing", "messages": [{"role": "user", "content": "Hello"}]}
        assert (await client.post("/api/chat", json=body)).status_code == 404
    chat = named(spans, "chat missing:latest")
    assert not chat.status.is_ok
    assert (chat.attributes or {})["error.type"] == "404"


@pytest.mark.parametrize("way", ["headers", "meta", "both"])
async def test_a_request_over_mcp_is_part_of_the_trace_in_its_headers_or_its_meta(
    way: str, spans: InMemorySpanExporter, make_app: MakeApp
) -> None:
    told = {"traceparent": TRACEPARENT}
    elsewhere = {"traceparent": f"00-{TRACE + 1:032x}-{PARENT:016x}-01"}
    async with served(make_app()) as client:
        params = {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "a test", "version": "1"},
            "_meta": {"headers": {}, "meta": told, "both": elsewhere}[way],
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
        headers = {
            "accept": "application/json, text/event-stream",
            **(told if way != "meta" else {}),
        }
        assert (await client.post("/mcp", json=body, headers=headers)).status_code == 200
    assert named(spans, "initialize").context.trace_id == TRACE
    assert not [span for span in spans.get_finished_spans() if span.name == "POST /mcp"]


def test_where_an_sdk_is_set_up_there_is_a_tracer(spans: InMemorySpanExporter) -> None:
    assert tracer() is not None
