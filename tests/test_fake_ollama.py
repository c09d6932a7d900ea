"""The fake daemon itself: what it records, plays, notices, and answers by itself."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fake_ollama import FakeOllama, Part

HI = {"model": "llama3.2:3b", "messages": [{"role": "user", "content": "Hello there"}]}
TOOL = {
    "type": "function",
    "function": {
        "name": "add",
        "parameters": {
            "type": "object",
            "required": ["a", "b"],
            "properties": {"a": {"type": "integer", "minimum": 2}, "b": {"$ref": "#/$defs/b"}},
            "$defs": {"b": {"enum": ["x", "y"]}},
        },
    },
}


@pytest.fixture
def http(daemon: FakeOllama) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=daemon.url, timeout=5, trust_env=False) as client:
        yield client


def chat(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = http.post("/api/chat", json={**HI, "stream": False, **fields})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def lines(answer: httpx.Response) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.iter_lines()]


# --- what it answers by itself ---


def test_a_stream_says_word_after_word_and_ends_with_the_counts(http: httpx.Client) -> None:
    answer = http.post("/api/chat", json=HI)
    *words, last = lines(answer)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [word["message"]["content"] for word in words] == ["You", " said:", " Hello", " there"]
    assert not any(word["done"] for word in words)
    assert (last["done_reason"], last["prompt_eval_count"], last["eval_count"]) == ("stop", 2, 4)


def test_an_answer_in_one_piece_is_the_stream_put_together(http: httpx.Client) -> None:
    said = http.post(
        "/api/generate",
        json={
            "model": "qwen3:8b",
            "prompt": "Why?",
            "stream": False,
            "logprobs": True,
            "top_logprobs": 2,
        },
    ).json()
    assert said["response"] == "You said: Why?"
    assert said["thinking"] == "The user wrote: Why?"
    assert [chance["token"] for chance in said["logprobs"]][-1] == " Why?"
    assert len(said["logprobs"][0]["top_logprobs"]) == 2
    assert said["context"]


def test_thinking_is_on_unless_refused(http: httpx.Client) -> None:
    assert "thinking" in chat(http, model="qwen3:8b")["message"]
    assert "thinking" not in chat(http, model="qwen3:8b", think=False)["message"]


def test_a_tool_is_called_when_the_user_names_it(http: httpx.Client) -> None:
    ask = {"role": "user", "content": "Please add."}
    said = chat(http, messages=[ask], tools=[TOOL])["message"]
    assert said["content"] == ""
    assert said["tool_calls"] == [
        {
            "id": "call_00000001",
            "function": {"index": 0, "name": "add", "arguments": {"a": 2, "b": "x"}},
        }
    ]
    assert "tool_calls" not in chat(http, tools=[TOOL])["message"]
    result = {"role": "tool", "content": "3", "tool_name": "add"}
    said = chat(http, messages=[ask, {"role": "assistant", **said}, result], tools=[TOOL])
    assert said["message"]["content"] == "The tool answered: 3"


def test_a_schema_gets_a_minimal_instance(http: httpx.Client) -> None:
    schema = {
        "type": "object",
        "properties": {
            "n": {"type": ["integer", "null"]},
            "s": {"type": "string", "minLength": 3},
            "l": {"type": "array", "items": {"anyOf": [{"const": 7}]}, "minItems": 2},
        },
    }
    said = chat(http, format=schema)["message"]["content"]
    assert json.loads(said) == {"n": 0, "s": "xxx", "l": [7, 7]}
    assert json.loads(chat(http, format="json")["message"]["content"]) == {"answer": "Hello there"}


def test_num_predict_ends_the_answer(http: httpx.Client) -> None:
    said = chat(http, options={"num_predict": 2})
    assert (said["message"]["content"], said["done_reason"]) == ("You said:", "length")


def test_a_long_prompt_is_cut_or_refused(http: httpx.Client) -> None:
    long: dict[str, Any] = {
        "messages": [{"role": "user", "content": "word " * 300}],
        "options": {"num_ctx": 256},
    }
    assert chat(http, **long)["prompt_eval_count"] == 130
    refused = http.post("/api/chat", json={**HI, **long, "truncate": False})
    inner = json.loads(refused.json()["error"])["error"]
    assert refused.status_code == 400
    assert (inner["type"], inner["n_prompt_tokens"], inner["n_ctx"]) == (
        "exceed_context_size_error",
        300,
        256,
    )


def test_loading_and_unloading_show_in_ps(http: httpx.Client) -> None:
    def loaded() -> dict[str, int]:
        rows = http.get("/api/ps").json()["models"]
        return {row["name"]: row["context_length"] for row in rows}

    assert chat(http, messages=[], options={"num_ctx": 8192})["done_reason"] == "load"
    assert loaded() == {"llama3.2:3b": 8192}
    chat(http, model="LLAVA:7b", keep_alive=-1)
    assert http.get("/api/ps").json()["models"][0]["expires_at"].startswith("23")
    assert loaded() == {"llama3.2:3b": 8192, "llava:7b": 4096}
    assert chat(http, messages=[], keep_alive=0)["done_reason"] == "unload"
    chat(http, model="llava:7b", keep_alive="0s")
    assert loaded() == {}


@pytest.mark.parametrize(
    "name",
    [
        "LLAMA3.2:3B",
        "library/llama3.2:3b",
        "registry.ollama.ai/library/llama3.2:3b",
        "llama3.2:3b:local",
    ],
)
def test_names_resolve_as_the_daemon_does_it(http: httpx.Client, name: str) -> None:
    assert chat(http, model=name)["model"] == name
    assert http.post("/api/show", json={"model": name}).status_code == 200


def test_vectors_are_unit_long_stable_and_close_for_shared_words(http: httpx.Client) -> None:
    def embed(*texts: str, **more: Any) -> list[list[float]]:
        body = {"model": "all-minilm:22m", "input": texts, **more}
        return list(http.post("/api/embed", json=body).json()["embeddings"])

    def dot(one: list[float], other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    near, far = "the cat sat down", "quarterly tax report"
    cat, cats, tax = embed("the cat sat", near, far)
    assert embed("the cat sat") == [cat]
    assert len(cat) == 384
    assert math.isclose(dot(cat, cat), 1)
    assert dot(cat, cats) > 0.5 > dot(cat, tax)
    [short] = embed("the cat sat", dimensions=8)
    assert (len(short), math.isclose(dot(short, short), 1)) == (8, True)


def test_the_library_changes_and_reset_restores_it(daemon: FakeOllama, http: httpx.Client) -> None:
    def names() -> list[str]:
        return [row["name"] for row in http.get("/api/tags").json()["models"]]

    before = names()
    made = {"model": "me/brief", "from": "llama3.2:3b", "system": "Be brief."}
    assert lines(http.post("/api/create", json=made))[-1] == {"status": "success"}
    shown = http.post("/api/show", json={"model": "me/brief"}).json()
    assert (shown["system"], shown["capabilities"]) == ("Be brief.", ["completion", "tools"])
    http.post("/api/copy", json={"source": "me/brief", "destination": "short:1"})
    http.request("DELETE", "/api/delete", json={"model": "me/brief"})
    pulled = lines(http.post("/api/pull", json={"model": "gemma3:1b"}))
    totals = {line["digest"]: line["total"] for line in pulled if "digest" in line}
    assert (len(totals), pulled[-1]) == (2, {"status": "success"})
    assert names() == ["gemma3:1b", "short:1", *before]
    daemon.reset()
    assert names() == before


def test_a_job_that_fails_under_way_ends_with_an_error_line(http: httpx.Client) -> None:
    answer = http.post("/api/pull", json={"model": "nope"})
    error = {"error": "pull model manifest: file does not exist"}
    assert (answer.status_code, lines(answer)) == (200, [{"status": "pulling manifest"}, error])
    whole = http.post("/api/pull", json={"model": "nope", "stream": False})
    assert (whole.status_code, whole.json()) == (500, error)


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("chat", {"model": "nope"}, 404, "model 'nope' not found"),
        ("show", {"model": "nope"}, 404, "model 'nope:latest' not found"),
        ("embed", {"model": "nope"}, 404, 'model "nope" not found, try pulling it first'),
        ("chat", {"model": "!!"}, 400, "invalid model name"),
        (
            "chat",
            {"model": "llava:7b", "tools": [TOOL]},
            400,
            "registry.ollama.ai/library/llava:7b does not support tools",
        ),
        ("chat", {"model": "llava:7b", "think": True}, 400, '"llava:7b" does not support thinking'),
        ("chat", {"model": "all-minilm:22m"}, 400, '"all-minilm:22m" does not support chat'),
        (
            "chat",
            {"model": "llava:7b", "options": {"temperature": "hot"}},
            500,
            'option "temperature" must be of type float32',
        ),
        (
            "embed",
            {"model": "llava:7b", "input": "x"},
            501,
            "This server does not support embeddings. Start it with `--embeddings`",
        ),
        (
            "generate",
            {"model": "llava:7b", "prompt": "x", "images": ["data:x"]},
            400,
            "illegal base64 data at input byte 4",
        ),
        ("me", {}, 503, "account unavailable"),
    ],
)
def test_refusals(
    http: httpx.Client, path: str, body: dict[str, Any], status: int, error: str
) -> None:
    answer = http.post(f"/api/{path}", json=body)
    assert (answer.status_code, answer.json()) == (status, {"error": error})


def test_strangers_and_strange_paths_are_turned_away(http: httpx.Client) -> None:
    foreign = http.get("/api/tags", headers={"Host": "evil.example"})
    assert (foreign.status_code, foreign.content) == (403, b"")
    assert http.get("/api/nope").text == "404 page not found"
    assert http.get("/api/chat").text == "405 method not allowed"


# --- what it plays ---


def test_parts_are_played_in_order_then_the_daemon_is_itself_again(
    daemon: FakeOllama, http: httpx.Client
) -> None:
    daemon.reply("/api/chat", {"a": 1}, 0.02, b"garbage\n", lambda r: {"model": r.body["model"]})
    begun = time.monotonic()
    answer = http.post("/api/chat", json=HI)
    assert answer.content == b'{"a": 1}\ngarbage\n{"model": "llama3.2:3b"}\n'
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert time.monotonic() - begun >= 0.02
    assert chat(http)["message"]["content"] == "You said: Hello there"


def test_a_queue_of_answers_with_status_headers_and_times(
    daemon: FakeOllama, http: httpx.Client
) -> None:
    daemon.reply("/api/chat", status=503, headers={"Retry-After": "1"}, error="busy", times=2)
    daemon.reply("/api/chat", {"done": True}, headers={"Content-Type": "text/html"})
    for _ in range(2):
        answer = http.post("/api/chat", json=HI)
        assert (answer.status_code, answer.json()) == (503, {"error": "busy"})
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["content-type"].startswith("application/json")
    assert http.post("/api/chat", json=HI).headers["content-type"] == "text/html"


def test_an_error_in_mid_stream(daemon: FakeOllama, http: httpx.Client) -> None:
    daemon.reply("/api/chat", {"done": False}, error="out of memory")
    answer = http.post("/api/chat", json=HI)
    assert (answer.status_code, lines(answer)[-1]) == (200, {"error": "out of memory"})


def test_a_delay_comes_before_the_status_line(daemon: FakeOllama, http: httpx.Client) -> None:
    daemon.reply("/api/tags", {"models": []}, delay=0.05)
    with pytest.raises(httpx.ReadTimeout):
        http.get("/api/tags", timeout=0.02)


def test_a_cut_after_parts_and_before_the_status_line(
    daemon: FakeOllama, http: httpx.Client
) -> None:
    daemon.reply("/api/chat", {"done": False}, cut=True)
    got: list[str] = []
    with (
        pytest.raises(httpx.RemoteProtocolError, match="incomplete chunked read"),
        http.stream("POST", "/api/chat", json=HI) as answer,
    ):
        got.extend(answer.iter_lines())
    assert got == ['{"done": false}']
    daemon.reply("/api/chat", cut=True)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        http.post("/api/chat", json=HI)


def test_the_pace_of_its_own_answers(daemon: FakeOllama, http: httpx.Client) -> None:
    daemon.pace = 0.01
    begun = time.monotonic()
    http.post("/api/chat", json=HI)
    assert time.monotonic() - begun >= 0.05


# --- what it records and notices ---


def test_requests_are_recorded(daemon: FakeOllama, http: httpx.Client) -> None:
    http.post("/api/chat", json=HI, headers={"Authorization": "Bearer x"})
    http.post("/api/show", content=b"{garbage")
    said, garbage = daemon.requests
    assert (said.method, said.path, said.body) == ("POST", "/api/chat", HI)
    assert said.headers["authorization"] == "Bearer x"
    assert (garbage.raw, garbage.body) == (b"{garbage", None)
    daemon.wait_for(lambda: said.done and garbage.done)
    assert not said.closed_early


def test_a_held_request_waits_for_release_while_others_go_on(
    daemon: FakeOllama, http: httpx.Client
) -> None:
    daemon.hold("/api/chat")
    with pytest.raises(httpx.ReadTimeout):
        http.post("/api/chat", json=HI, timeout=0.03)
    assert http.get("/api/version").status_code == 200
    daemon.release("/api/chat")
    assert chat(http)["done"]
    assert [request.done for request in daemon.requests[:2]] == [False, True]


def test_reset_hangs_up_on_those_who_wait(daemon: FakeOllama) -> None:
    async def wait_and_reset() -> None:
        async with httpx.AsyncClient(base_url=daemon.url, trust_env=False) as client:
            waiting = asyncio.create_task(client.post("/api/chat", json=HI))
            await daemon.until(lambda: len(daemon.requests) == 1)
            daemon.reset()
            with pytest.raises(httpx.RemoteProtocolError):
                await waiting

    daemon.hold("/api/chat")
    asyncio.run(wait_and_reset())
    assert daemon.requests == []


@pytest.mark.parametrize("how", ["streaming", "pausing", "holding", "delaying"])
async def test_a_client_that_leaves_is_noticed_at_once(daemon: FakeOllama, how: str) -> None:
    if how == "streaming":
        parts: list[Part] = [{"done": False}, 0.005] * 1000
        daemon.reply("/api/chat", *parts)
    elif how == "pausing":
        daemon.reply("/api/chat", {"done": False}, 10)
    elif how == "holding":
        daemon.hold("/api/chat")
    else:
        daemon.reply("/api/chat", {"done": True}, delay=10)
    async with httpx.AsyncClient(base_url=daemon.url, trust_env=False) as client:
        asking = asyncio.create_task(client.post("/api/chat", json=HI))
        await daemon.until(lambda: bool(daemon.requests and daemon.requests[0].body))
        await asyncio.sleep(0.02)
        asking.cancel()
        await asyncio.wait([asking])
        begun = time.monotonic()
        await daemon.until(lambda: daemon.requests[0].closed_early)
        assert time.monotonic() - begun < 0.25  # 2 ms, or as long as a busy machine takes
    assert not daemon.requests[0].done


def test_waiting_has_an_end(daemon: FakeOllama) -> None:
    with pytest.raises(TimeoutError):
        daemon.wait_for(lambda: False, timeout=0.01)
