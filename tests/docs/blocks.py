"""The documentation as tests read it: pages, their fenced blocks, and the commands in those."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^( *)```([a-z]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
#: A command line within a line of text: of ours, or a host's that names ours.
MENTION = re.compile(
    r"`((?:[A-Z_]+=[^` ]+ )*(?:uvx )?ollama-mcp-server [^`…]+"
    r"|(?:claude|codex|gemini|code) [^`…]*ollama-mcp-server[^`…]*)`"
)
#: What is written where a value stands that nobody can know: `$(…)`, `<(…)`, a variable.
SUBSTITUTED = re.compile(r"[$<]\(([^()]*)\)|\$[A-Z_]+")
ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
#: A value in the place of a substituted one: long enough for a token.
STANDS_FOR = "0123456789abcdef" * 4


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One simple command of a shell: what is set for it, its words, where it stands."""

    words: list[str]
    variables: dict[str, str]
    block: Block

    def __str__(self) -> str:
        return f"{self.block}-{shlex.join(self.words)[:40]}"


def blocks(*languages: str) -> list[Block]:
    """Return the blocks of all pages in some languages; without any, every block."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for fence in FENCE.finditer(text):
            if not languages or fence[2] in languages:
                inner = re.sub(f"^{fence[1]}", "", fence[3], flags=re.MULTILINE)
                line = text.count("\n", 0, fence.start()) + 1
                found.append(Block(page, line, fence[2], inner))
    return found


def script(block: Block) -> str:
    """Return what is typed: of a console's block the lines after the prompt."""
    if block.language != "console":
        return block.text
    typed: list[str] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            typed.append(line[2:])
        elif typed and not _is_whole(typed[-1]):
            typed[-1] += f"\n{line}"
    return "\n".join(typed) + "\n"


def commands() -> list[Command]:
    """Return every simple command in the shell blocks of all pages.

    What a line sets that has no words of its own counts for the commands after it.
    """
    found = []
    for block in blocks("sh", "bash", "console"):
        held: dict[str, str] = {}
        for statement in _statements(script(block)):
            for typed in _split(statement):
                words, variables = _parted(typed)
                if words:
                    found.append(Command(words, {**held, **variables}, block))
                else:
                    held |= variables
        if held and not (found and found[-1].block is block):
            found.append(Command([], held, block))
    return found


def mentions() -> list[Command]:
    """Return the command lines of ours that stand within a line of text."""
    found = []
    for page in PAGES:
        prose = FENCE.sub("", page.read_text(encoding="utf-8"))
        for text in MENTION.findall(prose):
            block = Block(page, 0, "", text)
            for typed in _split(text):
                words, variables = _parted(typed)
                if len(words) > 2:  # else it is a command's name
                    found.append(Command(words, variables, block))
    return found


def _statements(text: str) -> Iterator[str]:
    """Yield the lines of a script, each with those that belong to it."""
    held = ""
    for line in text.splitlines():
        held += line
        if held.endswith("\\"):
            held = f"{held[:-1]} "
        elif held.rstrip().endswith("|") or not _is_whole(held):
            held += "\n"
        else:
            yield held
            held = ""
    assert not held, held


def _is_whole(text: str) -> bool:
    try:
        shlex.split(text, comments=True)
    except ValueError:  # a quotation that is not closed
        return False
    return True


def _split(statement: str) -> Iterator[list[str]]:
    """Yield the words of each command of a line: those of a pipe, of a list, within `$(…)`."""
    for inner in SUBSTITUTED.finditer(statement):
        if inner[1]:
            yield shlex.split(inner[1])
    plain = SUBSTITUTED.sub(STANDS_FOR, statement)
    reader = shlex.shlex(plain, posix=True, punctuation_chars="|&;>")
    reader.whitespace_split = True
    reader.commenters = "#"
    words: list[str] = []
    goes_to_a_file = False
    for word in [*reader, ";"]:
        if set(word) <= set("|&;>"):
            if words and not goes_to_a_file:
                yield words
            words, goes_to_a_file = [], set(word) == {">"}
        else:
            words.append(word)


def _parted(typed: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return a command's words, and what is set before them; without `export` and `sudo`."""
    variables: dict[str, str] = {}
    words = list(typed)
    while words and (words[0] in {"export", "sudo"} or ASSIGNMENT.fullmatch(words[0])):
        if given := ASSIGNMENT.fullmatch(words.pop(0)):
            variables[given[1]] = given[2]
    return words, variables
