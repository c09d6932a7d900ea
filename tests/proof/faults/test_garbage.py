"""What answers is no Ollama, or is garbled on the way: nothing of it is taken for an answer."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from scripts.testbed import daemon
from tests.proof.faults.conftest import told
from tests.proof.faults.scene import STORY, Scene
from tests.proof.faults.spoilt import LINES, Spoilt, lines, page
from tests.wire import Stdio

pytestmark = pytest.mark.live

PART = json.dumps({"response": "one ", "done": False}) + "\n"
END = json.dumps({"response": "", "done": True, "done_reason": "stop"}) + "\n"
HTML = "<!DOCTYPE html><html><body><h1>It works!</h1></body></html>"

#: What stands in the place of the answer of /api/generate.
ANSWERS = {
    "half a line": lines(PART, '{"response": "tw'),
    "no final part": lines(PART, PART),
    "a line that is not JSON": lines(PART, "{response: two}\n", END),
    "a number": lines(PART, "5\n", END),
    "a list": lines(PART, "[1]\n", END),
    "null": lines(PART, "null\n"),
    "a text of the wrong type": lines(PART, '{"response": 5}\n', END),
    "a message of the wrong type": lines(PART, '{"message": "two"}\n', END),
    "thinking of the wrong type": lines(PART, '{"message": {"thinking": [1]}}\n', END),
    "tool calls of the wrong type": lines(PART, '{"message": {"tool_calls": 3}}\n', END),
    "counts of the wrong type": lines(PART, '{"done": true, "eval_count": "many"}\n'),
    "deep brackets": lines(PART, "[" * 100_000 + "\n", END),
    "deep objects": lines(PART, '{"a":' * 100_000 + "\n", END),
    "a number of 5,000 digits": lines(PART, '{"eval_count": ' + "9" * 5000 + "}\n", END),
    "cut UTF-8": lines(PART, b'{"response": "caf\xc3"}\n', END),
    "a zero byte": lines(PART, b"\x00\n", END),
    "an error of a strange kind": lines(PART, '{"error": 5}\n'),
    "an error of nothing": lines(PART, '{"error": null}\n'),
    "a page": page("200 OK", HTML, "text/html"),
    "no body": page("200 OK", "", LINES),
    "no content": b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
    "too long a length": page("200 OK", PART, LINES, Content_Length="4000"),
    "too short a length": page("200 OK", PART + END, LINES, Content_Length="20"),
    "a length that is none": page("200 OK", PART + END, LINES, Content_Length="many"),
    "broken chunks": lines().replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
    "broken gzip": page("200 OK", gzip.compress(END.encode())[:20], Content_Encoding="gzip"),
    "no gzip": page("200 OK", END, LINES, Content_Encoding="gzip"),
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "another HTTP": b"HTTP/7.5 200 Fine\r\n\r\n",
    "an endless header": b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 300_000,
    "a status that is none": b"HTTP/1.1 9999 What\r\n\r\n",
    "nothing": b"",
}
#: What stands in the place of a list.
LISTS = {
    "a page": page("200 OK", HTML, "text/html"),
    "models of the wrong type": page("200 OK", '{"models": "none"}'),
    "rows of the wrong type": page("200 OK", '{"models": [1, 2]}'),
    "a row without a name": page("200 OK", '{"models": [{}]}'),
    "sizes of the wrong type": page("200 OK", '{"models": [{"name": "a", "size": "big"}]}'),
    "deep brackets": page("200 OK", "[" * 100_000),
    "cut UTF-8": page("200 OK", b'{"models": [{"name": "caf\xc3'),
}


@pytest.fixture(scope="module")
def spoilt(ollama: daemon.Daemon) -> Iterator[Spoilt]:
    with Spoilt(ollama.url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def beyond(
    spoilt: Spoilt, tmp_path_factory: pytest.TempPathFactory, stack: ExitStack
) -> Iterator[Stdio]:
    with Stdio(tmp_path_factory.mktemp("beyond"), **told(spoilt.url)) as server:
        yield server


@pytest.fixture
def bad(scene: Scene, spoilt: Spoilt, beyond: Stdio) -> Iterator[Scene]:
    """The scene, but what answers may be spoilt."""
    found = Scene(beyond, beyond, scene.ollama, scene.wire, scene.figures)
    found.begin()
    yield found
    spoilt.answers.clear()
    spoilt.endless.clear()
    found.end()


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_that_is_garbage(bad: Scene, spoilt: Spoilt, kind: str) -> None:
    spoilt.answers["/api/generate"] = ANSWERS[kind]
    bad.error("daemon_error", "ollama_generate", **STORY)
    assert spoilt.asked.count("/api/generate") > 0


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_that_is_garbage(bad: Scene, spoilt: Spoilt, kind: str) -> None:
    for path in ("/api/ps", "/api/tags"):
        spoilt.answers[path] = LISTS[kind]
    bad.error("daemon_error", "ollama_ps")


@pytest.mark.parametrize("start", [b"", b'{"response": "'])
def test_a_line_without_an_end(bad: Scene, spoilt: Spoilt, start: bytes) -> None:
    spoilt.answers["/api/generate"] = lines(start)
    spoilt.endless["/api/generate"] = b"a" * 65536
    error = bad.error("daemon_error", "ollama_generate", within=30, **STORY)
    assert "without an end" in error["message"]


def test_a_refusal_without_an_end(bad: Scene, spoilt: Spoilt) -> None:
    spoilt.answers["/api/generate"] = page("500 Oh", "", Content_Length="")
    spoilt.endless["/api/generate"] = b"a" * 65536
    bad.error("daemon_error", "ollama_generate", within=30, **STORY)


REFUSALS = {
    "a key": ("401 Unauthorized", '{"error": "unauthorized"}', "unauthorized"),
    "a page for a key": ("401 Unauthorized", HTML, "unauthorized"),
    "a host": ("403 Forbidden", "", "permission_denied"),
    "another way": ("404 Not Found", HTML, "daemon_error"),
    "a size": ("413 Content Too Large", HTML, "too_large"),
    "too many": ("429 Too Many Requests", '{"error": "slow down"}', "rate_limited"),
    "a fault": ("500 Internal Server Error", '{"error": "boom"}', "daemon_error"),
    "a page for a fault": ("500 Internal Server Error", HTML, "daemon_error"),
    "a proxy's fault": ("502 Bad Gateway", HTML, "daemon_error"),
    "a proxy's patience": ("504 Gateway Timeout", HTML, "daemon_error"),
    "a move": ("302 Found", HTML, "daemon_error"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_refusal(bad: Scene, spoilt: Spoilt, kind: str) -> None:
    status, body, code = REFUSALS[kind]
    asked = len(spoilt.asked)
    for coding in ("utf-8", "hex"):
        how = f"text/html; charset={coding}"
        spoilt.answers["/api/generate"] = page(status, body, how, Location="http://127.0.0.1:9/")
        error = bad.error(code, "ollama_generate", **STORY)
        assert "<" not in str(error)
    assert spoilt.asked[asked:].count("/api/generate") == 2  # it is not asked again
