"""What models want before a query, and before a passage that is searched."""

import re
from typing import NamedTuple


class Prefixes(NamedTuple):
    """What a model wants before a query, and before a passage that is searched."""

    query: str = ""
    document: str = ""


_REPRESENT = "Represent this sentence for searching relevant passages: "
_INSTRUCT = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
)
#: By the models' own cards; the first name that is found counts.
_PREFIXES = (
    (r"nomic-embed-text", Prefixes("search_query: ", "search_document: ")),
    (r"embeddinggemma", Prefixes("task: search result | query: ", "title: none | text: ")),
    (r"qwen3-embedding", Prefixes(_INSTRUCT)),
    (r"arctic-embed(2|.*v2)", Prefixes("query: ")),
    (r"arctic-embed|mxbai-embed|bge-(small|base|large)(?!-zh)", Prefixes(_REPRESENT)),
    (r"\be5-(?!.*(instruct|mistral))", Prefixes("query: ", "passage: ")),
)
#: Families of which one model embeds, whatever name it was given.
_FAMILIES = {
    "nomic-bert": "nomic-embed-text",
    "nomic-bert-moe": "nomic-embed-text",
    "gemma3": "embeddinggemma",
    "gemma-embedding": "embeddinggemma",
    "qwen3": "qwen3-embedding",
}


def prefixes(model: str, family: str = "") -> Prefixes:
    """Return the prefixes for a search with a model, by its name, else by its family."""
    for name in (model.lower(), _FAMILIES.get(family, "")):
        for pattern, found in _PREFIXES:
            if re.search(pattern, name):
                return found
    return Prefixes()
