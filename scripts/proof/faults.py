"""The table of a run of tests/proof/faults, from its JUnit XML."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

HEAD = """\
| what was injected | ways | the caller got | after (s) | next call (s) | sockets | files |
|---|---|---|---|---|---|---|
"""


def table(run: Path) -> str:
    """Return the table of a run, a row for each test, of whose kinds and ways the worst counts."""
    rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for case in ElementTree.parse(run).iter("testcase"):
        told = {one.get("name"): one.get("value") for one in case.iter("property")}
        if "figures" in told:
            name = str(case.get("name")).partition("[")[0]
            rows[name].append({**json.loads(str(told["figures"])), "way": told["way"]})
    return HEAD + "".join(row(name, found) for name, found in rows.items())


def row(name: str, found: list[dict[str, Any]]) -> str:
    """Return the row of a test's figures."""
    codes = sorted({str(one.get("error", "none")) for one in found})
    cells = [
        name.removeprefix("test_").replace("_", " "),
        str(len(found)),
        ", ".join(f"`{code}`" if code != "none" else "its answer" for code in codes),
        spread([one["seconds"] for one in found if "seconds" in one]),
        spread([one["next call"] for one in found if "next call" in one]),
        growth([one["sockets"] for one in found if "sockets" in one]),
        growth([one["files"] for one in found if "files" in one]),
    ]
    return f"| {' | '.join(cells)} |\n"


def spread(values: list[float]) -> str:
    """Return the least and the most of some figures."""
    if not values:
        return ""
    least, most = min(values), max(values)
    return f"{least:g}" if least == most else f"{least:g}–{most:g}"


def growth(pairs: list[list[int]]) -> str:
    """Return the pair, before and after, that has grown most."""
    if not pairs:
        return ""
    before, after = max(pairs, key=lambda pair: pair[1] - pair[0])
    return f"{before} → {after}"
