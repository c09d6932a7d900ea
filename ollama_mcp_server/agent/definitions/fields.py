"""The fields of a server's definition: ours, and what other hosts call them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Any

from ...delegation.inputs.paths import shown
from ...errors import InvalidArgument

#: What other hosts call our fields.
_OTHER_NAMES = {
    "httpUrl": "url",
    "serverUrl": "url",
    "includeTools": "allow",
    "enabledTools": "allow",
    "excludeTools": "deny",
    "disabledTools": "deny",
}
#: What a server's `type` asks for, in any host's spelling.
_KINDS = {"stdio": "command", "local": "command", "http": "url", "streamablehttp": "url"}
#: How near a field must come to one of ours to be taken for a slip.
_SLIP = 0.85


class Wrong(ValueError):
    """Something in a definition that is not right: what, what to do, and where in it."""

    def __init__(self, what: str, hint: str = "", *way: str | int) -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint
        self.way = way

    def at(self, place: str, server: str) -> InvalidArgument:
        """Return the error for a caller, with the place and the server that it is about."""
        field = shown(".".join(map(str, self.way)))
        what = f"{field} {self.what}" if field else self.what
        return InvalidArgument(": ".join(part for part in (place, server, what) if part), self.hint)


def fields_of(entry: Any, name: str | None, known: Sequence[str]) -> dict[str, Any] | None:
    """Return the fields of a definition under our names; None where it is disabled.

    With a `name` it is in the form of other hosts: fields that we do not know are theirs, unless
    they come very near one of ours.

    Raises:
        Wrong: it is no object, has a field that there is not, or a type that is not served.
    """
    if not isinstance(entry, dict):
        raise Wrong("must be an object")
    given = {field: value for field, value in entry.items() if value is not None}
    if _is_off(given, name is not None):
        return None
    transport = given.pop("transport", None)
    kind = given.pop("type", transport)
    if name is None:
        for field in given:
            if field not in known:
                raise Wrong("is no field", near(field, known), field)
        fields = given
    else:
        fields = {"auto_enable": "always", **_ours(given, known), "name": name}
    if kind is not None:
        _check_kind(kind, fields)
    return fields


def near(field: str, known: Sequence[str]) -> str:
    """Return what to write in place of a field that there is not."""
    alike = {_bare(one): one for one in known}
    close = difflib.get_close_matches(_bare(field), alike, 1, 0.6)
    return f"Did you mean {alike[close[0]]}?" if close else f"There are {', '.join(known)}"


def _is_off(given: dict[str, Any], by_host: bool) -> bool:
    """Return whether a server is switched off; takes the switches out."""
    switches = [("disabled", True), *([("enabled", False)] if by_host else [])]
    is_off = False
    for field, off in switches:
        value = given.pop(field, not off)
        if not isinstance(value, bool):
            raise Wrong("must be true or false", "", field)
        is_off = is_off or value is off
    return is_off


def _ours(given: dict[str, Any], known: Sequence[str]) -> dict[str, Any]:
    """Return what a host's definition says in our fields."""
    fields = {field: value for field, value in given.items() if field in known}
    for field, value in given.items():
        if field in _OTHER_NAMES:
            fields.setdefault(_OTHER_NAMES[field], value)
        elif field not in known and _is_slip(field, known):
            raise Wrong("is no field", near(field, known), field)
    timeout = fields.get("timeout")
    if isinstance(timeout, int) and not isinstance(timeout, bool) and timeout < 1000:
        fields["timeout"] = timeout * 1000  # some hosts count in seconds, and no tool in less
    return fields


def _is_slip(field: str, known: Sequence[str]) -> bool:
    return bool(difflib.get_close_matches(_bare(field), [_bare(one) for one in known], 1, _SLIP))


def _bare(field: str) -> str:
    return re.sub("[-_ ]", "", field).lower()


def _check_kind(kind: Any, fields: dict[str, Any]) -> None:
    """Raise Wrong where a server's type is not served, or does not go with its fields."""
    bare = _bare(kind) if isinstance(kind, str) else ""
    if bare == "sse":
        raise Wrong(
            "sse is not served any more",
            "Give the server's Streamable HTTP address with type http, or set disabled: true",
            "type",
        )
    if bare not in _KINDS:
        raise Wrong("must be stdio or http", "", "type")
    needed = _KINDS[bare]
    if needed not in fields:
        raise Wrong(f"{kind} needs {needed}", "", "type")
