"""Answers no call, and notes what it is told to stop; `deaf` reads nothing any more."""

import json
import sys
import time
from pathlib import Path

from _lines import initialized, messages, reader, send, text

NOTES = Path(sys.argv[1])

for message in messages():
    method, number = message.get("method"), message.get("id")
    if method == "initialize":
        send({"id": number, "result": initialized()})
    elif method == "tools/list":
        tools = [reader("wait"), reader("deaf"), reader("hello")]
        send({"id": number, "result": {"tools": tools}})
    elif method == "tools/call" and message["params"]["name"] == "hello":
        send({"id": number, "result": text("hello")})
    elif method == "tools/call" and message["params"]["name"] == "deaf":
        time.sleep(1000)
    elif method == "notifications/cancelled":
        NOTES.write_text(json.dumps(message["params"]))
    elif method == "ping":
        send({"id": number, "result": {}})
