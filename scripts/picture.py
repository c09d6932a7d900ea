"""Draw the README's picture from a real run: `make picture` writes docs/pictures/run.svg.

The command runs at a terminal of its own against the daemon that OLLAMA_HOST names, with a real
model and a real MCP server for files. What stands on the screen at the end is drawn; the one thing
that is replaced is the long path of the folder.
"""

from __future__ import annotations

import json
import os
import pty
import shlex
import subprocess
import sysconfig
import tempfile
from contextlib import suppress
from io import StringIO
from pathlib import Path
from re import sub

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

from scripts.testbed import cache, models, servers

WIDTH, HEIGHT = 92, 30
TARGET = Path(__file__).parents[1] / "docs" / "pictures" / "run.svg"
COMMAND = Path(sysconfig.get_path("scripts"), "ollama-mcp-server")
NOTES = "The secret word is zebra4711.\n"
#: Those that so small a model is offered: of a dozen it takes the wrong one, or none.
TOOLS = ["list_directory", "read_text_file"]
TASK = "Read the file {}/notes.txt and tell me what it says, in one sentence."
#: pyte's names of colours that rich calls otherwise.
COLOURS = {"default": None, "brown": "yellow", "brightblack": "bright_black"}


def main() -> None:
    """Run the commands, and draw them below each other."""
    with tempfile.TemporaryDirectory(prefix="work") as folder:
        Path(folder, "notes.txt").write_text(NOTES)
        file = Path(folder, "servers.json")
        offered = {**servers.filesystem(cache.folder()), "allow": TOOLS}
        file.write_text(json.dumps({"servers": [offered]}))
        env = {**os.environ, "OLLAMA_MCP_SERVERS_FILE": str(file), "TERM": "xterm-256color"}
        env |= {"COLUMNS": str(WIDTH), "LINES": str(HEIGHT), "HOME": folder}
        console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)
        for arguments in (
            ["run", models.CHAT, "--tools", folder, TASK.format(folder)],
            ["run", models.CHAT, "What is the capital of France?"],
        ):
            told = shlex.join(["ollama-mcp-server", *arguments]).replace(folder, "~/work")
            console.print(Text("$ ", "bold green").append(told, "bold"))
            for line in shown([str(COMMAND), *arguments], env):
                console.print(replaced(line, folder, "~/work", console))
            console.print()
        if TOOLS[-1] not in console.export_text(clear=False):
            raise SystemExit("the model called no tool this time; draw again")
        TARGET.write_text(drawn(console))
    print(f"wrote {TARGET}")


def shown(command: list[str], env: dict[str, str]) -> list[Text]:
    """Return the lines that a command leaves on its screen."""
    screen = pyte.Screen(WIDTH, HEIGHT)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    child = subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    with suppress(OSError):  # how a terminal says that its last process has gone
        while piece := os.read(ours, 65536):
            stream.feed(piece)
    os.close(ours)
    if child.wait():
        raise SystemExit(f"{shlex.join(command)} failed:\n" + "\n".join(screen.display))
    lines = [row(screen, number) for number in range(HEIGHT)]
    while lines and not lines[-1].plain.strip():
        lines.pop()
    return lines


def row(screen: pyte.Screen, number: int) -> Text:
    """Return one line of a screen, with its colours."""
    line = Text()
    for column in range(WIDTH):
        cell = screen.buffer[number][column]
        style = Style(
            color=COLOURS.get(cell.fg, cell.fg), bold=cell.bold, italic=cell.italics or None
        )
        line.append(cell.data, style)
    line.rstrip()
    return line


def replaced(line: Text, old: str, new: str, console: Console) -> Text:
    """Return a line with a text replaced, in the colour in which that begins."""
    place = line.plain.find(old)
    if place < 0:
        return line
    before, _, after = line.divide([place, place + len(old)])
    return Text().join([before, Text(new, line.get_style_at_offset(console, place)), after])


def drawn(console: Console) -> str:
    """Return the recording as SVG, in a font that the reader has: it asks for none elsewhere."""
    svg = console.export_svg(title="ollama-mcp-server", unique_id="run")
    svg = sub(r"@font-face \{[^}]*\}\s*", "", svg)
    return svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")


if __name__ == "__main__":
    main()
