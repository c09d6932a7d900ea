"""Chat and generate: what goes to the daemon, what comes back, and how each host sees it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import CHAT, HELLO, INSERT, PICTURES, THINKER, Caller, text
from tests.fake_ollama import FakeOllama

RED = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"


def sent(daemon: FakeOllama, path: str = "/api/chat") -> dict[str, Any]:
    return [request.body for request in daemon.requests if request.path == path][-1]


def final(**more: Any) -> dict[str, Any]:
    return {"model": CHAT, "message": {"role": "assistant", "content": ""}, "done": True,
            "done_reason": "stop", "prompt_eval_count": 7, "eval_count": 2, "total_duration": 2e9,
            "eval_duration": 1e9} | more  # fmt: skip


def says(content: str = "", **more: Any) -> dict[str, Any]:
    return {"message": {"role": "assistant", "content": content, **more}, "done": False}


async def test_an_answer_stands_in_text_and_object(either_era: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", says("Hel"), says("lo"), final())
    result = await either_era.call("ollama_chat", model=CHAT, messages=HELLO)
    assert text(result) == "Hello"
    assert result.structured_content == {
        "content": "Hello", "model": CHAT, "done_reason": "stop",
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "context": 4096},
    }  # fmt: skip
    assert result.meta["ollama/timings"]["tokens_per_second"] == 2
    assert result.meta["ollama/final"]["eval_count"] == 2


async def test_the_daemon_is_asked_to_stream_and_not_to_cut(
    client: Caller, daemon: FakeOllama
) -> None:
    await client.call("ollama_chat", model=CHAT, messages=HELLO)
    options = sent(daemon).pop("options")
    assert sent(daemon) | {"options": None} == {
        "truncate": False, "model": CHAT, "stream": True, "messages": HELLO, "options": None
    }  # fmt: skip
    assert options["num_predict"] < options["num_ctx"] == 4096  # so that nothing is ever shifted


async def test_cutting_is_done_where_it_is_asked_for(client: Caller, daemon: FakeOllama) -> None:
    await client.call("ollama_chat", model=CHAT, messages=HELLO, truncate=True, shift=True)
    assert sent(daemon)["truncate"] is True
    assert sent(daemon)["shift"] is True


async def test_a_number_is_an_answer(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", says("42"), final())
    result = await client.call("ollama_chat", model=CHAT, messages=HELLO)
    assert result.structured_content["content"] == "42"


async def test_a_cut_answer_says_so(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", says("Once upon"), final(done_reason="length"))
    result = await client.call("ollama_chat", model=CHAT, messages=HELLO)
    assert text(result).startswith("Once upon\n[the answer was cut")
    assert result.structured_content["warnings"]


async def test_thinking_that_used_the_budget_is_explained(
    client: Caller, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", says(thinking="Hm, well"), final(done_reason="length"))
    result = await client.call("ollama_chat", model=THINKER, messages=HELLO)
    assert "thinking used up the limit" in text(result)
    assert result.structured_content["thinking"] == "Hm, well"


async def test_an_empty_answer_is_told(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", final(eval_count=0))
    result = await client.call("ollama_chat", model=CHAT, messages=HELLO)
    assert "answered nothing" in text(result)


async def test_tool_calls_keep_their_ids(client: Caller, daemon: FakeOllama) -> None:
    call = {"id": "call_1", "function": {"index": 0, "name": "get_weather",
                                         "arguments": {"city": "Oslo"}}}  # fmt: skip
    daemon.reply("/api/chat", says(tool_calls=[call]), final())
    tool = {"name": "get_weather", "parameters": {"type": "object"}}
    result = await client.call("ollama_chat", model=CHAT, messages=HELLO, tools=[tool])
    assert result.structured_content["tool_calls"] == [
        {"id": "call_1", "function": {"name": "get_weather", "arguments": {"city": "Oslo"},
                                      "index": 0}}]  # fmt: skip
    assert '"call_1"' in text(result)
    assert sent(daemon)["tools"] == [{"type": "function", "function": tool}]


async def test_a_whole_tool_schema_reaches_the_daemon(client: Caller, daemon: FakeOllama) -> None:
    parameters = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "a": {"anyOf": [{"type": "string"}, {"type": "integer"}], "default": 1},
            "o": {"type": "object", "properties": {"x": {"type": "integer", "minimum": 1}}},
        },
    }
    mcp_tool = {"name": "f", "description": "d", "inputSchema": parameters}
    await client.call("ollama_chat", model=CHAT, messages=HELLO, tools=[mcp_tool])
    assert sent(daemon)["tools"][0]["function"] == {
        "name": "f", "description": "d", "parameters": parameters}  # fmt: skip


async def test_a_history_with_tools_is_sent_whole(client: Caller, daemon: FakeOllama) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    await client.call("ollama_chat", model=CHAT, messages=[
        {"role": "system", "content": "Be brief"}, *HELLO,
        {"role": "assistant", "content": "", "thinking": "hm", "tool_calls": [call]},
        {"role": "tool", "content": "2", "tool_name": "f", "tool_call_id": "c1"},
    ])  # fmt: skip
    assert sent(daemon)["messages"][2:] == [
        {"role": "assistant", "content": "", "thinking": "hm",
         "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": {"x": 1}}}]},
        {"role": "tool", "content": "2", "tool_name": "f", "tool_call_id": "c1"},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "picture", [RED, f"data:image/png;base64,{RED}", f"{RED[:20]}\n{RED[20:]}"]
)
async def test_pictures(client: Caller, daemon: FakeOllama, picture: str) -> None:
    message = {"role": "user", "content": "Which colour?", "images": [picture]}
    result = await client.call("ollama_chat", model=PICTURES, messages=[message])
    assert not result.is_error, text(result)
    assert sent(daemon)["messages"][0]["images"] == [RED]


@pytest.mark.parametrize(
    ("given", "on_the_wire"),
    [("json", "json"), ("markdown", None), ("", None), ({"type": "object"}, {"type": "object"}),
     ('{"type": "object"}', {"type": "object"})],
)  # fmt: skip
async def test_format(client: Caller, daemon: FakeOllama, given: Any, on_the_wire: Any) -> None:
    """`json` is Ollama's JSON mode; it is never forced."""
    await client.call("ollama_generate", model=CHAT, prompt="Hi", format=given)
    assert sent(daemon, "/api/generate").get("format") == on_the_wire


