"""The official Go SDK, each era, each transport."""

from __future__ import annotations

import json
import subprocess

import pytest

from scripts.testbed.golang import built

from .conftest import CACHE, HERE, Target, answer
from .visit import check, plan

pytestmark = pytest.mark.live


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28"])
def test_a_visit(target: Target, chat_model: str, era: str, environment: dict[str, str]) -> None:
    asked = json.dumps({"target": target, "era": era, "plan": plan(chat_model)})
    ran = subprocess.run(
        [built(HERE / "go", CACHE), asked],
        env=environment, cwd=environment["HOME"], capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    check(answer(ran), chat_model)
