"""TDQS, by which the Glama directory scores servers: its lint of the tools, without a model."""

from __future__ import annotations

import json
import subprocess
import sys

from .conftest import COMMAND, NOWHERE, output

#: TDQS asks for a look wherever a tool takes more to call than another, whatever the two do. These
#: were looked at: no agent creates a model, or lists models, in place of asking one.
NO_SUBSTITUTES = {
    ("ollama_chat", "ollama_create"),
    ("chat_completion", "ollama_create"),
    ("ollama_embed", "ollama_list"),
}


def test_no_findings(environment: dict[str, str]) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tdqs", "lint", "--command", COMMAND, "--format", "json",
         "--fail-on", "never"],
        env={**environment, "OLLAMA_HOST": NOWHERE}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, output(ran)
    told = json.loads(ran.stdout)
    assert told["server"]["toolCount"] >= 11, told["server"]

    wrong = [
        f"{found['severity']} {found['rule']}: {found['message']}"
        for found in told["findings"]
        if found["severity"] != "info" and found["rule"] != "shadow-candidate"
    ]
    assert not wrong, "\n".join(wrong)
    pairs = {(pair["tool"], pair["cheaperSibling"]) for pair in told["shadowCandidates"]}
    assert pairs == NO_SUBSTITUTES, "(tool, a cheaper one): would an agent take the cheaper one?"
