"""What is sent for a call: its model and profile, its window, its corrections, and nothing more."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from ollama_mcp_server.delegation.answer import Answer
from ollama_mcp_server.delegation.delegate import corrected
from ollama_mcp_server.errors import (
    CapabilityMissing,
    ContextOverflow,
    DaemonError,
    InvalidArgument,
    ModelNotFound,
    TimedOut,
    ToolFailed,
)
from ollama_mcp_server.progress import Progress
from tests.conftest import CHAT, EMBEDDER, HELLO, THINKER, MakeApp
from tests.fake_ollama import ELSEWHERE, FakeOllama, Model

Body = dict[str, Any]
PIRATE = {
    "model": "fast",
    "system": "Like a pirate.",
    "options": {"seed": 7, "num_predict": 50},
    "keep_alive": "1h",
}
NAMES: Body = {"aliases": {"fast": CHAT, "me": "pirate"}, "profiles": {"pirate": PIRATE}}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "integer", "minimum": 3, "maximum": 3}},
    "required": ["a"],
}
#: What the daemon adds up in an answer.
COUNTS = {"prompt_eval_count": 10, "eval_count": 5, "load_duration": 1}


class Asker:
    """One who asks by a server's delegate."""

    def __init__(self, make_app: MakeApp, **settings: Any) -> None:
        self.app = make_app(**settings)

    async def __call__(self, body: Body, path: str = "/api/chat", **more: Any) -> Answer:
        async with Progress(None, "asking") as progress:
            return await self.app.delegate.ask(path, body, progress, **more)


@pytest.fixture
def ask(make_app: MakeApp) -> Asker:
    return Asker(make_app)


@pytest.fixture
def named(make_app: MakeApp) -> Asker:
    return Asker(make_app, **NAMES)


@pytest.fixture
def small(daemon: FakeOllama) -> str:
    """A model whose own window is 64 words, and may be 1024."""
    model = Model("small:1", "llama", 1.0, 1024, 64, parameters={"num_ctx": 64})
    daemon.library.models["registry.ollama.ai/library/small:1"] = model
    return "small:1"


def chat(*contents: str, model: str = CHAT, **more: Any) -> Body:
    return {"model": model, "messages": [{"role": "user", "content": c} for c in contents], **more}


def asked(daemon: FakeOllama) -> list[Body]:
    """The requests that asked a model something."""
    bodies = [r.body for r in daemon.requests if r.path in ("/api/chat", "/api/generate")]
    return [body for body in bodies if body.get("messages") or body.get("prompt")]


def words(number: int) -> str:
    """A text of so many tokens, to the fake daemon."""
    return "ab " * number


def answers(daemon: FakeOllama, *texts: str, path: str = "/api/chat") -> None:
    """Script a model's answers; all models are loaded, so that no load takes one of them."""
    for model in daemon.library.models.values():
        daemon.library.load(model, {})
    for text in texts:
        said = {"message": {"role": "assistant", "content": text}} if path == "/api/chat" else {
            "response": text}  # fmt: skip
        final = {"model": CHAT, "done": True, "done_reason": "stop", **COUNTS}
        daemon.reply(path, {**said, "done": False}, final)


# names


@pytest.mark.parametrize("name", ["pirate", "me"])
async def test_a_profile_fills_in_what_was_not_given(
    named: Asker, daemon: FakeOllama, name: str
) -> None:
    await named(chat("Hi", model=name))
    (body,) = asked(daemon)
    assert body["model"] == CHAT
    assert body["messages"] == [
        {"role": "system", "content": "Like a pirate."}, {"role": "user", "content": "Hi"}
    ]  # fmt: skip
    assert (body["options"]["seed"], body["options"]["num_predict"]) == (7, 50)
    assert body["keep_alive"] == "1h"


async def test_what_was_given_wins(named: Asker, daemon: FakeOllama) -> None:
    own = {"role": "system", "content": "Be kind."}
    messages = [own, *HELLO]
    await named({"model": "pirate", "messages": messages, "options": {"seed": 1}, "keep_alive": 0})
    (body,) = asked(daemon)
    assert body["messages"] == messages
    assert (body["options"]["seed"], body["options"]["num_predict"]) == (1, 50)
    assert body["keep_alive"] == 0


