"""Calls as models make them: found in text, mended where it is certain, checked by the schema."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from typing import Any

from ...delegation.structured.schema import check_schema
from ...delegation.structured.strict_json import depth_of
from ...delegation.structured.violations import TooSlow, violations
from ...errors import InvalidArgument
from ..offers.parameters import told
from ..offers.wording import defused
from .literals import DEEPEST, read_whole
from .mending import Mender
from .spoken import spoken

__all__ = ["mend", "spoken"]

#: Seconds that a check may take.
PATIENCE = 3.0
#: Texts that say that there are no arguments.
NOTHING = ("", "null", "None")
#: Parameters that are named to a model, and characters of what it is told of each violation.
NAMED = 12
LENGTH = 300
#: What is said where a schema leads round in circles.
_TOO_DEEP = "the answer is nested too deeply to be checked"
_SUBJECT = re.compile(r"^the answer (is|needs|takes)?")
_VERBS = {"is": "are", "needs": "need", "takes": "take"}


def mend(arguments: Any, schema: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a call's arguments, mended, and what is wrong with them in words; nothing if fine.

    What fits the schema is left as it is. Where it does not, this is mended, all by the type that
    the schema asks for, and only where it does not also take what came:

    - None, an empty text or an empty list for all arguments: there are none;
    - the text of a JSON object, or of a Python one, for all arguments or for an object or a list;
    - all arguments within one that the tool does not have: `{"arguments": {…}}`;
    - "3", "3.5" for a number, "true", "False" for a boolean, "null" for null;
    - 3 for "3"; not 3.5, which may have been 3.50;
    - null for what need not be given: it is left out;
    - one value for a list of such, unless it is a text with commas, semicolons or several lines;
    - a value of an enum in other letters, where only one is like it.

    Names are never changed, and what the tool does not know is never dropped: the model is told.
    A schema that is none, or that cannot be checked within seconds, leaves the check to the server;
    nothing is fetched. Takes up to `PATIENCE` seconds and a process: not for the event loop.
    """
    given = _object(arguments)
    if given is None:
        return {}, [f"the arguments must be a JSON object, as {_example(schema)}"]
    if depth_of(given, DEEPEST) > DEEPEST:
        return {}, ["the arguments are nested too deeply"]
    is_checkable = _is_checkable(schema)
    if is_checkable and not _violations(given, schema):
        return given, []
    mended = Mender(schema).whole(given)
    wrong = _violations(mended, schema) if is_checkable else []
    return mended, [*wrong, *_advice(mended, schema)] if wrong else []


def _object(arguments: Any) -> dict[str, Any] | None:
    """Return the arguments as the object that they are, or that their text says."""
    for _ in range(3):  # JSON within JSON
        if not isinstance(arguments, str) or arguments.strip() in NOTHING:
            break
        try:
            is_quoted = arguments.lstrip().startswith('"')
            arguments = json.loads(arguments) if is_quoted else read_whole(arguments)
        except ValueError:
            return None
    if arguments in (None, []) or (isinstance(arguments, str) and arguments.strip() in NOTHING):
        return {}
    return arguments if isinstance(arguments, dict) else None


def _is_checkable(schema: Any) -> bool:
    try:
        check_schema(schema)
    except InvalidArgument:
        return False
    return True


def _violations(arguments: dict[str, Any], schema: Any) -> list[str]:
    """Return what is wrong with arguments, or nothing where the check comes to no end."""
    try:
        found = violations(arguments, schema, PATIENCE)
    except (TooSlow, RecursionError):
        return []
    return [
        defused(_SUBJECT.sub(_addressed, sentence), LENGTH)
        for sentence in found
        if sentence != _TOO_DEEP
    ]


def _addressed(subject: re.Match[str]) -> str:
    verb = subject[1]
    return f"the arguments {_VERBS[verb]}" if verb else "the arguments "


def _advice(arguments: dict[str, Any], schema: Any) -> Iterator[str]:
    """Yield what is right: for names that the tool does not have, and for all."""
    try:
        parameters = told(schema)
    except InvalidArgument:
        return
    known = parameters["properties"]
    if not known:
        yield "the tool takes no arguments"
        return
    missing = {name.casefold(): name for name in known if name not in arguments}
    for name in arguments:
        if name not in known:
            near = difflib.get_close_matches(name[:100].casefold(), missing, 1, 0.6)
            if near:
                yield f"{defused(name, 60)} is not known; did you mean {missing[near[0]]}?"
    required = parameters.get("required", ())
    first = sorted(known, key=lambda name: name not in required)[:NAMED]
    names = ", ".join(f"{name}{_kind(known[name], name in required)}" for name in first)
    more = f", and {len(known) - NAMED} more" if len(known) > NAMED else ""
    yield f"it takes {names}{more}"


def _kind(part: dict[str, Any], is_required: bool) -> str:
    kind = part.get("type", "")
    said = [
        " or ".join(kind) if isinstance(kind, list) else kind,
        "required" if is_required else "",
    ]
    return f" ({', '.join(filter(None, said))})" if any(said) else ""


def _example(schema: Any) -> str:
    """Return arguments as they should look, with the names of the required ones."""
    try:
        parameters = told(schema)
    except InvalidArgument:
        return "{}"
    names = parameters.get("required") or [*parameters["properties"]][:1]
    return json.dumps(dict.fromkeys(names[:NAMED], "…"), ensure_ascii=False)
