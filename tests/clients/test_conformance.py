"""The official MCP conformance suite, over HTTP, on each wire that the suite knows.

It meets two servers. The shipped command, with the scenarios that need nothing of the server but
the protocol; and this project's server with what the scored scenarios call mounted on it
(conformance_fixtures.py), where a revision's whole frozen list must pass.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.fake_ollama import FakeOllama

from .conftest import COMMAND, HERE, Node, Serve, output

SUITE = "@modelcontextprotocol/conformance"

#: Wire -> scenarios for any server.
GENERIC = {
    "2025-06-18": ["server-initialize", "ping", "logging-set-level", "tools-list",
                   "resources-list", "prompts-list"],
    "2025-11-25": ["server-initialize", "server-session-lifecycle", "ping", "logging-set-level",
                   "tools-list", "resources-list", "prompts-list", "server-sse-multiple-streams",
                   "dns-rebinding-protection"],
    "2026-07-28": ["server-stateless", "tools-list", "resources-list", "prompts-list", "caching",
                   "sep-2164-resource-not-found", "http-header-validation",
                   "server-sse-multiple-streams", "input-required-result-unsupported-methods",
                   "dns-rebinding-protection"],
}  # fmt: skip
#: Revision -> how many scenarios it requires of a server.
SCORED = {"2025-11-25": 30, "2026-07-28": 37}


@dataclass
class Scenario:
    """A scenario's checks: those that passed, and those that did not, with the reason."""

    passed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def shipped(serve: Serve, one_daemon: FakeOllama) -> Iterator[str]:
    """URL of the shipped command over HTTP, with a daemon: the suite reads a resource."""
    with serve(COMMAND, "--transport", "http", "--port", "0", ollama=one_daemon.url) as url:
        yield url


@pytest.mark.parametrize("wire", GENERIC)
def test_the_shipped_command(node: Node, shipped: str, wire: str, tmp_path: Path) -> None:
    ran = node(f"{SUITE}/dist/index.js", "server", "--url", shipped, "--suite", "all",
               "--spec-version", wire, "--output-dir", str(tmp_path))  # fmt: skip
    # Its exit code says nothing here: it also ran what needs the fixtures.
    found = problems(results(tmp_path), GENERIC[wire], baseline("shipped", wire))
    assert not found, "\n".join(found) or output(ran)


@pytest.fixture(scope="module")
def with_fixtures(serve: Serve, one_daemon: FakeOllama) -> Iterator[str]:
    command = (sys.executable, "-m", "tests.clients.conformance_fixtures")
    with serve(*command, ollama=one_daemon.url) as url:
        yield url


@pytest.mark.parametrize("wire", SCORED)
def test_the_scored_scenarios(node: Node, with_fixtures: str, wire: str, tmp_path: Path) -> None:
    required = (node.modules / SUITE / "requirements" / f"{wire}.yaml").read_text()
    scored = entries(required.split("\nserver:\n")[1].split("\nclient:\n")[0])
    assert len(scored) == SCORED[wire], scored

    known = baseline("fixtures", wire)
    excused = ["--expected-failures", str(baseline_file("fixtures", wire))] if known else []
    ran = node(f"{SUITE}/dist/index.js", "server", "--url", with_fixtures, "--requirements", wire,
               "--output-dir", str(tmp_path), *excused)  # fmt: skip
    found = problems(results(tmp_path), scored, known)
    assert not found, "\n".join(found)
    assert ran.returncode == 0, output(ran)


def results(folder: Path) -> dict[str, Scenario]:
    """Read what the suite wrote: scenario -> its checks."""
    found: dict[str, Scenario] = {}
    for file in folder.glob("server-*/checks.json"):
        name = re.sub(r"^server-(.+)-\d{4}-\d\d-\d\dT.+$", r"\1", file.parent.name)
        scenario = found.setdefault(name, Scenario())
        for check in json.loads(file.read_text()):
            if check["status"] == "SUCCESS":
                scenario.passed.append(check["id"])
            elif check["status"] in ("FAILURE", "WARNING"):
                scenario.failed[check["id"]] = check.get("errorMessage") or check["description"]
    return found


def problems(seen: dict[str, Scenario], wanted: list[str], known: list[str]) -> list[str]:
    """Return what is wrong, a line each.

    A scenario without a passed check proves nothing, and so fails; so does an entry of the
    baseline that passes, or that is not among those wanted.
    """
    wrong, met = [], set()
    for name in wanted:
        scenario = seen.get(name, Scenario())
        if not scenario.passed:
            wrong.append(f"{name}: no check passed")
        for check, why in scenario.failed.items():
            if excuse := {name, f"{name}:{check}"} & set(known):
                met |= excuse
            else:
                wrong.append(f"{name}:{check}: {why}")
    return wrong + [f"{entry}: stands in the baseline, but passes" for entry in set(known) - met]


def baseline_file(server: str, wire: str) -> Path:
    return HERE / "baselines" / f"{server}-{wire}.yml"


def baseline(server: str, wire: str) -> list[str]:
    """Return the failures that are known, in the suite's own format: SCENARIO or SCENARIO:CHECK."""
    file = baseline_file(server, wire)
    return entries(file.read_text()) if file.exists() else []


def entries(yaml: str) -> list[str]:
    return re.findall(r"^ *- (\S+)", yaml, re.MULTILINE)