async def test_a_system_message_anywhere_counts(named: Asker, daemon: FakeOllama) -> None:
    messages = [*HELLO, {"role": "system", "content": "Be kind."}]
    await named({"model": "pirate", "messages": messages})
    assert asked(daemon)[0]["messages"] == messages


@pytest.mark.parametrize(
    ("given", "system"),
    [
        ({}, "Like a pirate."),
        ({"system": "Be kind."}, "Be kind."),
        ({"system": ""}, ""),
        ({"raw": True}, None),
    ],
)
async def test_a_profile_and_a_prompt(
    named: Asker, daemon: FakeOllama, given: Body, system: str | None
) -> None:
    await named({"model": "pirate", "prompt": "Hi", **given}, "/api/generate")
    assert asked(daemon)[0].get("system") == system


async def test_a_profile_loads_without_a_message(named: Asker, daemon: FakeOllama) -> None:
    answer = await named({"model": "pirate", "messages": []})
    assert answer.done_reason == "load"
    loads = [request.body for request in daemon.requests if request.path == "/api/chat"]
    assert [load["messages"] for load in loads] == [[]]


async def test_the_default_may_be_a_profile(make_app: MakeApp, daemon: FakeOllama) -> None:
    answer = await Asker(make_app, **NAMES, model="pirate")({"messages": HELLO})
    assert asked(daemon)[0]["messages"][0]["content"] == "Like a pirate."
    assert answer.warnings == [f"no model was named; {CHAT} answered: it is the configured default"]


# pulls


async def test_nothing_is_pulled_unless_it_is_allowed(ask: Asker, daemon: FakeOllama) -> None:
    with pytest.raises(ModelNotFound):
        await ask(chat("Hi", model=ELSEWHERE.name))
    assert "/api/pull" not in [request.path for request in daemon.requests]


async def test_a_missing_model_is_pulled_once(make_app: MakeApp, daemon: FakeOllama) -> None:
    ask = Asker(make_app, auto_pull=True, aliases={"new": ELSEWHERE.name})
    for _ in range(2):
        answer = await ask(chat("Hi", model="new"))
        assert answer.content == "You said: Hi"
    pulled = [request.body for request in daemon.requests if request.path == "/api/pull"]
    assert pulled == [{"model": ELSEWHERE.name, "stream": True}]


async def test_the_missing_default_is_pulled(make_app: MakeApp, daemon: FakeOllama) -> None:
    ask = Asker(make_app, auto_pull=True, model=ELSEWHERE.name)
    answer = await ask({"messages": HELLO})
    assert answer.model == ELSEWHERE.name
    assert "configured default" in answer.warnings[0]


async def test_a_pull_that_fails_ends_the_call(make_app: MakeApp, daemon: FakeOllama) -> None:
    with pytest.raises(ModelNotFound, match="the registry has no model 'nowhere:1'"):
        await Asker(make_app, auto_pull=True)(chat("Hi", model="nowhere:1"))
    assert asked(daemon) == []


async def test_the_time_is_that_of_the_pull_too(make_app: MakeApp, daemon: FakeOllama) -> None:
    daemon.hold("/api/pull")
    with pytest.raises(TimedOut):
        await Asker(make_app, auto_pull=True)(chat("Hi", model=ELSEWHERE.name), timeout_ms=200)
    assert asked(daemon) == []


# capabilities


async def test_what_a_model_cannot_do_is_not_asked(ask: Asker, daemon: FakeOllama) -> None:
    for body in (
        chat("Hi", tools=[{}], model="llava:7b"),
        chat("Hi", think="high"),
        {"model": CHAT, "messages": [{**HELLO[0], "images": ["x"]}]},
        {"model": CHAT, "prompt": "Hi", "suffix": "ho"},
        chat("Hi", model=EMBEDDER),
    ):
        with pytest.raises(CapabilityMissing):
            await ask(body, "/api/generate" if "prompt" in body else "/api/chat")
    assert {request.path for request in daemon.requests} <= {"/api/tags"}


