"""Pages that claim something name the tests that show it: each of them is there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("page", ["threat-model", "conformance"])
def test_every_claim_is_held_by_a_test_that_there_is(page: str) -> None:
    text = (ROOT / "docs" / f"{page}.md").read_text()
    named = re.findall(r"`(tests/\S+\.py)::(test_\w+)`", text)
    assert len(named) > 25
    missing = [f"{file}::{name}" for file, name in named if name not in functions(ROOT / file)]
    assert not missing
    for table in re.findall(r"(?m)^\|.*shown by \|\n\|[-|]+\|\n((?:\|.*\n)+)", text):
        for row in table.splitlines():
            assert "`" in row.split("|")[-2], f"nothing shows it: {row}"


def functions(file: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds)}
