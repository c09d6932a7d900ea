"""Let a local model read files, so that only what they come to is in the conversation."""

import json
from typing import Any

from fastmcp.prompts import prompt

from ..errors import InvalidArgument
from ._words import REFUSED, TOO_LONG, call, paths, quoted


@prompt(title="Summarize files with a local model")
def summarize_files(files: str, focus: str = "", model: str = "") -> str:
    """Summarize files without reading them into the conversation; a question can be answered too.

    Args:
        files: Paths or patterns, separated by commas: README.md, docs/*.md.
        focus: What matters, or a question that the files answer. Default: all of it.
        model: Model that reads them. Default: the one that the server picks.
    """
    wanted = f"Above all: {focus.strip()}" if focus.strip() else ""
    task = (
        "Summarize each file in two or three sentences under its name, then all of them together "
        f"in at most five. Say only what the files say. {wanted}"
    ).strip()
    asked = call("ollama_generate", files=paths(files), prompt=task, model=model)
    return f"""\
Summarize files with a local model. Do not read them yourself: the server reads them, and only \
the summary comes back. Call once:

{asked}

{TOO_LONG} {REFUSED}
Give me the summary as it came, with its warnings, and name the model that made it."""


@prompt(title="Extract data with a local model")
def extract_to_schema(schema: str, files: str = "", text: str = "", model: str = "") -> str:
    """Turn files or a text into JSON that follows a schema.

    Args:
        schema: JSON Schema of the result, or its fields in words: name, date, total in euros.
        files: Paths or patterns, separated by commas; the server reads them.
        text: The text itself, instead of files.
        model: Model that extracts. Default: the one that the server picks.
    """
    if not files.strip() and not text.strip():
        raise InvalidArgument("extract_to_schema has nothing to extract from", "Give files or text")
    form = _schema(schema)
    task = "Extract what the schema asks for. Use only what is there; leave out what is not."
    asked = call(
        "ollama_generate",
        files=paths(files),
        prompt=f"{task} …" if text.strip() else task,
        format=form or "…",
        model=model,
    )
    notes = []
    if text.strip():
        notes.append(f"In place of … in prompt put this text, unchanged:\n\n{quoted('text', text)}")
    if not form:
        notes.append(
            "In place of … in format put a JSON Schema (type object, each field with a type, the "
            f"certain ones required) for this:\n\n{quoted('fields', schema)}"
        )
    if files.strip():
        notes.append(f"Do not read the files yourself: the server reads them. {TOO_LONG} {REFUSED}")
    return "\n\n".join(
        [
            "Extract data with a local model. Call once:",
            asked,
            *notes,
            "The answer follows the schema, but a small model can misread: compare values that "
            "matter with their source, and tell me which you compared. Give me the JSON alone in "
            "a code block, then anything that is missing or doubtful.",
        ]
    )


def _schema(text: str) -> dict[str, Any] | None:
    """Return the JSON Schema that a text holds, or None for words."""
    if not text.lstrip().startswith("{"):
        return None
    try:
        schema: dict[str, Any] = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(
            f"schema is not valid JSON: {error}", "Give a JSON Schema, or the fields in words"
        ) from None
    return schema
