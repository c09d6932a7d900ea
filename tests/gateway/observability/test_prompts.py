"""Prompts in the log: never, unless the operator wants them; keys and tokens not even then."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from ollama_mcp_server.gateway.observability.logs import access, log_lines
from ollama_mcp_server.gateway.observability.prompts import LONGEST, MOST, Body, log
from tests.conftest import CHAT
from tests.fake_ollama import FakeOllama
from tests.gateway.observability.test_logs import Kept
from tests.gateway.workshop import key_of, opened, server

#: Words that stand nowhere else.
PROMPT, ARGUMENT, HEADER, QUERY = "xyzzy-prompt", "xyzzy-argument", "xyzzy-header", "xyzzy-query"
ANSWER, THOUGHT = "xyzzy-answer", "xyzzy-thought"
HELLO = [{"role": "user", "content": f"Say {PROMPT}"}]
CHATS = ("/api/chat", "/v1/chat/completions", "/v1/messages", "/v1/responses")


@pytest.fixture
def kept() -> Iterator[Kept]:
    """All that is logged, at the level that tells most."""
    kept, root = Kept(), logging.getLogger()
    loggers = [root, *map(logging.getLogger, logging.root.manager.loggerDict), access, log]
    levels = [(logger, logger.level) for logger in loggers]
    formatters = [(handler, handler.formatter) for handler in root.handlers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    log_lines("debug")
    root.addHandler(kept)
    yield kept
    root.removeHandler(kept)
    for logger, level in reversed(levels):
        logger.setLevel(level)
    for handler, formatter in formatters:
        handler.setFormatter(formatter)


async def talk(daemon: FakeOllama, **settings: Any) -> str:
    """Send words in every place that there is, and return the key that was used."""
    key, one = key_of("mine", "admin")
    word = {"message": {"role": "assistant", "content": ANSWER, "thinking": THOUGHT}, "done": False}
    end = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    async with opened(daemon, server("notes.py"), key=key, keys=[one], **settings) as client:
        for path in CHATS:
            for more in ({}, {"mcp_servers": ["notes"]}):
                for stream in (True, False):
                    daemon.reply("/api/chat", word, end)
                    body = {"model": CHAT, "messages": HELLO, "input": PROMPT, "stream": stream}
                    await client.post(
                        f"{path}?q={QUERY}",
                        json={**body, **more, "max_tokens": 9},
                        headers={"x-word": HEADER, "user-agent": HEADER},
                    )
        await client.post("/api/ask", json={"question": PROMPT, "model": CHAT, "stream": True})
        await client.post("/tools/notes/read", json={"name": ARGUMENT})
        await client.post("/api/do", json={"tool": "notes:read", "arguments": {"name": ARGUMENT}})
        broken = {"model": CHAT, "messages": PROMPT, "mcp_servers": [PROMPT]}
        assert (await client.post("/v1/chat/completions", json=broken)).status_code >= 400
        headers = {"authorization": f"Bearer {HEADER}-{HEADER}"}
        assert (await client.get(f"/api/tags?q={QUERY}", headers=headers)).status_code == 401
    return key


async def test_no_word_of_a_request_or_an_answer_is_logged(kept: Kept, daemon: FakeOllama) -> None:
    key = await talk(daemon)
    assert len(kept.told) >= len(CHATS) * 4
    text = "\n".join(kept.lines)
    for word in (PROMPT, ANSWER, THOUGHT, ARGUMENT, HEADER, QUERY, key):
        at = text.find(word)
        assert at < 0, text[max(0, at - 600) : at + 200]


async def test_where_it_is_wanted_prompts_and_answers_are_logged_and_no_keys(
    kept: Kept, daemon: FakeOllama
) -> None:
    key = await talk(daemon, log_prompts=True)
    lines = [json.loads(line) for line in kept.lines]
    said = [line for line in lines if line["logger"] == log.name]
    for path in CHATS:
        of_path = [line for line in said if line["path"] == path]
        assert all(PROMPT in line["prompt"] for line in of_path), of_path
        assert any(ANSWER in line["answer"] for line in of_path), of_path
    assert any(ARGUMENT in line["prompt"] for line in said)
    ids = {line["request_id"] for line in kept.told}
    assert {line["request_id"] for line in said} <= ids
    text = "\n".join(kept.lines)
    for word in (HEADER, QUERY, key):
        assert word not in text


async def test_it_is_logged_whatever_the_level_is(daemon: FakeOllama) -> None:
    kept, root = Kept(), logging.getLogger()
    root.addHandler(kept)
    try:
        async with opened(daemon, log_prompts=True) as client:
            await client.post("/api/chat", json={"model": CHAT, "messages": HELLO})
    finally:
        root.removeHandler(kept)
        log.setLevel(logging.NOTSET)
    assert any(PROMPT in line for line in kept.lines)


def text_of(body: Any, kind: str = "application/json") -> str:
    kept = Body()
    for piece in body if isinstance(body, list) else [body]:
        kept.add(piece if isinstance(piece, bytes) else json.dumps(piece).encode())
    return kept.text(kind)


@pytest.mark.parametrize(
    "lines",
    [
        [{"message": {"content": "So "}}, {"message": {"content": "it is"}}, {"done": True}],
        [{"response": "So "}, {"response": "it is"}],
        [{"choices": [{"delta": {"content": "So "}}]}, {"choices": [{"text": "it is"}]}],
        [{"type": "response.output_text.delta", "delta": "So it is"}, {"response": {"x": 1}}],
        [{"delta": {"type": "text_delta", "text": "So it is"}}, {"choices": []}],
    ],
)
def test_a_streamed_answer_is_one_text(lines: list[Any]) -> None:
    told = [json.dumps(line).encode() for line in lines]
    assert text_of(b"\n".join(told), "application/x-ndjson") == "So it is"
    events = b"".join(b": a sign\n\nevent: x\ndata: %s\n\n" % line for line in told)
    assert text_of(events + b"data: [DONE]\n\n", "text/event-stream; charset=utf-8") == "So it is"


def test_calls_and_errors_are_told_as_they_are() -> None:
    call = {"message": {"content": "", "tool_calls": [{"function": {"name": "get_weather"}}]}}
    assert "get_weather" in text_of(call, "application/x-ndjson")
    assert "it broke" in text_of({"error": "it broke"}, "application/x-ndjson")
    assert json.loads(text_of({"error": "it broke"})) == {"error": "it broke"}


def test_secrets_pictures_and_what_is_too_much_are_left_out() -> None:
    told = {
        "mcp_servers": [{"url": "http://x", "headers": {"X": "zzz"}, "env": {"A": "zzz"}}],
        "api_key": "zzz",
        "text": "my token: zzz, and Bearer zzzzzzzz, and omcp_zzzzzzzz",
        "images": ["z" * (LONGEST + 1), "data:image/png;base64,zzz"],
    }
    shown = text_of(told)
    assert "zz" not in shown
    assert "http://x" in shown
    assert f"({LONGEST + 1} characters)" in shown
    assert text_of([b"z" * MOST, b"z"]) == f"({MOST + 1} bytes)"
    assert text_of(b"\xff\xfe") == "(2 bytes)"
    assert text_of(b"") == ""
