"""The table of a run with many made-up cases, from its JUnit XML."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from xml.etree import ElementTree

COUNTED = ("cases", "answered", "refused", "error")


def table(*runs: Path) -> str:
    """Return a row for each file of tests, and the seed by which the cases can be had again."""
    sums: dict[str, Counter[str]] = defaultdict(Counter)
    seeds = set()
    for run in runs:
        for case in ElementTree.parse(run).iter("testcase"):
            told = {str(one.get("name")): str(one.get("value")) for one in case.iter("property")}
            if "fuzz.cases" in told:
                name = str(case.get("classname")).rpartition(".")[2]
                sums[name].update({what: int(told[f"fuzz.{what}"]) for what in COUNTED})
                seeds.add(told["fuzz.seed"])
    lines = ["| tests | cases | answered | refused | faults of ours |", "|---|---|---|---|---|"]
    for name, counts in sums.items():
        cells = " | ".join(f"{counts[what]:,}" for what in COUNTED)
        lines.append(f"| `{name}` | {cells} |")
    return "\n".join([*lines, "", f"Seed: {', '.join(sorted(seeds))}.", ""])
