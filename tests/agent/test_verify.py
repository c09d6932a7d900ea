"""Trying a model's tool calling, with models that do it well, badly, and not at all."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ollama_mcp_server.agent.verify import PROBES, Outcome, best, verify
from ollama_mcp_server.daemon.wire import Part
from ollama_mcp_server.delegation.answer import Answer, Heard
from ollama_mcp_server.progress import Progress
from tests.agent.test_loop import answer, calls


class Good:
    """A model that calls tools as it should, natively or by the schema."""

    async def __call__(self, body: Part, progress: Progress, heard: Heard | None) -> Answer:
        users = [m["content"] for m in body["messages"] if m["role"] == "user"]
        task = next(said for said in reversed(users) if " returned:" not in said.split("\n")[0])
        results = sum(m["role"] == "tool" for m in body["messages"])
        results += sum(said.startswith("get_weather returned") for said in users[-1:])
        wanted: list[tuple[str, Any]] = [
            ("get_weather", {"city": city}) for city in re.findall("Paris|Oslo|Rome", task)
        ]
        if "Add" in task:
            wanted = [("add", {"a": 17, "b": 25})]
        wanted = wanted[results if body.get("format") else 0 if not results else len(wanted) :]
        if body.get("tools") and wanted:
            return calls(*((f"demo__{name}", given) for name, given in wanted))
        if isinstance(body.get("format"), dict):
            said = answer("{}")
            name, arguments = wanted[0] if wanted else ("answer", None)
            said.data = {"tool": name, "arguments": arguments}
            return said
        return answer("It is 17 degrees in Paris.")


class Silent:
    """A model that answers in words, whatever it is offered."""

    async def __call__(self, body: Part, progress: Progress, heard: Heard | None) -> Answer:
        said = answer("Paris is lovely, they say.")
        said.data = {"tool": "answer"}
        return said


async def test_a_good_model_passes_natively() -> None:
    report = await verify(Good(), "m", Progress(None, ""), is_native=True)
    assert {one.probe: one.passed for one in report.outcomes["native"]} == dict.fromkeys(
        PROBES, True
    ), report.outcomes
    assert report.mode == "native"
    assert "demo__get_weather" in report.outcomes["native"][0].did


async def test_words_are_told_from_a_call() -> None:
    report = await verify(Silent(), "m", Progress(None, ""), is_native=True)
    first = report.outcomes["native"][0]
    assert not first.passed
    assert first.did.startswith("answered in words: Paris is lovely")
    assert report.mode == "fallback"


async def test_a_model_without_tools_is_tried_by_the_fallback_alone() -> None:
    report = await verify(Silent(), "m", Progress(None, ""), is_native=False)
    assert list(report.outcomes) == ["fallback"]
    assert report.mode == "fallback"


def outcomes(*passed: bool) -> list[Outcome]:
    return [Outcome(str(number), one, "") for number, one in enumerate(passed)]


@pytest.mark.parametrize(("native", "fallback", "mode"), [
    ((True, False), (True, True), "fallback"),
    ((True, True), (True, True), "native"),
    ((False, True), (False, False), "fallback"),
])  # fmt: skip
def test_which_mode_is_used(native: Any, fallback: Any, mode: str) -> None:
    assert best({"native": outcomes(*native), "fallback": outcomes(*fallback)}) == mode
