"""What the protocol says that servers MUST and SHOULD do, on the wire, in the words of the spec.

MCP 2026-07-28: base protocol, Streamable HTTP, stdio, tools, pagination. The rest of it is held by
the official conformance suite, and by the tests that docs/conformance.md names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.conftest import CHAT, EMBEDDER, HELLO
from tests.fake_ollama import FakeOllama
from tests.wire import NEW, Http, Stdio, call_params

Answered = tuple[int, dict[str, str], Any]


@pytest.fixture(scope="module")
def http(one_daemon: FakeOllama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http]:
    with Http(tmp_path_factory.mktemp("http"), OLLAMA_HOST=one_daemon.url) as server:
        yield server


@pytest.fixture(scope="module")
def stdio(one_daemon: FakeOllama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stdio]:
    with Stdio(tmp_path_factory.mktemp("stdio"), OLLAMA_HOST=one_daemon.url) as server:
        yield server


def post(server: Http, body: Any, *, verb: str = "POST", **changed: str | None) -> Answered:
    """Send a body with the headers that it should have, some of them changed or left out."""
    said = body if isinstance(body, dict) else {}
    given = said.get("params", {})
    headers = server.headers_for(said.get("method", ""), given.get("name", given.get("uri", "")))
    for name, value in changed.items():
        name = name.replace("_", "-")
        headers = {key: kept for key, kept in headers.items() if key != name}
        headers |= {} if value is None else {name: value}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection = HTTPConnection(server.host, server.port, timeout=20)
    try:
        connection.request(verb, server.path, raw, headers)
        response = connection.getresponse()
        text = response.read()
        kind = response.headers.get_content_type()
        told = json.loads(text) if kind == "application/json" and text else text
        return response.status, {k.lower(): v for k, v in response.getheaders()}, told
    finally:
        connection.close()


# --- Streamable HTTP ------------------------------------------------------------------------------


def test_the_header_must_match_the_version_of_the_body(http: Http) -> None:
    status, _, told = post(http, http.message("tools/list"), MCP_Protocol_Version="2031-01-01")
    assert (status, told["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize("given", ["tools/call", " TOOLS/LIST ", None])
def test_the_header_must_match_the_method_of_the_body(http: Http, given: str | None) -> None:
    status, _, told = post(http, http.message("tools/list"), Mcp_Method=given)
    assert (status, told["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize("given", ["ollama_ps", None])
def test_the_header_must_match_the_name_in_the_body(http: Http, given: str | None) -> None:
    message = http.message("tools/call", call_params("ollama_list", {}))
    status, _, told = post(http, message, Mcp_Name=given)
    assert (status, told["error"]["code"]) == (400, -32020)


@pytest.mark.parametrize("given", ["application/json", "text/html", None])
def test_the_client_must_accept_json_and_event_streams(http: Http, given: str | None) -> None:
    assert post(http, http.message("tools/list"), Accept=given)[0] == 406


def test_a_body_must_be_json(http: Http) -> None:
    assert post(http, http.message("tools/list"), Content_Type="text/plain")[0] in (400, 415)
    for raw in (b"{nope", b"", b"\xff\xfe", b'{"jsonrpc": "2.0"'):
        status, _, told = post(http, raw)
        assert (status, told["error"]["code"], told["id"]) == (400, -32700, None)


def test_a_body_must_be_one_message_and_no_batch(http: Http) -> None:
    message = http.message("tools/list")
    for body in ([message], [], [message, message], {**message, "id": None}, 5, "text", None):
        status, _, told = post(http, body)
        assert (status, told["error"]["code"]) == (400, -32600)


def test_a_notification_is_answered_202_without_a_body(http: Http) -> None:
    meta = http.message("x")["params"]["_meta"]
    gone = {"requestId": 99, "_meta": meta}
    note = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": gone}
    status, _, told = post(http, note)
    assert (status, told) == (202, b"")


@pytest.mark.parametrize("verb", ["GET", "DELETE", "PUT", "PATCH"])
def test_other_verbs_are_answered_405(http: Http, verb: str) -> None:
    assert post(http, b"", verb=verb)[0] == 405


def test_an_event_stream_is_not_to_be_buffered(http: Http) -> None:
    message = http.message("tools/call", call_params("ollama_chat", CHATS, "a token"))
    status, headers, _ = post(http, message)
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/event-stream")
    assert headers["x-accel-buffering"] == "no"
    assert "no-cache" in headers["cache-control"]


def test_an_unknown_method_is_answered_404(http: Http) -> None:
    status, _, told = post(http, http.message("nope/nope"))
    assert (status, told["error"]["code"]) == (404, -32601)


# --- the base protocol ----------------------------------------------------------------------------

CHATS = {"model": CHAT, "messages": HELLO}


def test_a_version_that_is_not_known_is_refused_with_those_that_are(stdio: Stdio) -> None:
    message = stdio.message("tools/list")
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2031-01-01"
    error = stdio.sent(message).reply()["error"]
    assert (error["code"], error["data"]["supported"]) == (-32022, [NEW])


def test_a_resource_that_is_not_there_is_32602_with_its_uri(stdio: Stdio) -> None:
    uri = "ollama://models/nobody"
    error = stdio.request("resources/read", {"uri": uri})["error"]
    assert (error["code"], error["data"]["uri"]) == (-32602, uri)


@pytest.mark.parametrize(
    "method", ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]
)
def test_a_cursor_that_was_never_given_should_be_refused(stdio: Stdio, method: str) -> None:
    assert stdio.request(method, {"cursor": "made up"})["error"]["code"] == -32602


@pytest.mark.parametrize("number", ["text", 0, -1, 2**53, "ünï"])
def test_an_answer_has_the_id_of_its_request(stdio: Stdio, number: Any) -> None:
    reply = stdio.sent({**stdio.message("tools/list"), "id": number}).reply()
    assert reply["id"] == number
    assert type(reply["id"]) is type(number)


def test_each_result_says_its_type_and_whose_it_is(stdio: Stdio) -> None:
    for method in ("tools/list", "prompts/list", "resources/list", "server/discover"):
        result = stdio.result(method)
        assert result["resultType"] == "complete"
        assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["version"]


# --- tools ----------------------------------------------------------------------------------------


def test_the_order_of_tools_should_stay(stdio: Stdio) -> None:
    first, second = (stdio.result("tools/list")["tools"] for _ in range(2))
    assert first == second


def test_names_of_tools_should_be_of_few_signs(stdio: Stdio) -> None:
    for tool in stdio.result("tools/list")["tools"]:
        assert 1 <= len(tool["name"]) <= 128
        assert tool["name"].replace("_", "").isascii()
        assert tool["name"].replace("_", "").isalnum()


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("ollama_list", {}),
        ("ollama_ps", {}),
        ("ollama_show", {"model": CHAT}),
        ("ollama_chat", CHATS),
        ("ollama_generate", {"model": CHAT, "prompt": "Hello"}),
        ("ollama_embed", {"model": EMBEDDER, "input": ["a"], "vectors": True}),
        ("ollama_show", {"model": "nobody"}),
        ("ollama_chat", {"model": CHAT, "messages": [], "nonsense": 1}),
    ],
)
def test_structured_content_must_be_of_the_output_schema_and_stand_as_text_too(
    stdio: Stdio, tool: str, arguments: dict[str, Any]
) -> None:
    listed = {one["name"]: one for one in stdio.result("tools/list")["tools"]}
    result = stdio.call(tool, **arguments)
    Draft202012Validator(listed[tool]["outputSchema"]).validate(result["structuredContent"])
    assert result["content"][0]["text"]


def test_schemas_of_tools_are_valid_of_their_dialect(stdio: Stdio) -> None:
    for tool in stdio.result("tools/list")["tools"]:
        for schema in (tool["inputSchema"], tool.get("outputSchema", {"type": "object"})):
            Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object"


# --- stdio ----------------------------------------------------------------------------------------


def test_a_message_must_hold_no_line_break(stdio: Stdio, one_daemon: FakeOllama) -> None:
    words = {"role": "assistant", "content": "two\nlines\r\nand\u2028more"}
    said = {"model": CHAT, "message": words, "done": True, "done_reason": "stop"}
    one_daemon.reply("/api/chat", said)
    content = stdio.call("ollama_chat", **CHATS)["structuredContent"]["content"]
    assert content == "two\nlines\r\nand\u2028more"  # each line that came was a whole message


def test_nothing_is_said_of_a_request_after_it_was_cancelled(
    stdio: Stdio, one_daemon: FakeOllama
) -> None:
    def chats() -> int:
        return sum(one.path == "/api/chat" for one in one_daemon.requests)

    before = chats()
    one_daemon.hold("/api/chat")
    call = stdio.start("ollama_chat", CHATS)
    one_daemon.wait_for(lambda: chats() > before, 20)
    stdio.cancel(call)
    one_daemon.release("/api/chat")
    assert stdio.call("ollama_list")["structuredContent"]["models"]
    after = [item for item in stdio.inbox.items if item.get("id") == call.id]
    assert not after
