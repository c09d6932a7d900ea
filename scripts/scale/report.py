"""The verdicts as a table, and the table's place in the documentation."""

from __future__ import annotations

from collections.abc import Sequence

from .fates import Verdict

BEGIN, END = "<!-- scale:begin -->", "<!-- scale:end -->"


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as a Markdown table."""
    rows = [
        f"| {one.what} | {'yes' if one.passed else '**no**'} | {one.told.replace('|', '/')} |"
        for one in verdicts
    ]
    return "\n".join(["| what | holds | figures |", "|---|---|---|", *rows])


def placed(page: str, text: str) -> str:
    """Return a page with a text in place of what stands between the marks.

    Raises:
        ValueError: the page does not have the marks, once and in their order.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page has no {BEGIN} … {END}")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}"
