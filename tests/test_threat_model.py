"""The page of threats names tests: each of them is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "threat-model.md").read_text()


def test_every_line_of_the_page_is_held_by_a_test_that_there_is() -> None:
    named = re.findall(r"`(tests/\S+\.py)::(test_\w+)`", PAGE)
    assert len(named) > 25
    missing = [f"{file}::{name}" for file, name in named if name not in functions(ROOT / file)]
    assert not missing
    rows = [row for row in PAGE.splitlines() if row.startswith("|") and row.count("|") == 5]
    assert all("`" in row.split("|")[-2] for row in rows[2:]), "each row says what shows it"


def functions(file: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, kinds)}
