"""Entries put into and taken out of YAML; every other byte stays."""

from __future__ import annotations

import json
import re
from typing import Any

from ..errors import InvalidArgument
from .values import MISSING, Way, found, refuse

#: What needs no quotes, and means the same to every version of YAML.
_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./-]*")
_WORDS = frozenset(("y", "n", "yes", "no", "on", "off", "true", "false", "null"))
_ALIAS = re.compile(r"\s*:\s*\*[^\s,\]}]+")
_REMARK = re.compile(r"[ \t]*(?:#[^\r\n]*)?")


def read(text: str, source: str) -> Any:
    """Return what a text holds; one without any value holds an empty mapping.

    Raises:
        InvalidArgument: it is no YAML; the line and the column are told.
    """
    import yaml

    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        what = getattr(error, "problem", None) or "a character that may not stand there"
        raise InvalidArgument(
            f"{where}: not YAML: {what}", "Look at that line and the one before it"
        ) from None
    return {} if data is None else data


def put(text: str, way: Way, value: Any, source: str) -> str:
    """Return the text with a value at a way; in a mapping that is there, its values are put.

    Raises:
        InvalidArgument: it is no YAML, or something on the way is no mapping.
    """
    data = read(text, source)
    old = found(data, way)
    if old is not MISSING and old == value:
        return text
    if isinstance(old, dict) and isinstance(value, dict) and old:
        for name, part in value.items():
            text = put(text, (*way, name), part, source)
        return text
    parent, name = way[:-1], way[-1]
    within = found(data, parent)
    if within is MISSING or (within is None and parent):
        return put(text, parent, {name: value}, source)
    if not isinstance(within, dict):
        refuse(source, parent)
    if parent and not within:
        return put(text, parent, {name: value}, source)
    mapping = _node(text, parent)
    if mapping is None or mapping.value == "":  # nothing but comments
        lines = _lines(name, value, "")
        return f"{text}{lines}\n" if not text or text.endswith("\n") else f"{text}\n{lines}"
    if old is not MISSING:
        return _replaced(text, mapping, name, value)
    at = _end(text, mapping)
    if mapping.flow_style:
        last = _pair_end(text, *mapping.value[-1])
        return f"{text[:last]}, {_flow(name)}: {_flow(value)}{text[last:]}"
    at = _line_end(text, at)
    lines = _lines(name, value, " " * mapping.start_mark.column)
    return f"{text[:at]}\n{lines}{text[at:]}"


def removed(text: str, way: Way, source: str) -> str:
    """Return the text without what stands at a way, and without what that leaves empty.

    Raises:
        InvalidArgument: it is no YAML.
    """
    read(text, source)
    mapping = _node(text, way[:-1])
    names = [key.value for key, _ in mapping.value]
    number = names.index(way[-1])
    if len(names) == 1 and len(way) > 1:
        return removed(text, way[:-1], source)
    key, value = mapping.value[number]
    start, end = key.start_mark.index, _pair_end(text, key, value)
    if mapping.flow_style:
        if number:
            return text[: _pair_end(text, *mapping.value[number - 1])] + text[end:]
        following = mapping.value[1][0].start_mark.index if len(names) > 1 else end
        return text[:start] + text[following:]
    start = text.rfind("\n", 0, start) + 1
    end = _line_end(text, end)
    if text[end : end + 2] == "\r\n":
        end += 2
    elif end < len(text):
        end += 1
    elif start:
        start -= 1
    return text[:start] + text[end:]


def _replaced(text: str, mapping: Any, name: str, value: Any) -> str:
    """Return the text with another value of a name that is there."""
    key, node = next(pair for pair in mapping.value if pair[0].value == name)
    colon = text.index(":", key.end_mark.index) + 1
    end = max(_pair_end(text, key, node), colon)
    if mapping.flow_style or not isinstance(value, dict) or not value:
        return f"{text[:colon]} {_flow(value)}{text[end:]}"
    lines = _lines(name, value, " " * key.start_mark.column).partition("\n")[2]
    at = _line_end(text, end)
    return f"{text[:colon]}{text[end:at]}\n{lines}{text[at:]}"


def _lines(name: str, value: Any, indent: str) -> str:
    """Return a name and its value as lines of block style."""
    if not isinstance(value, dict) or not value:
        return f"{indent}{_flow(name)}: {_flow(value)}"
    held = [_lines(inner, part, f"{indent}  ") for inner, part in value.items()]
    return "\n".join([f"{indent}{_flow(name)}:", *held])


def _flow(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_flow(name)}: {_flow(part)}' for name, part in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _node(text: str, way: Way) -> Any:
    """Return the mapping at a way, with its places in the text; None for an empty document."""
    import yaml

    node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    for name in way:
        node = next(value for key, value in node.value if key.value == name)
    return node


def _end(text: str, node: Any) -> int:
    """Return where the text of a node ends; a block's own mark lies behind what follows it."""
    import yaml

    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return len(text[: node.end_mark.index].rstrip())
    if isinstance(node, yaml.SequenceNode):
        return max(_end(text, part) for part in node.value)
    return max(_pair_end(text, key, value) for key, value in node.value)


def _pair_end(text: str, key: Any, value: Any) -> int:
    """Return where a name and its value end."""
    own: int = key.end_mark.index
    if value.start_mark.index >= own:
        return max(_end(text, value), own)
    alias = _ALIAS.match(text, own)  # the value stands elsewhere
    return alias.end() if alias else own


def _line_end(text: str, at: int) -> int:
    remark = _REMARK.match(text, at)
    return remark.end() if remark else at
