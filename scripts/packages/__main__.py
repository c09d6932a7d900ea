"""Install the package in every way that people do, with every Python here, and start it as a host.

Wheel and sdist are built first; with --published VERSION the index's are taken instead. Only the
standard library is needed. A line for each way tells what came out; the exit status is 1 if any
failed.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from . import pythons, ways
from .visit import Unanswered, visit

ROOT = Path(__file__).parents[2]
#: What uvx needs to find the package again, beside what a host hands down.
FOR_UV = re.compile(r"UV_|SSL_CERT|HTTPS?_PROXY|NO_PROXY", re.IGNORECASE)


def main() -> int:
    """Try every way with every Python, and return the exit status."""
    asked = _arguments()
    chosen = _chosen(asked.python)
    for minor in () if asked.python else set(pythons.MINORS) - chosen.keys():
        print(f"none {minor:8} is not on this machine: untested", flush=True)
    outcomes = []
    with TemporaryDirectory(prefix="packages-", ignore_cleanup_errors=True) as name:
        room = Path(name)
        tools = ways.bring_tools(room / "tools")
        if asked.published:
            source, version = ways.published(asked.published), asked.published
        else:
            source, version = ways.build(tools, ROOT, room / "dist"), _version()
        for python in chosen.values():
            for way in asked.by or ways.WAYS:
                place = room / f"{python.version}-{list(ways.WAYS).index(way)}"
                outcomes.append(_tried(way, source, version, python, tools, place))
    print(f"{outcomes.count(True)} passed, {outcomes.count(False)} failed")
    return 0 if outcomes and all(outcomes) else 1


def _tried(
    way: str, source: ways.Source, version: str, python: pythons.Python, tools: ways.Tools,
    place: Path,
) -> bool:  # fmt: skip
    began = time.monotonic()
    place.mkdir()
    (home := place / "home").mkdir()
    try:
        command = ways.WAYS[way](source, python, tools, place)
        told = ways.run([*command, "--version"]).strip()
        handed = {"HOME": str(home)} if os.name != "nt" else {}
        if way == "uvx":
            handed = {k: v for k, v in os.environ.items() if k == "HOME" or FOR_UV.match(k)}
        seen = visit(command, home, handed)
    except (ways.Failed, Unanswered) as error:
        return _told(False, way, python, began, str(error))
    if (told, seen.version) != (f"{ways.NAME} {version}", version):
        wrong = f"it is {told}, and says {seen.version}; {version} was installed"
        return _told(False, way, python, began, wrong)
    if not {"ollama_chat", "ollama_list"} <= set(seen.tools):
        return _told(False, way, python, began, f"its tools are {', '.join(seen.tools)}")
    return _told(True, way, python, began, f"{told}, {len(seen.tools)} tools, {seen.protocol}")


def _told(passed: bool, way: str, python: pythons.Python, began: float, text: str) -> bool:
    seconds = time.monotonic() - began
    start = "ok  " if passed else "FAIL"
    print(f"{start} {python.version:8} {way:15} {seconds:5.1f} s  {text}", flush=True)
    return passed


def _chosen(wanted: list[str]) -> dict[str, pythons.Python]:
    if wanted == ["this"]:
        return {"this": pythons.here()}
    there = pythons.found()
    if missing := [minor for minor in wanted if minor not in there]:
        raise SystemExit(f"not on this machine: Python {', '.join(missing)}")
    return {minor: there[minor] for minor in wanted} if wanted else there


def _version() -> str:
    told = (ROOT / "ollama_mcp_server/__init__.py").read_text(encoding="utf-8")
    return str(re.findall(r'__version__ = "(.+)"', told)[0])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.packages", description=__doc__)
    parser.add_argument("--published", metavar="VERSION", help="that version of the index")
    parser.add_argument(
        "--python", action="append", default=[],
        help="3.10 … 3.14, or `this`; may be repeated; default all that are here",
    )  # fmt: skip
    parser.add_argument("--by", action="append", choices=ways.WAYS, help="default every way")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