async def test_a_daemon_that_tells_no_capabilities_decides_itself(
    ask: Asker, daemon: FakeOllama
) -> None:
    rows = daemon.library._tags({})["models"]
    for row in rows:
        del row["capabilities"]
    daemon.reply("/api/tags", {"models": rows})
    with pytest.raises(CapabilityMissing):
        await ask(chat("Hi", think=True))
    assert len(asked(daemon)) == 1


# data


async def test_a_chat_is_corrected_by_what_was_wrong(ask: Asker, daemon: FakeOllama) -> None:
    answers(daemon, '{"a": 9}', "3", '{"a": 3}')
    answer = await ask(chat("Three.", format=SCHEMA))
    assert answer.data == {"a": 3}
    first, second, third = (body["messages"] for body in asked(daemon))
    assert first == [{"role": "user", "content": "Three."}]
    assert second[:2] == [*first, {"role": "assistant", "content": '{"a": 9}'}]
    assert (second[2]["role"], len(second)) == ("user", 3)
    assert "a must be 3 or less" in second[2]["content"]
    assert third[:4] == [*second, {"role": "assistant", "content": "3"}]
    assert len(answer.warnings) == 1
    assert (answer.final["prompt_eval_count"], answer.final["eval_count"]) == (30, 15)


async def test_a_prompt_is_corrected_by_what_was_wrong(ask: Asker, daemon: FakeOllama) -> None:
    answers(daemon, '{"a": 9}', '{"a": 3}', path="/api/generate")
    body = {"model": CHAT, "prompt": "Three.", "system": "s", "format": SCHEMA}
    assert (await ask(body, "/api/generate")).data == {"a": 3}
    first, second = asked(daemon)
    assert first["prompt"] == "Three."
    assert second["prompt"].startswith('Three.\n\nYour answer:\n{"a": 9}\n\n')
    assert "a must be 3 or less" in second["prompt"]
    assert {**second, "prompt": 0, "options": 0} == {**first, "prompt": 0, "options": 0}


def test_no_request_is_changed_by_its_corrections() -> None:
    for body in ({"messages": [*HELLO]}, {"prompt": "Hi"}):
        before = json.dumps(body)
        assert corrected(body, []) is body
        corrected(body, [("said", "wrong")])
        assert json.dumps(body) == before


@pytest.mark.parametrize("more", [{"raw": True}, {"suffix": "end"}, {"context": [1, 2]}])
async def test_a_prompt_that_must_stay_as_it_is_is_asked_once(
    ask: Asker, daemon: FakeOllama, more: Body
) -> None:
    answers(daemon, '{"a": 9}', path="/api/generate")
    with pytest.raises(ToolFailed) as failed:
        body = {"model": "codellama:7b", "prompt": "Three.", "format": SCHEMA, **more}
        await ask(body, "/api/generate")
    assert failed.value.details["content"] == '{"a": 9}'
    assert len(asked(daemon)) == 1


async def test_corrections_that_do_not_fit_any_more_end_it(
    ask: Asker, daemon: FakeOllama, small: str
) -> None:
    wrong = words(400)
    answers(daemon, *[f'{{"a": "{wrong}"}}'] * 3)
    body = chat(words(600), model=small, format=SCHEMA)
    with pytest.raises(ToolFailed) as failed:
        await ask(body, retries=5)
    assert failed.value.details["asked"] < 6
    assert wrong in failed.value.details["content"]
    assert failed.value.details["violations"]


async def test_a_schema_that_is_none_is_told_before_a_model_is_asked(
    ask: Asker, daemon: FakeOllama
) -> None:
    with pytest.raises(InvalidArgument):
        await ask(chat("Hi", format={"type": "nope"}))
    assert asked(daemon) == []


async def test_think_false_is_not_sent_with_a_format(ask: Asker, daemon: FakeOllama) -> None:
    answers(daemon, '{"a": 3}')
    answer = await ask(chat("Hi", model=THINKER, think=False, format=SCHEMA))
    assert "think" not in asked(daemon)[0]
    assert "think: false was left out" in answer.warnings[0]
    await ask(chat("Hi", model=THINKER, think=False))
    assert asked(daemon)[1]["think"] is False


