"""The loop: turns of a scripted model, and what comes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anyio
import mcp_types
import pytest

from ollama_mcp_server.agent.events import (
    Asking,
    Called,
    Calling,
    Ended,
    Event,
    Run,
    Said,
    Task,
)
from ollama_mcp_server.agent.loop import LAST, LEAST, Loop
from ollama_mcp_server.agent.toolbox import Toolbox
from ollama_mcp_server.daemon.wire import Part
from ollama_mcp_server.delegation.answer import Answer, Heard
from ollama_mcp_server.errors import ContextOverflow, DaemonError
from ollama_mcp_server.progress import Progress
from tests.agent.scripted import ScriptedLease, Status, named, servers, text, tool

STRING = {"type": "string"}
#: A PNG of one pixel.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5"
    "ErkJggg=="
)
#: One turn: text, calls by name, or what makes an answer of the request.
Turn = Any


def calls(*wanted: tuple[str, dict[str, Any]], content: str = "") -> Answer:
    """Return an answer that asks for calls."""
    made = [
        {"id": f"call_{number}", "function": {"name": name, "arguments": arguments}}
        for number, (name, arguments) in enumerate(wanted)
    ]
    return answer(content, tool_calls=made)


def answer(content: str, reason: str = "stop", **fields: Any) -> Answer:
    """Return an answer that took ten tokens of prompt and five of text."""
    final = {
        "model": "m", "done": True, "done_reason": reason,
        "prompt_eval_count": 10, "eval_count": 5,
    }  # fmt: skip
    return Answer(content, final=final, window=2048, **fields)


class Model:
    """Says what the script says, and keeps what it was asked."""

    def __init__(self, *turns: Turn) -> None:
        self.turns = list(turns)
        self.asked: list[Part] = []

    async def __call__(self, body: Part, progress: Progress, heard: Heard | None) -> Answer:
        self.asked.append({**body, "messages": list(body["messages"])})
        turn = self.turns.pop(0) if len(self.turns) > 1 else self.turns[0]
        said = turn(body) if callable(turn) else turn
        if isinstance(said, BaseException):
            raise said
        said = answer(said) if isinstance(said, str) else said
        if heard is not None and said.content:
            heard({"message": {"role": "assistant", "content": said.content}})
        return said


def loop(model: Callable[..., Any], lease: ScriptedLease | None = None, **task: Any) -> Loop:
    progress = Progress(None, "")
    box = Toolbox(
        lease if lease is not None else ScriptedLease({}, {}),  # type: ignore[arg-type]
        progress, timeout=None, default_timeout=1000, allow_destructive=True,
    )  # fmt: skip
    told = Task([{"role": "user", "content": "Do it."}], **task)
    return Loop(told, box, model, "m", "native", progress)


async def run(made: Loop) -> tuple[Run, list[Event]]:
    events = [event async for event in made.events()]
    assert isinstance(events[-1], Ended)
    return events[-1].run, events


async def test_a_task_is_worked_on_until_it_is_answered() -> None:
    lease = servers(tool("list", reads=True), tool("read", reads=True, path=STRING), list="a.txt",
                    read="the token")  # fmt: skip
    model = Model(
        calls(("fs__list", {})), calls(("fs__read", {"path": "a.txt"})), "It says: the token."
    )
    done, events = await run(loop(model, lease))
    assert done.answer == "It says: the token."
    assert done.stop_reason == "answered"
    assert [(step.name, step.result) for step in done.steps] == [
        ("fs:list", "a.txt"), ("fs:read", "the token"),
    ]  # fmt: skip
    assert (done.rounds, done.prompt_tokens, done.completion_tokens) == (3, 30, 15)
    assert "the token" in model.asked[2]["messages"][-1]["content"]
    assert [said["role"] for said in done.messages] == [
        "user", "assistant", "tool", "assistant", "tool", "assistant",
    ]  # fmt: skip
    kinds = [type(event) for event in events]
    assert kinds == [Asking, Calling, Called, Asking, Calling, Called, Asking, Said, Ended]
    assert done.warnings == []


async def test_temperature_is_zero_unless_set() -> None:
    model = Model("done")
    await run(loop(model))
    await run(loop(model, options={"temperature": 0.7}))
    assert [body["options"]["temperature"] for body in model.asked] == [0, 0.7]


async def test_calls_of_one_turn_are_told_in_the_models_order() -> None:
    lease = servers(tool("read", reads=True, n={"type": "integer"}), read=lambda g: str(g["n"]))
    model = Model(calls(*(("fs__read", {"n": n}) for n in range(3))), "done")
    done, _ = await run(loop(model, lease))
    told = [said for said in done.messages if said["role"] == "tool"]
    assert [said["tool_call_id"] for said in told] == ["call_0", "call_1", "call_2"]
    assert lease.most == 3


async def test_the_last_turn_has_no_tools() -> None:
    lease = servers(tool("read"))

    def turn(body: Part) -> Answer:
        return calls(("fs__read", {})) if body.get("tools") else answer("what I have")

    model = Model(turn)
    done, _ = await run(loop(model, lease, max_rounds=2))
    assert done.stop_reason == "max_rounds"
    assert done.answer == "what I have"
    assert len(done.steps) == 2
    assert model.asked[-1]["messages"][-1] == {"role": "user", "content": LAST}


async def test_a_call_that_fails_again_and_again_ends_the_run() -> None:
    lease = servers(tool("read"), read=text("no such file", failed=True))

    def turn(body: Part) -> Answer:
        return calls(("fs__read", {})) if body.get("tools") else answer("It cannot be read.")

    done, _ = await run(loop(Model(turn), lease))
    assert done.stop_reason == "repeated_failure"
    assert done.answer == "It cannot be read."
    assert len(lease.called) == 2


async def test_tokens_are_limited() -> None:
    lease = servers(tool("read"))
    done, _ = await run(loop(Model(calls(("fs__read", {}))), lease, max_tokens=30))
    assert done.stop_reason == "max_tokens"
    assert done.rounds == 2


async def test_seconds_are_limited_and_what_was_said_is_kept() -> None:
    async def slow(body: Part, progress: Progress, heard: Heard | None) -> Answer:
        assert heard is not None
        heard({"message": {"role": "assistant", "content": "so far"}})
        await asyncio.sleep(60)
        raise AssertionError

    done, _ = await run(loop(slow, max_seconds=0.1))
    assert done.stop_reason == "max_seconds"
    assert done.answer == "so far"


async def test_closing_the_events_stops_the_model() -> None:
    stopped = asyncio.Event()

    async def slow(body: Part, progress: Progress, heard: Heard | None) -> Answer:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        raise AssertionError

    events = loop(slow).events()
    assert isinstance(await anext(events), Asking)
    await asyncio.sleep(0)
    with anyio.fail_after(5):
        await events.aclose()
    assert stopped.is_set()


async def test_results_are_cut_until_the_window_holds_them() -> None:
    lease = servers(tool("read"), read="x" * 10_000)

    def second(body: Part) -> Answer:
        if len(body["messages"][-1]["content"]) > 3000:
            raise ContextOverflow("the prompt has 5000 tokens, and the window 2048")
        return answer("done")

    done, _ = await run(loop(Model(calls(("fs__read", {})), second), lease))
    assert done.answer == "done"
    assert any("cut" in warning for warning in done.warnings)


async def test_a_prompt_that_no_cutting_helps_is_an_error() -> None:
    model = Model(ContextOverflow("the prompt has 5000 tokens, and the window 2048"))
    with pytest.raises(ContextOverflow):
        await run(loop(model))
    assert LEAST > 0


async def test_an_error_in_the_middle_tells_what_was_done() -> None:
    lease = servers(tool("read"))
    with pytest.raises(DaemonError) as caught:
        await run(loop(Model(calls(("fs__read", {})), DaemonError("the runner died")), lease))
    (step,) = caught.value.details["steps"]
    assert (step["server"], step["tool"], step["result"]) == ("fs", "read", "read")


async def test_the_answer_is_put_in_the_form_that_was_asked_for() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    given = answer('{"n": 3}')
    given.data = {"n": 3}
    model = Model("three", given)
    done, _ = await run(loop(model, format=schema))
    assert done.data == {"n": 3}
    assert model.asked[0].get("format") is None
    assert model.asked[1]["format"] == schema


async def test_warnings_tell_of_servers_that_are_down_and_of_tools_never_called() -> None:
    lease = servers(tool("read"))
    lease.down.append(Status("git", "it exited at once"))
    done, _ = await run(loop(Model("done"), lease))
    assert "git is down since" in done.warnings[0]
    assert "it exited at once" in done.warnings[0]
    assert "called none of the tools" in done.warnings[1]


@pytest.mark.parametrize(("reason", "content", "end"), [
    ("length", "cut he", "length"), ("stop", "", "empty"), ("stop", "yes", "answered"),
])  # fmt: skip
async def test_how_an_answer_ends(reason: str, content: str, end: str) -> None:
    done, _ = await run(loop(Model(answer(content, reason))))
    assert done.stop_reason == end


async def test_tools_that_change_during_a_run_are_taken_in() -> None:
    lease = servers(tool("read"))

    def first(body: Part) -> Answer:
        lease.tools["fs"].append(tool("find"))
        lease.answers["fs:find"] = lambda _: "found"
        lease.version += 1
        return calls(("fs__read", {}))

    done, _ = await run(loop(Model(first, calls(("fs__find", {})), "done"), lease))
    assert named(lease.called) == ["fs:read", "fs:find"]
    assert done.stop_reason == "answered"


async def test_pictures_of_tools_reach_a_model_that_sees() -> None:
    picture = mcp_types.ImageContent(type="image", data=PIXEL, mime_type="image/png")
    lease = servers(tool("look"), look=mcp_types.CallToolResult(content=[picture]))
    model = Model(calls(("fs__look", {})), "done")
    made = loop(model, lease)
    made.toolbox.sees = True
    await run(made)
    assert model.asked[1]["messages"][-1]["images"] == [PIXEL]
    made = loop(model2 := Model(calls(("fs__look", {})), "done"), lease)
    await run(made)
    assert not any(said.get("images") for said in model2.asked[1]["messages"])


MINE = {"type": "function", "function": {"name": "send", "parameters": {
    "type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}}}  # fmt: skip


async def test_a_call_of_the_clients_own_ends_the_run() -> None:
    lease = servers(tool("read"))
    model = Model(calls(("fs__read", {})), calls(("send", {"n": "3"}), content="I send it."))
    done, events = await run(loop(model, lease, client_tools=[MINE], format={"type": "object"}))
    assert (done.stop_reason, done.answer) == ("tool_calls", "I send it.")
    assert [(call.name, call.arguments, call.id) for call in done.calls] == [
        ("send", {"n": 3}, "call_0")
    ]
    assert [step.name for step in done.steps] == ["fs:read"]
    offered = [one["function"]["name"] for one in model.asked[0]["tools"]]
    assert offered == ["send", "fs__read"]
    assert model.asked[0]["tools"][0] == MINE
    assert not any(isinstance(event, Calling) and event.step.tool == "send" for event in events)


async def test_beside_a_call_of_the_clients_no_other_is_made() -> None:
    lease = servers(tool("read"))
    wanted = calls(("fs__read", {}), ("send", {"n": 1}), ("sned", {}))
    done, _ = await run(loop(Model(wanted), lease, client_tools=[MINE]))
    assert [call.name for call in done.calls] == ["send"]
    assert lease.called == []
    assert done.steps == []
    assert done.warnings == []


async def test_the_clients_tools_need_no_server() -> None:
    done, _ = await run(loop(Model(calls(("send", {"n": 1}))), client_tools=[MINE]))
    assert done.stop_reason == "tool_calls"
    done, _ = await run(loop(Model("no need"), client_tools=[MINE]))
    assert (done.stop_reason, done.calls, done.warnings) == ("answered", [], [])


async def test_a_server_takes_no_name_of_the_clients() -> None:
    lease = servers(tool("read"))
    mine = {"type": "function", "function": {"name": "fs__read"}}
    done, _ = await run(loop(Model(calls(("fs__read", {}))), lease, client_tools=[mine]))
    assert [call.name for call in done.calls] == ["fs__read"]
    assert lease.called == []


async def test_an_invented_tool_is_told_to_the_model_and_not_to_the_client() -> None:
    model = Model(calls(("fly", {})), "done")
    done, _ = await run(loop(model, servers(tool("read")), client_tools=[MINE]))
    assert (done.stop_reason, done.calls) == ("answered", [])
    assert "Tool not found: fly" in model.asked[1]["messages"][-1]["content"]
