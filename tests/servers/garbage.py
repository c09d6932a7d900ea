"""Sends lines that are no JSON-RPC between its answers, and its start-up banner first."""

import os
import sys

from _lines import reader, serve, text

GARBAGE = (
    b"Starting up...\n\n",
    b"null\n[1, 2]\n42\n",
    b'{"not": "rpc"}\n{broken\n',
    b"\xff\xfe\x00\n",
    b'{"jsonrpc": "2.0", "id": 999, "result": {}}\n',
)


def litter():
    sys.stdout.flush()
    for line in GARBAGE:
        os.write(1, line)


def call(name, arguments, message):
    litter()
    return text(f"the answer to {name}")


litter()
serve([reader("clean")], call)
