"""Every error that a caller can meet is explained, with what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from ollama_mcp_server import errors
from ollama_mcp_server.errors import OllamaMCPError

from .blocks import ROOT

TROUBLES = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")


def kinds(root: type[OllamaMCPError]) -> Iterator[type[OllamaMCPError]]:
    yield root
    for kind in root.__subclasses__():
        yield from kinds(kind)


#: Of the tree itself; what is below elsewhere has the code of its parent.
KINDS = {kind.code: kind for kind in kinds(OllamaMCPError) if kind.__module__ == errors.__name__}


def test_no_error_elsewhere_has_a_code_of_its_own() -> None:
    assert {kind.code for kind in kinds(OllamaMCPError)} == KINDS.keys()


@pytest.mark.parametrize("code", sorted(KINDS))
def test_an_error_has_a_row_with_its_cure(code: str) -> None:
    for page in (TROUBLES.partition("## By the code of the error")[2], RESULTS):
        [row] = re.findall(rf"^\| `{code}` \|.*$", page, re.MULTILINE)
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 3
        assert all(cells)
