"""Server-sent events, however they are cut on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest

from ollama_mcp_server.delegation.upstream import events as module
from ollama_mcp_server.delegation.upstream.events import events
from ollama_mcp_server.errors import DaemonError

#: Every kind of line, with characters of two to four bytes.
STREAM = (
    '\ufeffdata: {"a": "é€😀"}\n\n'
    ": a comment\n\n"
    'event: message\nid: 7\nretry: 5\ndata:{"b":\ndata: 1}\n\n'
    "data\n\n"
    "nothing of ours\n\n\n"
    "data:  two spaces\n\n"
    "data: [DONE]\n\n"
)
EXPECTED = ['{"a": "é€😀"}', '{"b":\n1}', "", " two spaces", "[DONE]"]


async def read(chunks: Iterable[bytes]) -> list[str]:
    async def given() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [data async for data in events(given())]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_any_split_gives_the_same(end: str) -> None:
    raw = STREAM.replace("\n", end).encode()
    assert await read([raw]) == EXPECTED
    assert await read([raw[at : at + 1] for at in range(len(raw))]) == EXPECTED
    for at in range(len(raw)):
        assert await read([raw[:at], b"", raw[at:]]) == EXPECTED


async def test_the_last_empty_line_may_be_missing() -> None:
    assert await read([b"data: 1\n\ndata: [DONE]"]) == ["1", "[DONE]"]
    assert await read([b"data: 1\n\ndata: [DONE]\n"]) == ["1", "[DONE]"]


async def test_an_error_of_older_llama_servers() -> None:
    assert await read([b'error: {"code":500}\n\n']) == ['{"error": {"code":500}}']


async def test_nothing_is_no_event() -> None:
    assert await read([]) == []
    assert await read([b"\n\n", b": ping\n\n"]) == []


@pytest.mark.parametrize("line", [b"data: xxxxxxxxxxxxxxxx", b"data: xxxxxxxx\n"])
async def test_an_endless_event_is_refused(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_EVENT", 1000)
    with pytest.raises(DaemonError, match="without an end"):
        await read([line] * 100)
