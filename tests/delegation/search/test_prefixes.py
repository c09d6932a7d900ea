"""What models want before a query."""

from __future__ import annotations

import pytest

from ollama_mcp_server.delegation.search.prefixes import Prefixes, prefixes

REPRESENT = "Represent this sentence for searching relevant passages: "


@pytest.mark.parametrize(
    ("model", "family", "expected"),
    [
        ("all-minilm:22m", "bert", ("", "")),
        ("nomic-embed-text:v1.5", "nomic-bert", ("search_query: ", "search_document: ")),
        ("mine", "nomic-bert", ("search_query: ", "search_document: ")),
        ("embeddinggemma", "gemma3", ("task: search result | query: ", "title: none | text: ")),
        ("mxbai-embed-large", "bert", (REPRESENT, "")),
        ("snowflake-arctic-embed:s", "bert", (REPRESENT, "")),
        ("snowflake-arctic-embed2", "bert", ("query: ", "")),
        ("bge-m3", "bert", ("", "")),
        ("jeffh/intfloat-multilingual-e5-large:f16", "bert", ("query: ", "passage: ")),
        ("jeffh/intfloat-multilingual-e5-large-instruct", "bert", ("", "")),
    ],
)  # fmt: skip
def test_prefixes_are_those_of_the_model(
    model: str, family: str, expected: tuple[str, str]
) -> None:
    assert prefixes(model, family) == Prefixes(*expected)


def test_an_instruction_stands_before_a_query_alone() -> None:
    query, document = prefixes("qwen3-embedding:0.6b", "qwen3")
    assert (query.startswith("Instruct: "), query.endswith("Query:"), document) == (True, True, "")
