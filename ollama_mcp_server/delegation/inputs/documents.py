"""Documents, and how they stand in a prompt."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Document:
    """A file's name, as the prompt tells it, and its text."""

    name: str
    text: str


def with_documents(documents: Sequence[Document], prompt: str) -> str:
    """Return the prompt behind the documents, each under its name; small models do best so.

    A line that a document holds itself is no fence: where one holds the usual, the fence gets a
    number that follows from all their content, which none can know.
    """
    if not documents:
        return prompt
    fence = "====="
    held = [part for document in documents for part in (document.name, document.text)]
    while any(fence in part for part in held):
        fence = f"====={hashlib.sha256(''.join([fence, *held]).encode()).hexdigest()[:12]}"
    told = [f"{fence} {document.name}\n{document.text}\n" for document in documents]
    return f"{''.join(told)}{fence} end of files\n\n{prompt}"
