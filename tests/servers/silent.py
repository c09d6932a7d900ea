"""Answers nothing but the three methods of the minimal example: an era probe meets silence."""

import sys
from pathlib import Path

from _lines import initialized, messages, reader, send, text

for message in messages():
    method, number = message.get("method"), message.get("id")
    with Path(sys.argv[1]).open("a") as notes:
        notes.write(f"{method}\n")
    if method == "initialize":
        send({"id": number, "result": initialized()})
    elif method == "tools/list":
        send({"id": number, "result": {"tools": [reader("work")]}})
    elif method == "tools/call":
        send({"id": number, "result": text("worked")})
