"""Arguments for a tool, from its published schema: right ones, nearly right ones, and any JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from tests.conftest import CHAT, EMBEDDER, INSERT, PICTURES, THINKER

Values = st.SearchStrategy[Any]

#: Texts that have hurt somebody.
SORE = [
    *("", " ", "\0", "\u202e", "a" * 2000, "%s%n{0}{x!r}", "{{item}}", "{{", "${HOME}"),
    *("$FUZZ_CANARY", "{api_key.__class__}", "../../x", "null", "[", '{"a":', "-1", "1e999", "NaN"),
]
TEXT = st.one_of(st.sampled_from(SORE), st.text(max_size=20))
NUMBERS = st.one_of(
    st.sampled_from([0, -1, 1, 2**31, 2**63, -(2**63) - 1, 10**40, 1e308, -0.0, 0.1]),
    st.integers(-5, 300),
    st.floats(allow_nan=False, allow_infinity=False),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, TEXT)
JSON: Values = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)
#: Arguments that tools take and do not list, or that other servers have.
UNLISTED = [
    *("name", "timeout", "keep_alive", "images", "stream", "truncate", "dimensions", "suffix"),
    *("retries", "logprobs", "top_logprobs", "n", "stop", "top_p", "logit_bias", "conversation"),
    *("modelfile", "context", "raw", "shift", "format", "think", "host", "servers", "_meta", "ctx"),
]
ROLES = ["system", "user", "assistant", "tool", "developer", "alien"]
CALL = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}}
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(ROLES), "content": st.one_of(TEXT, JSON)},
    optional={
        "images": st.lists(TEXT, max_size=2),
        "tool_calls": st.one_of(st.just([CALL]), st.lists(JSON, max_size=2)),
        "tool_call_id": TEXT,
        "thinking": TEXT,
    },
)
OPTIONS = st.dictionaries(
    st.sampled_from(["temperature", "num_ctx", "num_predict", "seed", "stop", "top_k", "num_gpu"]),
    st.one_of(NUMBERS, LEAVES),
    max_size=4,
)
SCHEMAS = st.one_of(
    st.sampled_from(["json", "", "xml", {}, {"type": "object"}, {"$ref": "#"}, {"type": "alien"}]),
    st.just({"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}}),
    st.just({"$ref": "file:///etc/passwd"}),
    st.just({"type": "array", "items": {"$ref": "#"}}),
)
TOOL = {"type": "function", "function": {"name": "add", "description": "", "parameters": {}}}


def senses(paths: list[str]) -> dict[str, Values]:
    """Return values that arguments of some names understand, so that cases get past the door."""
    models = st.sampled_from([CHAT, THINKER, EMBEDDER, PICTURES, INSERT, "nobody", "a/b/c:d", "x:"])
    named = st.lists(st.sampled_from(paths), max_size=3)
    return {
        "model": models,
        "models": st.lists(models, max_size=3),
        "source": models,
        "from": models,
        "messages": st.lists(MESSAGE, max_size=4),
        "options": OPTIONS,
        "parameters": OPTIONS,
        "format": SCHEMAS,
        "response_format": st.builds(
            lambda kind, schema: {"type": kind, "json_schema": {"schema": schema}},
            st.sampled_from(["text", "json_object", "json_schema", "alien"]),
            SCHEMAS,
        ),
        "tools": st.lists(st.one_of(st.just(TOOL), JSON), max_size=3),
        "tool_choice": st.one_of(st.sampled_from(["auto", "none", "required", "x"]), st.just(TOOL)),
        "think": st.sampled_from([True, False, "low", "high", "true", "alien"]),
        "reasoning_effort": st.sampled_from(["none", "low", "minimal", "xhigh", "alien", ""]),
        "keep_alive": st.sampled_from([0, -1, "5m", "5x", 1e400, "-1s"]),
        "files": named,
        "images": named,
        "path": st.sampled_from(paths),
        "output": st.sampled_from([*paths, "made.jsonl"]),
        "prompt": st.sampled_from(["Hello", "{{item}}", "{{item.text}} {{alien}}", "{{", ""]),
        "items": st.lists(st.one_of(TEXT, st.dictionaries(TEXT, LEAVES, max_size=3)), max_size=3),
        "wait": st.sampled_from([0, 0.1, -1, 3601]),
        "timeout": st.sampled_from([1000, 0, 10**20]),
        "max_rounds": st.sampled_from([1, 2, 0, 101]),
        "url": st.sampled_from(["https://ollama.com", "file:///etc/passwd", "x", "http://[::1"]),
    }


#: Values with which a call works.
GOOD: dict[str, Values] = {
    "model": st.sampled_from([THINKER, THINKER, CHAT, EMBEDDER, "gemma3:1b"]),
    "models": st.just([CHAT, THINKER]),
    "source": st.just(CHAT),
    "from": st.just(CHAT),
    "messages": st.lists(
        st.one_of(
            st.builds(lambda text: {"role": "user", "content": text}, TEXT),
            st.just({"role": "assistant", "content": "", "tool_calls": [CALL]}),
            st.just({"role": "tool", "content": "2", "tool_call_id": "c1"}),
        ),
        min_size=1,
        max_size=3,
    ),
    "options": st.sampled_from([{}, {"temperature": 0}, {"num_ctx": 4096, "stop": ["x"]}]),
    "parameters": st.just({"temperature": 0.5}),
    "format": st.sampled_from(["json", {"type": "object", "properties": {"a": {}}}]),
    "response_format": st.sampled_from([{"type": "text"}, {"type": "json_object"}]),
    "tools": st.just([TOOL]),
    "tool_choice": st.sampled_from(["auto", "none", "required"]),
    "think": st.booleans(),
    "reasoning_effort": st.sampled_from(["none", "low"]),
    "keep_alive": st.sampled_from([0, -1, "5m"]),
    "files": st.just(["note.txt"]),
    "images": st.just([]),
    "path": st.just("folder"),
    "output": st.just("made.jsonl"),
    "items": st.just(["one", "two"]),
    "servers": st.just([]),
    "conversation": st.just("new"),
    "wait": st.just(0),
    "max_rounds": st.just(2),
}


def arguments(
    schema: Mapping[str, Any], sense: Mapping[str, Values], good: Mapping[str, Values] = GOOD
) -> Values:
    """Return all kinds of arguments for a tool.

    Args:
        schema: its input schema.
        sense: values that arguments of some names understand.
        good: those with which a call works.
    """
    sound = right(schema, sense, good, 0)
    bold = right(schema, sense, good, 2)
    foreign = st.dictionaries(st.one_of(st.sampled_from(UNLISTED), TEXT), JSON, max_size=4)
    return st.one_of(sound, bold, bold, bold.flatmap(spoiled), foreign)


@st.composite
def right(
    draw: st.DrawFn,
    schema: Mapping[str, Any],
    sense: Mapping[str, Values],
    good: Mapping[str, Values],
    most: int,
) -> dict[str, Any]:
    """Return arguments that are right by the schema, `most` of them odd or even wrong in fact."""
    fields = schema.get("properties", {})
    needed = list(schema.get("required", ()))
    others = sorted({*fields} - {*needed})
    names = needed + (
        draw(st.lists(st.sampled_from(others), max_size=3, unique=True)) if others else []
    )
    made = {name: draw(good[name] if name in good else by(fields[name])) for name in names}
    if names and most:
        for name in draw(st.lists(st.sampled_from(names), max_size=most)):
            odd = by(fields[name])
            made[name] = draw(st.one_of(sense[name], odd) if name in sense else odd)
    return made


def by(schema: Mapping[str, Any]) -> Values:
    """Return values of a schema of the few kinds that tools publish."""
    if "anyOf" in schema:
        return st.one_of([by(one) for one in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    low, high = schema.get("minimum"), schema.get("maximum")
    kinds: dict[str | None, Values] = {
        "string": TEXT.filter(lambda text: len(text) >= schema.get("minLength", 0)),
        "integer": st.integers(low, high),
        "number": st.floats(low, high, allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "object": st.dictionaries(TEXT, JSON, max_size=3),
    }
    if schema.get("type") == "array":
        return st.lists(by(schema.get("items", {})), max_size=3)
    return kinds.get(schema.get("type"), JSON)


@st.composite
def spoiled(draw: st.DrawFn, given: dict[str, Any]) -> dict[str, Any]:
    """Return arguments with something about them made wrong, or at least odd."""
    made = dict(given)
    for _ in range(draw(st.integers(1, 2))):
        name = draw(st.one_of(st.sampled_from(sorted(made)), TEXT)) if made else draw(TEXT)
        how = draw(st.integers(0, 4))
        if how == 0:
            made.pop(name, None)
        elif how == 1:
            made[draw(st.sampled_from(UNLISTED))] = draw(JSON)
        elif how == 2:
            made[name] = json.dumps(made.get(name))
        elif how == 3:
            made[name] = [made.get(name)]
        else:
            made[name] = draw(JSON)
    return made
