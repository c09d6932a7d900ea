"""MCP as lines of JSON, as far as the servers of the tests need it; nothing is imported of ours."""

import json
import sys

VERSION = "2025-06-18"


def send(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()


def notify(method, **params):
    send({"method": method, "params": params})


def tool(name, **more):
    schema = {"type": "object", "properties": {}}
    return {"name": name, "description": f"Do {name}", "inputSchema": schema, **more}


def reader(name):
    """A tool that says that it changes nothing."""
    return tool(name, annotations={"readOnlyHint": True})


def text(words):
    return {"content": [{"type": "text", "text": words}]}


def initialized(tools=None):
    return {
        "protocolVersion": VERSION,
        "capabilities": {"tools": tools or {}},
        "serverInfo": {"name": "a test's", "version": "1"},
    }


def messages():
    """Yield what the client says."""
    for line in sys.stdin:
        yield json.loads(line)


def serve(tools, call, capabilities=None):
    """Serve `tools`, a list; `call(name, arguments, message)` gives a result, or None for none."""
    for message in messages():
        method, number = message.get("method"), message.get("id")
        if number is None:
            continue
        if method == "initialize":
            send({"id": number, "result": initialized(capabilities)})
        elif method == "tools/list":
            send({"id": number, "result": {"tools": tools}})
        elif method == "tools/call":
            asked = message["params"]
            result = call(asked["name"], asked.get("arguments") or {}, message)
            if result is not None:
                send({"id": number, "result": result})
        elif method == "ping":
            send({"id": number, "result": {}})
        else:
            send({"id": number, "error": {"code": -32601, "message": "Method not found"}})
