"""Floods its output when called: with lines, or with one line that never ends."""

import os

from _lines import notify, reader, serve


def call(name, arguments, message):
    while name == "lines":
        os.write(1, b"y\n" * 32768)
    while name == "line":
        os.write(1, b"x" * 65536)
    while True:
        notify("notifications/message", level="info", data="chatter")


serve([reader("lines"), reader("line"), reader("notes")], call)
