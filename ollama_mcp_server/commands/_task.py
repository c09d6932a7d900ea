"""What is asked, out of the arguments, of what is piped in, and of files that the user names."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..agent.events import Task
from ..daemon.wire import Part
from ..delegation.inputs.images import read_images
from ..delegation.inputs.roots import Roots
from ..delegation.structured.schema import check_schema
from ..errors import InvalidArgument

if TYPE_CHECKING:
    import argparse

    from ._engine import Engine


def piped() -> str:
    """Return what is piped in; what is no UTF-8 in it is marked."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read().decode(errors="replace")


def first_task(arguments: argparse.Namespace) -> Task:
    """Return the task, but for what the user asks.

    Raises:
        InvalidArgument: the format is none.
    """
    servers: Any = arguments.use
    if servers is None and arguments.tools is None:
        servers = []
    return Task(
        messages=[{"role": "system", "content": arguments.system}] if arguments.system else [],
        model=arguments.model,
        servers=servers,
        path=arguments.tools,
        format=read_format(arguments.format) if arguments.format else None,
        max_rounds=arguments.max_rounds,
    )


def read_format(given: str) -> Any:
    """Return "json", or the JSON Schema that a text or a file holds.

    Raises:
        InvalidArgument: it is neither.
    """
    if given == "json":
        return given
    text = given
    if not given.lstrip().startswith("{"):
        try:
            text = Path(given).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InvalidArgument(
                f"--format {given} is no file that can be read",
                "Give json, a JSON Schema, or the path of a file that holds one",
            ) from error
    try:
        schema = json.loads(text)
    except ValueError as error:
        raise InvalidArgument(f"--format is not valid JSON: {error}", "Mend it") from error
    check_schema(schema)
    return schema


def user_message(engine: Engine, prompt: str, images: list[str]) -> Part:
    """Return what the user asks, with the pictures; the user may name any file.

    Raises:
        OllamaMCPError: a picture cannot be read.
    """
    message: Part = {"role": "user", "content": prompt}
    if not images:
        return message
    paths = [Path(image).expanduser().resolve() for image in images]

    async def read(_: Any) -> tuple[list[str], list[str]]:
        roots = Roots([path.parent for path in paths])
        return await read_images([str(path) for path in paths], roots, allow_urls=False)

    pictures, told = engine.do(read, lambda _: None)
    for warning in told:
        sys.stderr.write(f"[{warning}]\n")
    return {**message, "images": pictures}
