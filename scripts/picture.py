"""Draw pictures from real runs: `make picture` writes docs/pictures/run.svg and hosts.svg.

Each command runs at a terminal of its own. `run` asks a real model of the daemon that OLLAMA_HOST
names, with a real MCP server for files; the hosts are the published ones, each told of the server
by `install`. What stands on the screen at the end is drawn; long paths alone are replaced.
"""

from __future__ import annotations

import json
import os
import pty
import re
import shlex
import subprocess
import sysconfig
import tempfile
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

from scripts.testbed import cache, models, servers
from scripts.testbed.node import modules, program

WIDTH, HEIGHT = 92, 40
ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
COMMAND = Path(sysconfig.get_path("scripts"), "ollama-mcp-server")
NOTES = "The secret word is zebra4711.\n"
#: Those that so small a model is offered: of a dozen it takes the wrong one, or none.
TOOLS = ["list_directory", "read_text_file"]
TASK = "Read the file {}/notes.txt and tell me what it says, in one sentence."
#: What asks a terminal for another keyboard, which pyte takes for text.
KEYBOARD = re.compile(rb"\x1b\[[<>=?]\d*u")
#: pyte's names of colours that rich calls otherwise.
COLOURS = {"default": None, "brown": "yellow", "brightblack": "bright_black"}


def main() -> None:
    """Draw each picture."""
    for name, draw in (("run", run), ("hosts", hosts)):
        file = PICTURES / f"{name}.svg"
        file.write_text(draw())
        print(f"wrote {file}")


def hosts() -> str:
    """Have each host told of the server, and let it list what it has."""
    packages = modules(ROOT / "tests" / "clients" / "hosts", cache.folder())
    programs = {
        "claude": [next(packages.glob("@anthropic-ai/claude-code-*/claude*"))],
        "gemini": [program(), packages / "@google/gemini-cli/bundle/gemini.js"],
        "codex": [program(), packages / "@openai/codex/bin/codex.js"],
    }
    console = recorder()
    # not in /tmp, of which Codex warns; the path is short, so that no line with it is cut
    with tempfile.TemporaryDirectory(dir=Path.home(), prefix=".") as folder:
        bin_folder = Path(folder, "bin")
        bin_folder.mkdir()
        for name, words in programs.items():
            file = bin_folder / name
            file.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
            file.chmod(0o755)
        env = {"PATH": f"{bin_folder}:{os.environ['PATH']}", "HOME": folder}
        env |= {"TERM": "xterm-256color", "COLUMNS": str(WIDTH), "LINES": str(HEIGHT)}
        env |= {"GEMINI_CLI_TRUST_WORKSPACE": "true"}
        for client, name in (("claude-code", "claude"), ("gemini", "gemini"), ("codex", "codex")):
            for told, command in (
                (f"ollama-mcp-server install {client}", [str(COMMAND), "install", client, "--yes"]),
                (f"{name} mcp list", [str(bin_folder / name), "mcp", "list"]),
            ):
                console.print(Text("$ ", "bold green").append(told, "bold"))
                for line in shown(command, env, folder):
                    line = replaced(line, str(COMMAND), "ollama-mcp-server", console)
                    console.print(replaced(line, folder, "~", console))
            console.print()
    return drawn(console, "hosts")


def run() -> str:
    """Run a model with tools and without, below each other."""
    with tempfile.TemporaryDirectory(prefix="work") as folder:
        Path(folder, "notes.txt").write_text(NOTES)
        file = Path(folder, "servers.json")
        offered = {**servers.filesystem(cache.folder()), "allow": TOOLS}
        file.write_text(json.dumps({"servers": [offered]}))
        env = {**os.environ, "OLLAMA_MCP_SERVERS_FILE": str(file), "TERM": "xterm-256color"}
        env |= {"COLUMNS": str(WIDTH), "LINES": str(HEIGHT), "HOME": folder}
        console = recorder()
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
        return drawn(console, "run")


def recorder() -> Console:
    """Return a console that remembers what is printed, and prints nothing."""
    return Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True)


def shown(command: list[str], env: dict[str, str], folder: str | None = None) -> list[Text]:
    """Return the lines that a command leaves on its screen."""
    screen = pyte.Screen(WIDTH, HEIGHT)
    stream = pyte.ByteStream(screen)
    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        command, env=env, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    with suppress(OSError):  # how a terminal says that its last process has gone
        while piece := os.read(ours, 65536):
            stream.feed(KEYBOARD.sub(b"", piece))
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


def drawn(console: Console, name: str) -> str:
    """Return the recording as SVG, in a font that the reader has: it asks for none elsewhere."""
    svg = console.export_svg(title="ollama-mcp-server", unique_id=name)
    svg = re.sub(r"@font-face \{[^}]*\}\s*", "", svg)
    return svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")


if __name__ == "__main__":
    main()