async def test_what_had_been_said_is_in_the_error(ask: Asker, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", {"message": {"thinking": "Hm", "content": "Half"}}, error="gone")
    with pytest.raises(DaemonError) as failed:
        await ask(chat("Hi"))
    assert failed.value.details == {"content": "Half", "thinking": "Hm"}


# the window


async def test_a_refusal_raises_the_window(ask: Asker, daemon: FakeOllama, small: str) -> None:
    """Its text looks shorter than it is: a word for each two bytes."""
    text = "a " * 300
    answer = await ask(chat(text, model=small, options={"num_predict": 10}))
    windows = [body["options"]["num_ctx"] for body in asked(daemon)]
    assert windows == [256, 512]
    assert answer.window == 512
    assert answer.final["prompt_eval_count"] == 300
    assert answer.warnings == [
        "the context window was raised from 64 to 512 tokens for this prompt"
    ]


async def test_what_no_window_holds_is_refused(ask: Asker, daemon: FakeOllama, small: str) -> None:
    with pytest.raises(ContextOverflow) as refused:
        await ask(chat("a " * 3000, model=small))
    assert refused.value.details == {"prompt_tokens": 3000, "context": 1024}
    assert "larger window" in refused.value.hint
    assert [body["options"]["num_ctx"] for body in asked(daemon)] == [1024]


async def test_a_daemon_that_gives_less_than_was_asked_is_asked_no_more(
    ask: Asker, daemon: FakeOllama, small: str
) -> None:
    """It does not say how long the model's window may be, and makes it no longer than that."""
    rows = daemon.library._tags({})["models"]
    for row in rows:
        del row["details"]["context_length"]
    daemon.reply("/api/tags", {"models": rows})
    with pytest.raises(ContextOverflow) as refused:
        await ask(chat("a " * 1500, model=small), timeout_ms=5000)
    assert refused.value.details == {"prompt_tokens": 1500, "context": 1024}
    assert len(asked(daemon)) <= 2


async def test_a_second_call_asks_nothing_but_the_model(ask: Asker, daemon: FakeOllama) -> None:
    await ask(chat("Hi"))
    before = len(daemon.requests)
    await ask(chat("Hi again"))
    assert [request.path for request in daemon.requests[before:]] == ["/api/chat"]


async def test_facts_of_a_modelfile_are_asked_once_for_all(ask: Asker, daemon: FakeOllama) -> None:
    """Models of one digest have one Modelfile."""
    copy = replace(daemon.library.models["registry.ollama.ai/library/llama3.2:3b"], name="copy:1")
    daemon.library.models["registry.ollama.ai/library/copy:1"] = copy
    await ask(chat("Hi"))
    await ask(chat("Hi", model="copy:1"))
    assert [request.path for request in daemon.requests].count("/api/show") == 1


@pytest.mark.parametrize("path", ["/api/ps", "/api/show"])
async def test_a_daemon_that_cannot_tell_still_answers(
    ask: Asker, daemon: FakeOllama, path: str
) -> None:
    daemon.reply(path, status=500, error="it is broken", times=20)
    for _ in range(2):
        answer = await ask(chat("Hi"))
        assert answer.content == "You said: Hi"
        assert answer.warnings == []
    for body in asked(daemon):
        assert body["truncate"] is False


async def test_a_remote_model_is_left_alone(ask: Asker, daemon: FakeOllama) -> None:
    rows = daemon.library._tags({})["models"]
    rows[0]["remote_host"] = "https://ollama.com:443"
    daemon.reply("/api/tags", {"models": rows})
    await ask(chat("Hi", model=rows[0]["name"]))
    assert [request.path for request in daemon.requests] == ["/api/tags", "/api/chat"]
    assert "options" not in asked(daemon)[0]


async def test_calls_at_once_keep_apart(ask: Asker) -> None:
    got = await asyncio.gather(*(ask(chat(f"Number {n}")) for n in range(5)))
    assert [answer.content for answer in got] == [f"You said: Number {n}" for n in range(5)]
