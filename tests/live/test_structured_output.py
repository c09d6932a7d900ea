"""Answers by a JSON Schema from real models: what is sent is accepted, what comes is checked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from ollama_mcp_server.address import parse_address
from ollama_mcp_server.daemon.client import Client
from ollama_mcp_server.delegation.answer import Answer
from ollama_mcp_server.delegation.structured.ask import ask_for_data
from ollama_mcp_server.delegation.structured.grammar import to_grammar
from ollama_mcp_server.delegation.structured.parsing import parse
from ollama_mcp_server.delegation.structured.schema import check_schema
from ollama_mcp_server.errors import ToolFailed
from scripts.testbed import models
from tests.live.sessions import user

pytestmark = pytest.mark.live

TEXT = {"type": "string", "maxLength": 8}
WHOLE = {"type": "integer", "minimum": 0, "maximum": 99}
BRIEF = {"temperature": 0, "num_predict": 48}
AMPLE = {"temperature": 0, "num_predict": 160}


def an(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


NODE = an(v=WHOLE, next={"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]})
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
#: Small answers, so that they end; each must fit its whole schema at the first try.
FITTING: dict[str, dict[str, Any]] = {
    "text": {"type": "string", "maxLength": 5},
    "number": an(a={"type": "number"}),
    "true or false": {"type": "boolean"},
    "null": {"type": "null"},
    "types": an(a={"type": ["integer", "null"]}),
    "list": {"type": "array", "items": WHOLE, "minItems": 2, "maxItems": 3},
    "empty list": an(a={"type": "array", "items": False}),
    "tuple": an(a={"type": "array", "prefixItems": [WHOLE, TEXT], "items": False}),
    "old tuple": {"$schema": DRAFT_7, **an(a={"type": "array", "items": [WHOLE, TEXT]})},
    "closed": {**an(a=WHOLE), "additionalProperties": False},
    "empty": {"type": "object", "properties": {}, "additionalProperties": False},
    "optional": {**an(z=WHOLE, a=WHOLE, m=WHOLE), "required": ["m"]},
    "names": an(**{"a b": WHOLE, "é": WHOLE, 'q"': WHOLE, "back\\": WHOLE, "*": WHOLE}),
    "rules' names": an(root=WHOLE, string=WHOLE, value=TEXT),
    "required only": {"properties": {"a": WHOLE}, "required": ["a"]},
    "const": an(a={"const": {"x": [1, None, 'q"\n']}}),
    "enum": an(a={"enum": ["red", 7, None]}),
    "large enum": an(a={"enum": [f"w{i}" for i in range(500)]}),
    "any of": an(a={"anyOf": [WHOLE, {"type": "null"}]}),
    "one of": an(a={"oneOf": [WHOLE, {"type": "null"}]}),
    "all of": {"allOf": [an(a=WHOLE), an(b=WHOLE)]},
    "any of, with more": {**an(a=WHOLE), "anyOf": [an(b=WHOLE), an(c=WHOLE)]},
    "if": {**an(a={"const": 1}), "if": an(a={"const": 1}), "then": an(b=WHOLE)},
    "annotations": {"$id": "https://x.example/s", "title": "T",
                    **an(a={**WHOLE, "title": "A", "description": "d", "default": 1})},
    "reference": {"$defs": {"a/b": WHOLE}, **an(a={"$ref": "#/$defs/a~1b"})},
    "definitions": {"definitions": {"n": WHOLE}, **an(a={"$ref": "#/definitions/n"})},
    "reference with more": {"$defs": {"n": TEXT}, **an(a={"$ref": "#/$defs/n", "maxLength": 2})},
    "date": an(a={"type": "string", "format": "date"}),
    "date-time": an(a={"type": "string", "format": "date-time"}),
    "time": an(a={"type": "string", "format": "time"}),
    "uuid": an(a={"type": "string", "format": "uuid"}),
    "lengths": an(a={"type": "string", "minLength": 3, "maxLength": 5}),
    "integers": an(a={"type": "integer", "exclusiveMinimum": -5, "maximum": 5}),
    "large integer": an(a={"type": "integer", "minimum": 10**8}),
    "negative integer": an(a={"type": "integer", "maximum": -(10**8)}),
}  # fmt: skip
#: Accepted; whether a tiny model keeps the rest, or comes to an end, is not asked.
ACCEPTED: dict[str, dict[str, Any]] = {
    "anything": {},
    "any value": an(a=True),
    "bare list": an(a={"type": "array"}),
    "open": {**an(a=WHOLE), "additionalProperties": True},
    "open by schema": {"type": "object", "additionalProperties": WHOLE},
    "open, odd names": {**an(**{"a]b": WHOLE, "^é": WHOLE}), "additionalProperties": WHOLE},
    "pattern properties": {"type": "object", "patternProperties": {"^x": WHOLE}},
    "recursion": {"$defs": {"node": NODE}, "$ref": "#/$defs/node"},
    "recursion to the root": {**an(v=WHOLE), "properties": {"v": WHOLE, "next": {"$ref": "#"}}},
    "no name": an(**{"": WHOLE}),
    "no values": an(a={"enum": []}),
    "false": an(a=False),
    "not": an(a={"not": {"type": "string"}}),
    "contains": an(a={"type": "array", "contains": WHOLE, "uniqueItems": True}),
    "other formats": an(a={"type": "string", "format": "email"}),
    "crossed lengths": an(a={"type": "string", "minLength": 5, "maxLength": 3}),
    "crossed bounds": an(a={"type": "integer", "minimum": 9, "maximum": 3}),
    "huge bounds": an(a={"type": "integer", "minimum": 10**18}),
    "long": an(a={"type": "string", "maxLength": 2000}),
    "many": an(a={"type": "array", "items": WHOLE, "maxItems": 2000}),
    "no length": an(a={"type": "string", "maxLength": 0}),
    "many names": {"type": "object", "properties": {f"p{i}": WHOLE for i in range(300)}},
    "conditions": {**an(k=WHOLE), "allOf": [
        {"if": an(k={"const": i}), "then": an(**{f"x{i}": WHOLE})} for i in range(8)]},
    "lookahead": an(a={"type": "string", "pattern": "^(?=a)abc$"}),
    "part of a text": an(a={"type": "string", "pattern": "[a-c]"}),
}  # fmt: skip
PATTERNS = [
    r"^[A-Z]{2}-\d{4}$", r"^\w{1,8}$", r"^a\.b\-c\/d$", r"^(?:yes|no)?$", r"^[a\-z.]{2}$",
    r"^[\w.-]{1,5}@[a-z-]{1,5}\.org$", r"^(a(b|c){1,2}){1,3}d$", "^$", r"^\+\d{1,3} \(\d{2}\)$",
    r"^\#[0-9a-f]{6}$", r"^[(){}+*?|$]{1,3}$", r"^a{2,}b?$",
]  # fmt: skip


@pytest.fixture
async def ollama(ollama_host: str) -> AsyncIterator[Client]:
    client = Client(parse_address(ollama_host), {})
    yield client
    await client.aclose()


async def ask(
    ollama: Client,
    schema: Any,
    question: str = "Give me a JSON example.",
    corrections: list[tuple[str, str]] | None = None,
    **more: Any,
) -> Answer:
    """Ask a model, and after its wrong answers again."""
    messages = [user(question)]
    for said, correction in corrections or ():
        messages += [{"role": "assistant", "content": said}, user(correction)]
    body = {"model": models.CHAT, "messages": messages, "format": schema, "options": BRIEF, **more}
    answer = Answer()
    async for part in ollama.stream("/api/chat", {**body, "stream": True}):
        answer.add(part)
    return answer


@pytest.mark.parametrize("name", FITTING)
async def test_what_the_grammar_holds_fits_at_once(ollama: Client, name: str) -> None:
    schema = FITTING[name]
    check_schema(schema)
    answer = await ask(ollama, to_grammar(schema)[0], options=AMPLE)
    assert parse(answer.content, schema).violations == []


@pytest.mark.parametrize("name", ACCEPTED)
async def test_whatever_is_asked_for_is_accepted(ollama: Client, name: str) -> None:
    schema = ACCEPTED[name]
    check_schema(schema)
    answer = await ask(ollama, to_grammar(schema)[0])
    assert answer.done_reason in ("stop", "length")
    assert answer.content


@pytest.mark.parametrize("pattern", PATTERNS)
async def test_patterns_that_are_sent_are_held(ollama: Client, pattern: str) -> None:
    schema = an(a={"type": "string", "pattern": pattern})
    grammar, notes = to_grammar(schema)
    assert not notes
    answer = await ask(ollama, grammar)
    assert parse(answer.content, schema).violations == []


async def test_a_recursive_answer_comes_to_its_end(ollama: Client) -> None:
    leaf_first = an(v=WHOLE, next={"anyOf": [{"type": "null"}, {"$ref": "#"}]})
    question = 'Repeat exactly this JSON: {"v": 1, "next": {"v": 2, "next": null}}'
    answer = await ask(ollama, to_grammar(leaf_first)[0], question, options=AMPLE)
    parsed = parse(answer.content, leaf_first)
    assert parsed.violations == []
    assert parsed.data["next"]["v"] in range(100)


@pytest.mark.parametrize("model", [models.CHAT, models.TOOLS, models.THINK])
@pytest.mark.parametrize("path", ["/api/chat", "/api/generate"])
async def test_each_model_answers_with_data(ollama: Client, model: str, path: str) -> None:
    schema = an(city={"enum": ["Paris", "Rome"]}, big={"type": "boolean"})
    question = "What is the capital of France?"

    async def once(_: list[tuple[str, str]]) -> Answer:
        body: dict[str, Any] = {"model": model, "format": to_grammar(schema)[0], "options": AMPLE}
        body |= (
            {"prompt": question} if path.endswith("generate") else {"messages": [user(question)]}
        )
        answer = Answer()
        async for part in ollama.stream(path, {**body, "stream": True}):
            answer.add(part)
        return answer

    answer = await ask_for_data(once, schema)
    assert answer.data["city"] in ("Paris", "Rome")
    assert isinstance(answer.data["big"], bool)
    assert answer.warnings == []


async def test_a_wrong_answer_is_asked_for_again(ollama: Client) -> None:
    """The first try is without a grammar, so that it fails as models without one do."""
    schema = an(a=WHOLE)
    told: list[int] = []

    async def once(corrections: list[tuple[str, str]]) -> Answer:
        told.append(len(corrections))
        sent = to_grammar(schema)[0] if corrections else None
        return await ask(ollama, sent, "What is the capital of France?", corrections)

    answer = await ask_for_data(once, schema)
    assert told == [0, 1]
    assert 0 <= answer.data["a"] <= 99
    assert answer.warnings[0].startswith("asked 2 times: the first answer did not fit")
    assert answer.final["prompt_eval_count"] > 2 * 30


async def test_what_the_model_cannot_meet_ends_with_an_error(ollama: Client) -> None:
    schema = an(a={"type": "string", "maxLength": 4, "pattern": "(?=z)zq[^a]x!?$"})
    told: list[int] = []

    async def once(corrections: list[tuple[str, str]]) -> Answer:
        told.append(len(corrections))
        return await ask(ollama, to_grammar(schema)[0], corrections=corrections)

    with pytest.raises(ToolFailed, match="asked 3 times") as failed:
        await ask_for_data(once, schema)
    assert told == [0, 1, 2]
    (violation,) = failed.value.details["violations"]
    assert violation.startswith("a is not of the form")
    assert parse(failed.value.details["content"], None).data.keys() == {"a"}


async def test_an_answer_that_is_cut_says_so(ollama: Client) -> None:
    schema = an(a={"type": "array", "items": WHOLE, "minItems": 50})

    async def once(corrections: list[tuple[str, str]]) -> Answer:
        assert not corrections
        return await ask(ollama, to_grammar(schema)[0])

    with pytest.raises(ToolFailed, match="cut at the length limit") as failed:
        await ask_for_data(once, schema)
    assert failed.value.details["content"].lstrip().startswith("{")


async def test_any_json_is_an_object(ollama: Client) -> None:
    answer = await ask_for_data(lambda told: ask(ollama, "json", corrections=told), None)
    assert isinstance(answer.data, dict)
