"""What is sent in place of a JSON-RPC message, or of an HTTP request."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from tests.wire import envelope


def frame(named: str, method: str = "tools/list", /, **params: Any) -> dict[str, Any]:
    """Return a request of the newer era."""
    told = {**params, "_meta": envelope()}
    return {"jsonrpc": "2.0", "id": named, "method": method, "params": told}


def _old(rest: str) -> bytes:
    return b'{"jsonrpc":"2.0",%s}' % rest.encode()


#: No message, by what is wrong; with the code of the error that stdio answers, None for silence.
BROKEN: dict[str, tuple[bytes, int | None]] = {
    "nothing": (b"", None),
    "blanks": (b"  \t ", None),
    "words": (b"hello", -32700),
    "half": (b'{"jsonrpc":"2.0","id":"x",', -32700),
    "nul": (b"\0\0\0", -32700),
    "nul within": (b'{"jsonrpc":"2.0","id":"a\0b","method":"ping"}', -32700),
    "half a character": (_old('"id":"\\ud800","method":"ping"'), -32700),
    "100,000 lists": (b"[" * 100_000, -32700),
    "100,000 objects": (b'{"a":' * 100_000, -32700),
    "deep parameters": (
        b'{"jsonrpc":"2.0","id":"x","method":"ping","params":{"a":%s%s}}'
        % (b"[" * 100_000, b"]" * 100_000),
        -32700,
    ),
    "a byte order mark": (b"\xef\xbb\xbf" + _old('"id":"x","method":"ping"'), -32700),
    "an endless number": (_old(f'"id":{"9" * 5000},"method":"ping"'), -32700),
    "a number": (b"5", -32600),
    "a text": (b'"x"', -32600),
    "null": (b"null", -32600),
    "an empty batch": (b"[]", -32600),
    "a batch": (json.dumps([frame("a"), frame("b")]).encode(), -32600),
    "an empty object": (b"{}", -32600),
    "no version": (b'{"id":"x","method":"ping"}', -32600),
    "version 1": (b'{"jsonrpc":"1.0","id":"x","method":"ping"}', -32600),
    "a number for a version": (b'{"jsonrpc":2.0,"id":"x","method":"ping"}', -32600),
    "no method": (_old('"id":"x"'), -32600),
    "a number for a method": (_old('"id":"x","method":5'), -32600),
    "a list of parameters": (_old('"id":"x","method":"ping","params":[1]'), -32600),
    "a text of parameters": (_old('"id":"x","method":"ping","params":"x"'), -32600),
    "an answer to nothing": (_old('"id":999,"result":{}'), None),
    "an error to nothing": (_old('"id":null,"error":{"code":-1,"message":"x"}'), None),
    "a broken error": (_old('"id":"x","error":{"code":"x"}'), None),
    "a number with a point for an id": (_old('"id":1.5,"method":"notifications/x"'), None),
    "an object for an id": (_old('"id":{},"method":"notifications/x"'), None),
    "a cancellation of nothing": (
        _old('"method":"notifications/cancelled","params":{"requestId":{}}'),
        None,
    ),
    "progress of nothing": (
        _old('"method":"notifications/progress","params":{"progressToken":[],"progress":"x"}'),
        None,
    ),
    "an unknown notification": (_old('"method":"notifications/alien","params":{"x":1}'), None),
}
#: Messages, with which something else is wrong; each is answered with its id.
ODD: list[dict[str, Any]] = [
    frame("odd", "alien/method"),
    frame("odd", "notifications/initialized"),
    frame("odd", "tools/call"),
    frame("odd", "tools/call", name=5, arguments={}),
    frame("odd", "tools/call", name="ollama_list", arguments=[1]),
    frame("odd", "tools/call", name="alien\0", arguments={}),
    frame("odd", "tools/list", cursor="alien"),
    frame("odd", "resources/read", uri="alien:///x"),
    frame("odd", "resources/read", uri="no address"),
    frame("odd", "resources/read", uri="file:///etc/passwd"),
    frame("odd", "prompts/get", name="alien"),
    frame("odd", "completion/complete", ref={"type": "x"}, argument={}),
    frame("odd", "logging/setLevel", level="alien"),
    frame("odd", "initialize", protocolVersion=5),
    {"jsonrpc": "2.0", "id": "odd", "method": "tools/list", "params": {"_meta": 5}},
    {"jsonrpc": "2.0", "id": "odd", "method": "initialize"},
    {"jsonrpc": "2.0", "id": "odd", "method": "tools/list", "result": {}},
]

SEEDS = [
    json.dumps(frame("seed", "tools/call", name="ollama_list", arguments={"limit": 1})).encode(),
    json.dumps(frame("seed")).encode(),
    _old('"id":"seed","method":"initialize","params":{"protocolVersion":"2025-11-25"}'),
    _old('"method":"notifications/cancelled","params":{"requestId":"seed"}'),
]
PIECES = [b"{", b"}", b"[", b'"', b"\0", b"\xff", b"\\u", b"null", b"1e9", b",", b":", b"\r", b"-"]


@st.composite
def torn(draw: st.DrawFn) -> bytes:
    """Return a message in which some bytes are gone, changed or more; it is one line."""
    made = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(made)))
        end = min(len(made), start + draw(st.sampled_from([0, 1, 1, 2, 8, 40])))
        piece = draw(st.one_of(st.just(b""), st.sampled_from(PIECES), st.binary(max_size=3)))
        made[start:end] = piece
    return bytes(made).replace(b"\n", b" ")


#: Headers of MCP and of HTTP, and what may stand in them.
HEADERS = [
    *("MCP-Protocol-Version", "Mcp-Session-Id", "Mcp-Method", "Mcp-Name", "Mcp-Param-X"),
    *("Accept", "Content-Type", "Content-Encoding", "Origin", "Host", "Last-Event-ID", "Expect"),
    *("Authorization", "X-Api-Key", "Upgrade", "Transfer-Encoding", "Content-Length", "Cookie"),
]
VALUES = st.one_of(
    st.sampled_from(
        [
            *(b"", b" ", b"*", b"null", b"x" * 5000, b"\xff\xfe", b"a\0b", b"-1", b"1e9", b"../x"),
            *(b"1999-01-01", b"2026-07-28, 2025-11-25", b"*/*;q=zz", b"text/html", b"gzip"),
            *(b"http://evil.example", b"evil.example", b"Bearer", b"Bearer \xff", b"identity"),
            *(
                b"0" * 32,
                b"a-1",
                b"application/json; charset=utf-16",
                b"websocket",
                b"100-continue",
            ),
        ]
    ),
    st.binary(max_size=20).map(lambda some: some.replace(b"\r", b"").replace(b"\n", b"")),
)
JSON_TYPE = b"Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
#: What is no HTTP, or hardly; %H is the server's name.
RAW: dict[str, bytes] = {
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" * 10,
    "half a line": b"GET / HTTP/1.1",
    "half a head": b"GET /health HTTP/1.1\r\nHost: %H\r\nX: ",
    "another version": b"GET / HTTP/9.9\r\nHost: %H\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a proxy's request": b"GET http://evil.example/ HTTP/1.1\r\nHost: %H\r\n\r\n",
    "CONNECT": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: %H\r\n\r\n",
    "two lengths": b"POST /mcp HTTP/1.1\r\nHost: %H\r\nContent-Length: 5\r\n"
    b"Content-Length: 6\r\n\r\nhello",
    "length and pieces": b"POST /mcp HTTP/1.1\r\nHost: %H\r\n" + JSON_TYPE
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /x HTTP/1.1\r\n\r\n",
    "a broken piece": b"POST /mcp HTTP/1.1\r\nHost: %H\r\n" + JSON_TYPE
    + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    "a broken piece elsewhere": b"POST /alien HTTP/1.1\r\nHost: %H\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\n",
    "a huge piece": b"POST /mcp HTTP/1.1\r\nHost: %H\r\n" + JSON_TYPE
    + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nxx\r\n",
    "half a body": b"POST /mcp HTTP/1.1\r\nHost: %H\r\n" + JSON_TYPE
    + b"Content-Length: 100\r\n\r\n{",
    "half a body of the newer era": b"POST /mcp HTTP/1.1\r\nHost: %H\r\n" + JSON_TYPE
    + b"MCP-Protocol-Version: 2026-07-28\r\nContent-Length: 100\r\n\r\n{",
    "3,000 headers": b"GET /health HTTP/1.1\r\nHost: %H\r\n"
    + b"".join(b"X-%d: y\r\n" % number for number in range(3000)) + b"\r\n",
    "a huge header": b"GET /health HTTP/1.1\r\nHost: %H\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
    "a huge path": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: %H\r\n\r\n",
    "an odd path": b"GET /%00%ff%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nHost: %H\r\n\r\n",
    "two names": b"GET /health HTTP/1.1\r\nHost: %H\r\nHost: evil.example\r\n\r\n",
    "no name": b"GET /health HTTP/1.0\r\n\r\n",
    "a websocket": b"GET /mcp HTTP/1.1\r\nHost: %H\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "TRACE": b"TRACE / HTTP/1.1\r\nHost: %H\r\n\r\n",
    "a folded header": b"GET /health HTTP/1.1\r\nHost: %H\r\n X: y\r\n\r\n",
    "many at once": b"GET /health HTTP/1.1\r\nHost: %H\r\n\r\n" * 50,
    "noise after requests": b"GET /health HTTP/1.1\r\nHost: %H\r\n\r\n" * 3 + b"\0\0noise\r\n\r\n",
    "noise during an answer": b"GET /mcp HTTP/1.1\r\nHost: %H\r\nAccept: text/event-stream\r\n"
    b"Mcp-Session-Id: %S\r\nMCP-Protocol-Version: 2025-11-25\r\n\r\n\0\0noise\r\n\r\n",
}  # fmt: skip
