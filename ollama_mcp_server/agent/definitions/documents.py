"""The MCP servers that agents may use, as they are configured.

Servers that a call defines come first, then those of OLLAMA_MCP_SERVERS, then the file's; each
takes the place of the next. No error tells the value of a variable or of a header.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ...errors import InvalidArgument
from .definition import FIELDS, INLINE, NAME, Definition, EnableIf
from .fields import Wrong, fields_of, near
from .jsonc import Document, Way, read_document

__all__ = ["Definition", "EnableIf", "inline", "parse_definitions", "read_definitions"]

#: The variable that configures servers, and the bytes that a file of them may have.
VARIABLE = "OLLAMA_MCP_SERVERS"
MAX_BYTES = 2**20

#: What pydantic's refusals mean, in words; the values that they hold are left out.
_MEANINGS = {
    "string_type": "must be text, in quotes",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "missing": "is missing",
}


def parse_definitions(text: str, source: str) -> list[Definition]:
    """Return the servers that a JSON text defines, in their order, without those it disables.

    It is `{"servers": [...]}` or the list alone, or what other hosts write: `{"mcpServers": {...}}`
    or `{"servers": {...}}`, by name. There, fields of other hosts are passed over, and servers are
    enabled unless `auto_enable` says otherwise. `source` names the text in errors.

    Raises:
        InvalidArgument: it is broken, or not of these forms; it says where, and what is right.
    """
    if not text.strip("\ufeff \t\r\n"):
        return []
    document = read_document(text, source)
    found: dict[str, Definition] = {}
    for way, name, entry in _entries(document):
        try:
            definition = _define(entry, name, source)
            if definition is not None and definition.name in found:
                raise Wrong("stands twice", "Give each server a name of its own", "name")
        except Wrong as error:
            raise error.at(document.place((*way, *error.way)), _label(entry, way[-1])) from None
        if definition is not None:
            found[definition.name] = definition
    return list(found.values())


def read_definitions(given: str | None, file: Path | None) -> list[Definition]:
    """Return the configured servers: those of `given`, unless that is empty, else the file's.

    A file that does not exist defines none.

    Raises:
        InvalidArgument: the JSON is broken, or the file cannot be read; it says where.
    """
    if given and given.strip():
        if given.lstrip("\ufeff \t\r\n")[:1] not in "{[/":
            raise InvalidArgument(
                f"{VARIABLE} is not JSON",
                f'It takes {{"servers": [...]}}; {VARIABLE}_FILE takes the path of a file',
            )
        return parse_definitions(given, VARIABLE)
    return [] if file is None else parse_definitions(_content(file), str(file))


def inline(value: dict[str, Any]) -> Definition:
    """Return the server that a call defines; the operator's trust it cannot give itself.

    Raises:
        InvalidArgument: it is no definition; it says which field, and what is right.
    """
    try:
        if value.get("trusted"):
            raise Wrong("is for the operator to set", "Leave it out", "trusted")
        definition = _define(value, None, INLINE)
        if definition is None:
            raise Wrong("is disabled", "Leave it out of the call")
    except Wrong as error:
        raise error.at("", _label(value, 0)) from None
    return definition


def _entries(document: Document) -> Iterator[tuple[Way, str | None, Any]]:
    """Yield each server: where it stands, its name where that is a key, what defines it."""
    data = document.data
    if isinstance(data, list):
        yield from (((number,), None, entry) for number, entry in enumerate(data))
        return
    forms = [form for form in ("servers", "mcpServers") if isinstance(data, dict) and form in data]
    if not forms and data != {}:
        raise InvalidArgument(
            f"{document.place(())}: there are no servers in it",
            'Write {"servers": [...]}, or {"mcpServers": {...}} as other hosts do',
        )
    for form in forms:
        held = data[form]
        if isinstance(held, list):
            yield from (((form, number), None, entry) for number, entry in enumerate(held))
        elif isinstance(held, dict):
            yield from (((form, name), name, entry) for name, entry in held.items())
        elif held is not None:
            raise InvalidArgument(
                f"{document.place((form,))}: {form} must be a list, or an object by name"
            )


def _define(entry: Any, name: str | None, source: str) -> Definition | None:
    """Return a server, None where it is disabled; raises Wrong."""
    fields = fields_of(entry, name, FIELDS)
    if fields is None:
        return None
    try:
        return Definition.model_validate({**fields, "source": source})
    except ValidationError as error:
        raise _wrong(error) from None


def _wrong(error: ValidationError) -> Wrong:
    """Return the first thing that is wrong in words, without the value that is."""
    first = error.errors(include_url=False, include_input=False)[0]
    way, context = first["loc"], first.get("ctx", {})
    cause = context.get("error")
    if isinstance(cause, Wrong):
        return Wrong(cause.what, cause.hint, *way, *cause.way)
    if first["type"] == "extra_forbidden":
        return Wrong("is no field", near(str(way[-1]), tuple(EnableIf.model_fields)), *way)
    if first["type"] == "literal_error":
        return Wrong(f"must be {context['expected'].replace(chr(39), '')}", "", *way)
    if first["type"] in ("greater_than_equal", "less_than_equal"):
        return Wrong("must be 1 to 3,600,000 milliseconds", "", *way)
    what = str(cause) if cause else _MEANINGS.get(first["type"], "is not what it must be")
    return Wrong(what, "", *way)


def _label(entry: Any, key: str | int) -> str:
    """Return how a server is named in an error."""
    name = entry.get("name") if isinstance(entry, dict) and isinstance(key, int) else key
    return f"server {name}" if isinstance(name, str) and NAME.fullmatch(name) else "a server"


def _content(file: Path) -> str:
    """Return a file's text; of one that does not exist, none."""
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InvalidArgument(f"{file} is larger than 1 MiB", "A file of servers is small")
        return content.decode("utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise InvalidArgument(
            f"{file} cannot be read: {error.strerror}",
            f"Make it readable, or name another file with {VARIABLE}_FILE",
        ) from None
    except UnicodeDecodeError:
        raise InvalidArgument(f"{file} is not UTF-8 text", "Save it as UTF-8") from None
