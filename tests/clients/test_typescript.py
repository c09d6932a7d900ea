"""The official TypeScript SDKs, on which most hosts stand: v1 and v2, each era, each transport."""

from __future__ import annotations

import json

import pytest

from .conftest import HERE, Node, Target, answer
from .visit import check, plan

pytestmark = pytest.mark.live


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize(
    ("script", "era"), [("v1.mjs", ""), ("v2.mjs", "2025-11-25"), ("v2.mjs", "2026-07-28")]
)
def test_a_visit(node: Node, target: Target, chat_model: str, script: str, era: str) -> None:
    asked = {
        "modules": str(node.modules), "target": target, "era": era, "plan": plan(chat_model),
    }  # fmt: skip
    check(answer(node(HERE / script, json.dumps(asked))), chat_model)