async def test_think_false_is_not_sent_with_a_format(client: Caller, daemon: FakeOllama) -> None:
    result = await client.call(
        "ollama_chat", model=THINKER, messages=HELLO, think=False, format={"type": "object"}
    )
    assert "think" not in sent(daemon)
    assert "think: false was left out" in text(result)


@pytest.mark.parametrize(
    ("given", "on_the_wire"), [(True, True), ("false", False), ("high", "high")]
)
async def test_think(client: Caller, daemon: FakeOllama, given: Any, on_the_wire: Any) -> None:
    await client.call("ollama_chat", model=THINKER, messages=HELLO, think=given)
    assert sent(daemon)["think"] == on_the_wire


@pytest.mark.parametrize(
    ("given", "on_the_wire"), [("10m", "10m"), (0, 0), ("-1", -1), ("1h30m", "1h30m"), (2.5, 2.5)]
)
async def test_keep_alive(client: Caller, daemon: FakeOllama, given: Any, on_the_wire: Any) -> None:
    await client.call("ollama_chat", model=CHAT, messages=HELLO, keep_alive=given)
    assert sent(daemon)["keep_alive"] == on_the_wire


async def test_an_unknown_option_is_passed_on_and_told(client: Caller, daemon: FakeOllama) -> None:
    result = await client.call(
        "ollama_chat", model=CHAT, messages=HELLO, options={"mirostat": 1, "seed": 2})  # fmt: skip
    assert {"mirostat": 1, "seed": 2}.items() <= sent(daemon)["options"].items()
    assert "does not know the option 'mirostat'" in text(result)


