"""Lines of stdin: how long they may be, and what is answered to those that are no message."""

from __future__ import annotations

import io
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.shared._context_streams import create_context_streams
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter
from pydantic import ValidationError

from ollama_mcp_server.transport.lines import TOO_LONG, Answering, Lines, refusal
from tests.wire import COMMAND, OLD, ROOT


def fault_of(line: str) -> ValidationError:
    with pytest.raises(ValidationError) as found:
        jsonrpc_message_adapter.validate_json(line)
    return found.value


async def test_lines_are_as_they_were_sent() -> None:
    source = io.BytesIO(b'{"a": 1}\n\n\xff\nlast')
    assert [line async for line in Lines(source)] == ['{"a": 1}\n', "\n", "\ufffd\n", "last"]


@pytest.mark.parametrize("end", [b"\n", b""])
async def test_a_line_that_is_too_long_is_dropped_whole(end: bytes) -> None:
    source = io.BytesIO(b"1234\n" + b"x" * 200_000 + end)
    assert [line async for line in Lines(source, most=5)] == ["1234\n", TOO_LONG]


async def test_after_a_line_that_is_too_long_comes_the_next() -> None:
    assert [line async for line in Lines(io.BytesIO(b"123456\n12345\n"), most=5)] == [
        TOO_LONG,
        "12345\n",
    ]


@pytest.mark.parametrize(
    ("line", "code", "named"),
    [
        ("hello", -32700, None),
        (TOO_LONG, -32600, None),
        ("5", -32600, None),
        ("[]", -32600, None),
        ('[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]', -32600, None),
        ('{"id": 7, "method": "ping"}', -32600, 7),
        ('{"jsonrpc": "2.0", "id": "x", "method": 5}', -32600, "x"),
        ('{"jsonrpc": "2.0", "id": "x", "method": "ping", "params": []}', -32600, "x"),
        ('{"jsonrpc": "1.0", "id": true, "method": "ping"}', -32600, None),
    ],
)
def test_who_asked_is_told_what_is_wrong(line: str, code: int, named: Any) -> None:
    refused = refusal(fault_of(line))
    assert refused is not None
    assert (refused.error.code, refused.id) == (code, named)
    assert "hello" not in refused.error.message


@pytest.mark.parametrize(
    "line", ["\n", " \t", '{"id": 1, "result": 5}', '{"error": {"code": "x"}}']
)
def test_where_nobody_waits_nothing_is_said(line: str) -> None:
    assert refusal(fault_of(line)) is None


def test_what_else_went_wrong_is_not_theirs_to_know() -> None:
    assert refusal(RuntimeError("inside")) is None


async def test_the_server_gets_messages_only() -> None:
    put, read = create_context_streams[Any](4)
    write, told = create_context_streams[Any](4)
    message = SessionMessage(
        jsonrpc_message_adapter.validate_python({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    )
    for item in (fault_of("hello"), fault_of("\n"), message):
        await put.send(item)
    await put.aclose()
    async with Answering(read, write) as answering:
        assert [item async for item in answering] == [message]
        assert answering.last_context is not None
    refused = await told.receive()
    assert refused.message.error.code == -32700
    with pytest.raises(anyio.ClosedResourceError):
        await answering.receive()
    for stream in (write, told):
        await stream.aclose()


def test_a_host_that_is_gone_and_reads_no_more_keeps_no_process(tmp_path: Path) -> None:
    hello = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": OLD[-1], "capabilities": {},
        "clientInfo": {"name": "tests", "version": "1"}}}  # fmt: skip
    asked = [hello, *({"jsonrpc": "2.0", "id": n, "method": "tools/list"} for n in range(1, 99))]
    around = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        COMMAND, cwd=tmp_path, env=around, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        process.stdin.write(b"".join(json.dumps(one).encode() + b"\n" for one in asked))
        process.stdin.close()
        process.wait(60)
        assert process.stdout
        assert len(process.stdout.read()) < 200_000, "its answers did not fit in the pipe"
    assert process.returncode == 0
