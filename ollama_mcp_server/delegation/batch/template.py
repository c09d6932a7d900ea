"""Prompt templates: `{name}` is filled in, every other brace is text.

Not `str.format`: prompts hold JSON and code, whose braces must stay, and a template must reach
nothing but the fields that it is given.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import InvalidArgument

_TOKEN = re.compile(r"\{\{|\{(?P<name>[^\W\d][\w-]*)\}|[{}]")


@dataclass(frozen=True)
class Field:
    """A place in a template, where the value of a field goes."""

    name: str


@dataclass(frozen=True)
class Item:
    """What a prompt is asked about."""

    #: What its places may name.
    fields: Mapping[str, Any]
    #: What follows a prompt that has no places.
    whole: Any
    #: What it is called in results.
    told: Mapping[str, Any]

    @classmethod
    def of(cls, value: Any) -> "Item":
        """Return the item for a text, or for an object, whose fields a prompt may name."""
        fields = {"item": value} | (value if isinstance(value, dict) else {})
        return cls(fields, value, {"item": value})

    @classmethod
    def of_file(cls, name: str, content: str) -> "Item":
        """Return the item for a file."""
        return cls({"name": name, "content": content}, content, {"name": name})


@dataclass(frozen=True)
class Template:
    """A prompt with places to fill in."""

    parts: tuple[str | Field, ...]

    @property
    def names(self) -> list[str]:
        """The fields that it wants, each once, in their order."""
        return list(dict.fromkeys(part.name for part in self.parts if isinstance(part, Field)))

    def check(self, items: Iterable[Item]) -> None:
        """Raise InvalidArgument if it wants a field that one of the items has not."""
        names = self.names
        for index, item in enumerate(items):
            wrong = next((name for name in names if name not in item.fields), None)
            if wrong is not None:
                raise InvalidArgument(
                    f"prompt: item {index} has no field {wrong!r}; known are "
                    + ", ".join(item.fields),
                    f"Name one of these, or write {{{{{wrong}}}}} to have the braces as text",
                )

    def fill(self, item: Item) -> str:
        """Return the prompt for one item, which follows a prompt that has no places.

        Raises:
            KeyError: a field is missing; `check` finds that out beforehand.
        """
        filled = "".join(
            text(item.fields[part.name]) if isinstance(part, Field) else part for part in self.parts
        )
        if self.names:
            return filled
        whole = text(item.whole)
        return f"{filled.rstrip()}\n\n{whole}" if filled.strip() else whole


def parse(template: str) -> Template:
    """Return the parts of a template.

    `{name}` is a place. `{{` is a brace, and `}}` is one unless it closes braces that were opened
    one by one, as in `{"a": {"b": 1}}`. Every other brace is text.
    """
    parts: list[str | Field] = []
    opened: list[str] = []
    at = 0
    while found := _TOKEN.search(template, at):
        parts.append(template[at : found.start()])
        at, token = found.end(), found[0]
        if found["name"]:
            parts.append(Field(found["name"]))
            continue
        if token == "}":  # noqa: S105 - a brace
            opener = opened.pop() if opened else ""
            if opener != "{" and template[at : at + 1] == "}":
                at += 1
        else:
            opened.append(token)
        parts.append(token[0])
    parts.append(template[at:])
    return Template(tuple(part for part in parts if part))


def text(value: Any) -> str:
    """Return a value as it stands in a prompt: a text as it is, all else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
