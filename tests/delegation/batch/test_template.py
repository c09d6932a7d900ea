"""Prompt templates: what is filled in, and what stays."""

from __future__ import annotations

import pytest

from ollama_mcp_server.delegation.batch.template import Item, parse
from ollama_mcp_server.errors import InvalidArgument


def fill(template: str, item: object) -> str:
    return parse(template).fill(Item.of(item))


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("Say {item}.", "Say X."),
        ("{item}{item}", "XX"),
        ("{{item}}: {item}", "{item}: X"),
        ('Answer {"a": 1} to {item}', 'Answer {"a": 1} to X'),
        ('{"a": {"b": {"c": 1}}} {item}', '{"a": {"b": {"c": 1}}} X'),
        ('{"a": {"b": {item}}}', '{"a": {"b": X}}'),
        ('{{"a": {{"b": 1}}}} {item}', '{"a": {"b": 1}} X'),
        ('{{"a": {"b": 1}}} {item}', '{"a": {"b": 1}} X'),
        ("{item}}} and {{", "X} and {"),
        ("{ item } {} {1} {item.upper} {item[0]} {item!r} {item:>9} {item}",
         "{ item } {} {1} {item.upper} {item[0]} {item!r} {item:>9} X"),
        ("} a { b {item}", "} a { b X"),
        ("int f() { if (x) { return 1; }} {item}", "int f() { if (x) { return 1; }} X"),
        (r"\frac{1}{2} {item}", r"\frac{1}{2} X"),
    ],
)  # fmt: skip
def test_only_simple_names_are_filled_in(template: str, filled: str) -> None:
    assert fill(template, "X") == filled


def test_what_is_filled_in_is_not_looked_at_again() -> None:
    assert fill("{a} {b}", {"a": "{b}", "b": "{a}"}) == "{b} {a}"


def test_a_value_that_is_no_text_becomes_json() -> None:
    item = {"n": 1.5, "yes": True, "none": None, "list": ["é"], "text": "é"}
    assert fill("{n} {yes} {none} {list} {text}", item) == '1.5 true null ["é"] é'


def test_an_object_is_an_item_as_a_whole_unless_it_has_a_field_of_that_name() -> None:
    assert fill("{item}", {"a": 1}) == '{"a": 1}'
    assert fill("{item}", {"item": "bread"}) == "bread"


def test_a_file_has_a_name_and_a_content() -> None:
    item = Item.of_file("a.txt", "Once.")
    assert parse("{name}: {content}").fill(item) == "a.txt: Once."
    assert parse("Summarise:").fill(item) == "Summarise:\n\nOnce."
    with pytest.raises(InvalidArgument, match="known are name, content"):
        parse("{item}").check([item])


def test_names_of_fields_may_have_hyphens_and_letters_of_any_script() -> None:
    assert fill("{first-name} {größe}", {"first-name": "Ada", "größe": 3}) == "Ada 3"


@pytest.mark.parametrize("template", ["Summarise:", "Summarise:\n\n", "Summarise:  "])
def test_without_a_place_the_item_comes_after_a_blank_line(template: str) -> None:
    assert fill(template, "Once.") == "Summarise:\n\nOnce."


def test_without_a_prompt_the_item_is_the_prompt() -> None:
    assert fill("", "Once.") == "Once."


def test_an_object_without_a_place_is_appended_as_json() -> None:
    assert fill('Like {"a": 1}:', {"a": 2}) == 'Like {"a": 1}:\n\n{"a": 2}'


def test_an_unknown_field_is_told_with_the_known_ones() -> None:
    with pytest.raises(InvalidArgument) as caught:
        parse("{title} by {autor}").check([Item.of({"title": "Emma", "author": "Jane Austen"})])
    assert caught.value.message == (
        "prompt: item 0 has no field 'autor'; known are item, title, author"
    )
    assert "{{autor}}" in caught.value.hint


def test_known_fields_pass() -> None:
    parse("{title} {{x}} {title}").check([Item.of({"title": "Emma", "author": "Jane Austen"})])


def test_every_item_must_have_the_fields() -> None:
    with pytest.raises(InvalidArgument, match="item 1 has no field 'title'"):
        parse("{title}").check([Item.of({"title": "Emma"}), Item.of({"name": "Emma"})])
