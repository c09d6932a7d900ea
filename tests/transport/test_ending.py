"""SIGTERM while answers stream, in each API: they end whole, or are cut when their time is up."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing, suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CHAT, HELLO
from tests.fake_ollama import FakeOllama
from tests.wire import OLD, TERM, Http, HttpClient

ASKED = {"model": CHAT, "messages": HELLO, "stream": True}
#: Routes that stream, and how their answers end, without blanks.
STREAMED = {"/api/chat": b'"done":true', "/v1/chat/completions": b"data:[DONE]"}
EVENTS = {"Content-Type": "text/event-stream"}


def part(content: str, **more: Any) -> dict[str, Any]:
    """Return a line of Ollama's."""
    return {"model": CHAT, "message": {"role": "assistant", "content": content}, **more}


def event(content: str, end: str | None = None) -> bytes:
    """Return an event of OpenAI's."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": end}
    told = {"id": "x", "object": "chat.completion.chunk", "model": CHAT, "choices": [choice]}
    return b"data: " + json.dumps(told).encode() + b"\n\n"


def script(daemon: FakeOllama, pause: float, times: int) -> None:
    """Let each route say a word, and another one after a pause."""
    end = {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}
    parts = (part("one "), pause, part("two", done=False), part("", **end))
    daemon.reply("/api/chat", *parts, times=times)
    daemon.reply(
        "/v1/chat/completions",
        event("one "),
        pause,
        event("two", "stop"),
        b"data: [DONE]\n\n",
        headers=EVENTS,
    )


class Stream:
    """An answer that has begun."""

    def __init__(self, server: Http, path: str) -> None:
        self.connection = HTTPConnection(server.host, server.port, timeout=30)
        headers = {"Content-Type": "application/json"}
        self.connection.request("POST", path, json.dumps(ASKED), headers)
        self.response: HTTPResponse = self.connection.getresponse()
        assert self.response.status == 200, self.response.read()
        self.text = self.response.readline()

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.response.close()
        self.connection.close()

    def rest(self) -> bytes:
        """Return all that was answered; raises if it was cut."""
        self.text += self.response.read()
        return self.text


def test_answers_end_whole_and_nothing_new_comes_in(daemon: FakeOllama, tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(Http(tmp_path, "--gateway", OLLAMA_HOST=daemon.url))
        kept = stack.enter_context(closing(HTTPConnection(server.host, server.port, timeout=30)))
        kept.request("GET", "/health")
        assert kept.getresponse().read()

        peers = [server, HttpClient(server.url, OLD[-1])]
        script(daemon, 2, times=3)
        calls = [peer.start("ollama_chat", {"model": CHAT, "messages": HELLO}) for peer in peers]
        streams = [stack.enter_context(Stream(server, path)) for path in STREAMED]
        for call in calls:
            call.until("writing")
        assert all(b"one " in stream.text for stream in streams)
        server.process.send_signal(TERM)
        refused(server, daemon)
        kept.auto_open = 0
        with pytest.raises((OSError, HTTPException)):
            kept.request("GET", "/health")
            kept.getresponse()

        for stream, end in zip(streams, STREAMED.values(), strict=True):
            text = stream.rest()
            assert b"two" in text
            assert end in text.replace(b" ", b"")
        for call in calls:
            assert call.result(10)["structuredContent"]["content"] == "one two"
        assert server.wait() < 5
        assert "Traceback" not in server.stderr


def test_when_the_time_is_up_answers_are_cut(daemon: FakeOllama, tmp_path: Path) -> None:
    flags = ("--gateway", "--shutdown-seconds", "0.3")
    with ExitStack() as stack:
        server = stack.enter_context(Http(tmp_path, *flags, OLLAMA_HOST=daemon.url))
        script(daemon, 60, times=2)
        call = server.start("ollama_chat", {"model": CHAT, "messages": HELLO})
        call.until("writing")
        streams = [stack.enter_context(Stream(server, path)) for path in STREAMED]
        assert server.end(TERM) < 10
        reply = call.reply(5)
        assert "closed" in reply or reply["result"]["isError"]
        for stream, end in zip(streams, STREAMED.values(), strict=True):
            with suppress(HTTPException, OSError):
                stream.rest()
            assert b"two" not in stream.text
            assert end not in stream.text.replace(b" ", b"")
        daemon.wait_for(lambda: all(one.closed_early for one in asked(daemon)), 5)
        assert "Traceback" not in server.stderr


def refused(server: Http, daemon: FakeOllama) -> None:
    """Wait until nobody can connect any more."""

    def no_more() -> bool:
        try:
            server.ask("GET", "/health")
        except (OSError, HTTPException):
            return True
        return False

    daemon.wait_for(no_more, 5)
    assert server.process.poll() is None


def asked(daemon: FakeOllama) -> list[Any]:
    return [one for one in daemon.requests if one.path in ("/api/chat", "/v1/chat/completions")]
