"""What pydantic found wrong, in words for people and models: no types, no URLs, no values."""

from typing import Any

#: pydantic's error types in words; `{…}` are its own values.
_WORDS = {
    "missing": "is required",
    "missing_argument": "is required",
    "missing_keyword_only_argument": "is required",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "is not of the form {pattern}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "literal_error": "must be {expected}",
    "path_type": "must be a path",
    "greater_than_equal": "must be {ge} or more",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be {le} or less",
    "less_than": "must be less than {lt}",
    "too_short": "needs at least {min_length} items",
    "too_long": "takes at most {max_length} items",
}


def words(error: Any) -> str:
    """Return what is wrong, as one of pydantic's error details says it: `must be …`."""
    if error["type"] in ("value_error", "assertion_error"):
        return str(error["ctx"]["error"])
    values = error.get("ctx", {})
    plain = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in values.items()
    }
    return _WORDS.get(error["type"], "is not valid").format(**plain)


def place(loc: tuple[str | int, ...]) -> str:
    """Return where it is, as a person writes it: `messages[0].role`."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return "".join(steps).lstrip(".")


def sentence(where: str, what: str) -> str:
    """Return place and fault as one: `port must be a whole number`."""
    joined = what.startswith(("must", "is ", "needs", "takes"))
    return f"{where}{' ' if joined else ': '}{what}" if where else what