async def test_the_window_is_told_where_it_was_set(client: Caller) -> None:
    result = await client.call("ollama_chat", model=CHAT, messages=HELLO, options={"num_ctx": 8192})
    assert result.structured_content["usage"]["context"] == 8192


async def test_log_probabilities_are_in_meta(client: Caller) -> None:
    result = await client.call(
        "ollama_chat", model=CHAT, messages=HELLO, logprobs=True, top_logprobs=2)  # fmt: skip
    assert result.meta["ollama/logprobs"]
    assert "logprobs" not in result.structured_content


async def test_a_prompt_can_be_rendered_only(client: Caller, daemon: FakeOllama) -> None:
    for name in ("debug_render_only", "_debug_render_only"):
        result = await client.call("ollama_chat", model=CHAT, messages=HELLO, **{name: True})
        assert sent(daemon)["_debug_render_only"] is True
        assert "Hello there" in str(result.meta["ollama/final"]["_debug_info"])


async def test_no_messages_load_the_model(client: Caller) -> None:
    result = await client.call("ollama_chat", model=CHAT, messages=[])
    assert result.structured_content["done_reason"] == "load"
    assert "loaded" in text(result)


async def test_generate_sends_its_own_fields(client: Caller, daemon: FakeOllama) -> None:
    await client.call("ollama_generate", model=INSERT, prompt="def f(", suffix="return x",
                      system="s", template="{{ .Prompt }}")  # fmt: skip
    body = sent(daemon, "/api/generate")
    assert body["suffix"] == "return x"
    assert body["system"] == "s"
    assert body["template"] == "{{ .Prompt }}"


async def test_the_context_comes_back_only_where_it_is_asked_for(client: Caller) -> None:
    plain = await client.call("ollama_generate", model=CHAT, prompt="Hi")
    asked = await client.call("ollama_generate", model=CHAT, prompt="Hi", context=[])
    assert "ollama/context" not in plain.meta
    assert asked.meta["ollama/context"]


async def test_a_timeout_stops_the_work_and_keeps_what_was_said(
    client: Caller, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", says("Half an"), 30.0, final())
    error = await client.error("ollama_chat", model=CHAT, messages=HELLO, timeout=300)
    assert error["code"] == "timeout"
    assert error["details"]["content"] == "Half an"
    await daemon.until(lambda: daemon.requests[-1].closed_early)


async def test_an_error_in_mid_stream_keeps_what_was_said(
    client: Caller, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", says("Half an"), error="the runner died")
    error = await client.error("ollama_chat", model=CHAT, messages=HELLO)
    assert error["code"] == "daemon_error"
    assert error["details"]["content"] == "Half an"


async def test_two_calls_in_one_session(either_era: Caller) -> None:
    for _ in range(2):
        assert not (await either_era.call("ollama_chat", model=CHAT, messages=HELLO)).is_error


async def test_an_answer_is_not_lost_to_a_question_asked_after_it(
    client: Caller, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", says("Hello"), final())
    for _ in range(2):
        daemon.reply("/api/ps", status=500, error="gone")
    result = await client.call("ollama_chat", model=CHAT, messages=HELLO, options={"num_ctx": 64})
    assert result.structured_content["content"] == "Hello"
    assert "context" not in result.structured_content["usage"]


async def test_a_history_from_openai_may_have_null_contents(
    client: Caller, daemon: FakeOllama
) -> None:
    call = {"id": "c1", "function": {"name": "f", "arguments": {}}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = await client.call("ollama_chat", model=CHAT, messages=[*HELLO, message])
    assert not result.is_error, text(result)
    assert sent(daemon)["messages"][1]["content"] == ""
