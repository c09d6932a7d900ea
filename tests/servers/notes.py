"""Notes: one can be read, listed and deleted; what was done is told on stderr."""

import sys

from _lines import reader, serve, text, tool

NOTES = {"shopping": "milk and bread", "token": "the token is 4711"}
NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def call(name, arguments, message):
    sys.stderr.write(f"{name} {arguments}\n")
    if name == "list":
        return text(", ".join(NOTES))
    found = NOTES.get(arguments["name"])
    if found is None:
        return {**text(f"there is no note {arguments['name']}"), "isError": True}
    if name == "delete":
        del NOTES[arguments["name"]]
        return text("deleted")
    return text(found)


serve(
    [
        reader("list"),
        {**reader("read"), "inputSchema": NAME},
        {**tool("delete", annotations={"destructiveHint": True}), "inputSchema": NAME},
    ],
    call,
)
