"""References within a caller's schema; none leads out of it, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

from ...errors import InvalidArgument
from .keywords import Schema

#: Keywords whose values are no schemas, so that nothing in them is a reference.
_VALUES = ("enum", "const", "default", "example", "examples")


def resolve(root: Schema, reference: str) -> Any:
    """Return what a `$ref` leads to, which must be in the same schema; nothing is fetched.

    Raises:
        InvalidArgument: it leads elsewhere, or nowhere.
    """
    if not reference.startswith("#"):
        raise InvalidArgument(
            f"$ref {reference[:80]!r} leads out of the schema",
            "Put what it means under $defs, and refer to it as #/$defs/NAME; nothing is fetched",
        )
    pointer = unquote(reference[1:])
    if pointer and not pointer.startswith("/"):
        target = next((part for part in _parts(root) if pointer in _anchors(part)), None)
    else:
        target = root
        for step in pointer.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if isinstance(target, list) and name.isdecimal() and int(name) < len(target):
                target = target[int(name)]
            else:
                target = target.get(name) if isinstance(target, dict) else None
    if not isinstance(target, dict | bool):
        raise InvalidArgument(
            f"$ref {reference[:80]!r} leads nowhere", "Refer to what is there, as #/$defs/NAME"
        )
    return target


def _anchors(part: Schema) -> tuple[Any, Any]:
    return part.get("$anchor"), part.get("$dynamicAnchor")


def check_references(schema: Schema) -> None:
    """Raise InvalidArgument unless all references stay within the schema, and lead somewhere."""
    for part in _parts(schema):
        for keyword in ("$ref", "$dynamicRef", "$recursiveRef"):
            if isinstance(reference := part.get(keyword), str):
                resolve(schema, reference)
        if part is not schema:
            for keyword in ("$id", "$schema"):
                if isinstance(part.get(keyword), str):
                    raise InvalidArgument(
                        f"the schema holds another with {keyword} of its own", f"Take {keyword} out"
                    )


def _parts(value: Any) -> Iterator[Schema]:
    """Yield every object of a schema, but for those within mere values."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += [
                inner
                for key, inner in part.items()
                if key not in _VALUES or not isinstance(inner, list | str)
            ]
        elif isinstance(part, list):
            waiting += part


def refuse_circles(sent: Schema) -> None:
    """Raise InvalidArgument if a definition begins with itself: no answer could ever begin."""
    definitions = sent.get("$defs") or {}

    def heads(node: Schema) -> set[str]:
        if "$ref" in node:
            return {node["$ref"].removeprefix("#/$defs/")}
        return {name for arm in node.get("anyOf") or () for name in heads(arm)}

    for name in definitions:
        reached, waiting = set(), heads(definitions[name])
        while waiting:
            head = waiting.pop()
            if head == name:
                raise circular()
            if head not in reached:
                reached.add(head)
                waiting |= heads(definitions[head])


def circular() -> InvalidArgument:
    """Return the error for a reference that can never be followed to its end."""
    return InvalidArgument(
        "a $ref of the schema leads back to itself, with no object or list between",
        "Let it go through a property or the items of a list",
    )
