"""TDQS, by which the Glama directory scores servers: its lint of the tools, without a model."""

from __future__ import annotations

import json
import subprocess
import sys

from .conftest import COMMAND, NOWHERE, output


def test_no_findings(environment: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tdqs", "lint", "--command", COMMAND, "--format", "json",
         "--fail-on", "warning"],
        env={**environment, "OLLAMA_HOST": NOWHERE}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, output(ran)
    assert json.loads(ran.stdout)["server"]["toolCount"] >= 11
