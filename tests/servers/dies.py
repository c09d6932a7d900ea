"""Dies in the middle of a call; notes each start and each call in the file that it is given."""

import os
import sys
from pathlib import Path

from _lines import reader, serve, text, tool

NOTES = Path(sys.argv[1])


def note(words):
    with NOTES.open("a") as notes:
        notes.write(f"{words}\n")


def call(name, arguments, message):
    note(name)
    if name == "pid":
        return text(str(os.getpid()))
    if name == "look" and NOTES.read_text().count("look") > 1:
        return text("seen the second time")
    sys.stderr.write(f"about to die of {name}, the key is {os.environ.get('SECRET_KEY')}\n")
    sys.stderr.flush()
    os._exit(7)


note("start")
serve([reader("pid"), reader("look"), reader("doom"), tool("write")], call)
