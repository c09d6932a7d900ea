"""Figures in a page of the documentation, between two marks, with the day and the commit."""

from __future__ import annotations

import subprocess
from datetime import datetime, timezone
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reliability.md"


def write(name: str, figures: str, page: Path = PAGE) -> None:
    """Put figures in the place of those that stand between the marks of `name`.

    Raises:
        ValueError: the page has no such marks.
    """
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->"
    before, found, rest = page.read_text().partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise ValueError(f"{page.name} has no place for {name}")
    page.write_text(f"{before}{begin}{figures.strip()}\n\n{stamp()}\n{end}{after}")


def stamp() -> str:
    """Return when this is measured, and at which commit."""
    words = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    day = datetime.now(timezone.utc).date()
    return f"Measured {day}, commit {commit.strip() or 'unknown'}."
