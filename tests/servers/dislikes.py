"""Dies of any question before `initialize`, as some old servers do."""

import sys

from _lines import initialized, messages, reader, send, text

is_initialized = False
for message in messages():
    method, number = message.get("method"), message.get("id")
    if method == "initialize":
        is_initialized = True
        send({"id": number, "result": initialized()})
    elif not is_initialized:
        sys.exit("not initialized")
    elif method == "tools/list":
        send({"id": number, "result": {"tools": [reader("work")]}})
    elif method == "tools/call":
        send({"id": number, "result": text("worked")})
