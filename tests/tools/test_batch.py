"""Batches: what goes to the daemon for each item, what comes back, and what is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.server import build_server
from tests.conftest import CHAT, EMBEDDER, THINKER, Caller, MakeApp, text
from tests.fake_ollama import FakeOllama, Request

SCHEMA = {"type": "object", "properties": {"kind": {"type": "string"}}, "required": ["kind"]}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def app(make_app: MakeApp, root: Path) -> App:
    """In place of the usual one: files below `root` may be used."""
    return make_app(roots=[root], model=CHAT)


def asked(daemon: FakeOllama) -> list[dict[str, Any]]:
    """The requests that asked something, in the order in which they came."""
    return [request.body for request in daemon.requests if request.path == "/api/chat"]


def prompts(daemon: FakeOllama) -> list[str]:
    return [body["messages"][-1]["content"] for body in asked(daemon)]


def results(said: Any) -> list[Any]:
    return said.structured_content["results"]


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


async def test_one_answer_for_each_item(either_era: Caller, daemon: FakeOllama) -> None:
    said = await either_era.call("ollama_batch", prompt="Translate {item}", items=["one", "two"])
    assert results(said) == [
        {"index": 0, "content": "You said: Translate one"},
        {"index": 1, "content": "You said: Translate two"},
    ]
    counts = said.structured_content
    assert (counts["done"], counts["failed"], counts["total"]) == (2, 0, 2)
    assert counts["models"] == [CHAT]
    assert counts["usage"] == {"prompt_tokens": 4, "completion_tokens": 8}
    first, second, *rest = text(said).splitlines()
    assert [json.loads(first), json.loads(second)] == results(said)
    assert rest[0] == "[2 done, 0 failed of 2]"
    assert "no model was named" in rest[1]


async def test_fields_of_objects(client: Caller, daemon: FakeOllama) -> None:
    items = '[{"title": "Emma", "year": 1815}]'
    await client.call("ollama_batch", model=CHAT, prompt="{title} of {year}: {item}", items=items)
    assert prompts(daemon) == ['Emma of 1815: {"title": "Emma", "year": 1815}']


async def test_files(client: Caller, daemon: FakeOllama, root: Path) -> None:
    for name in ("b.txt", "a.txt"):
        (root / name).write_text(f"This is {name}.")
    said = await client.call("ollama_batch", model=CHAT, prompt="{name}: {content}", files="*.txt")
    assert prompts(daemon) == ["a.txt: This is a.txt.", "b.txt: This is b.txt."]
    assert [result["name"] for result in results(said)] == ["a.txt", "b.txt"]


async def test_what_goes_with_every_prompt(client: Caller, daemon: FakeOllama) -> None:
    await client.call("ollama_batch", model=THINKER, prompt="Which?", items=["x"],
                      system="Be brief", format=SCHEMA, options={"seed": 2}, keep_alive="1m",
                      think=True)  # fmt: skip
    body = asked(daemon)[0]
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["messages"][1]["content"].startswith("Which?\n\nx")
    assert (body["options"]["seed"], body["keep_alive"], body["think"]) == (2, "1m", True)
    assert body["format"]["required"] == ["kind"]


async def test_an_answer_by_a_schema_is_data(client: Caller) -> None:
    said = await client.call(
        "ollama_batch", model=CHAT, prompt="Kind of", items=["x"], format=SCHEMA)  # fmt: skip
    assert results(said) == [{"index": 0, "data": {"kind": "x"}}]


async def test_models_answer_one_after_another(client: Caller, daemon: FakeOllama) -> None:
    said = await client.call("ollama_batch", prompt="{item}", items=["a", "b"],
                             models=[CHAT, THINKER, CHAT])  # fmt: skip
    assert [body["model"] for body in asked(daemon)] == [CHAT, CHAT, THINKER, THINKER]
    assert [(result["model"], result["index"]) for result in results(said)] == [
        (CHAT, 0), (CHAT, 1), (THINKER, 0), (THINKER, 1)]  # fmt: skip
    assert said.structured_content["total"] == 4


async def test_a_failure_is_its_items_own(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", status=500, error="the runner died")
    said = await client.call("ollama_batch", model=CHAT, prompt="{item}", items=["a", "b"])
    failed, answered = results(said)
    assert failed["error"]["code"] == "daemon_error"
    assert "the runner died" in failed["error"]["message"]
    assert answered["content"] == "You said: b"
    assert said.structured_content["failed"] == 1
    assert "[1 failed (daemon_error 1)]" in text(said)


async def test_a_cut_answer_is_told(client: Caller) -> None:
    said = await client.call("ollama_batch", model=CHAT, prompt="{item} and some more words",
                             items=["a", "b"], options={"num_predict": 2})  # fmt: skip
    assert [result["done_reason"] for result in results(said)] == ["length", "length"]
    assert "cut at the length limit" in text(said)
    assert "(2 of 2)" in text(said)


async def test_what_all_would_fail_with_is_an_error(client: Caller, daemon: FakeOllama) -> None:
    error = await client.error(
        "ollama_batch", model="llama3.2:33b", prompt="{item}", items=["x"] * 50)  # fmt: skip
    assert error["code"] == "model_not_found"
    assert CHAT in error["details"]["nearest"]
    assert len(asked(daemon)) == 3


async def test_what_stops_the_rest_keeps_what_is_done(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", lambda _: {"message": {"content": "A"}, "done": True})
    daemon.reply("/api/chat", status=401, error="unauthorized", times=3)
    said = await client.call("ollama_batch", model=CHAT, prompt="{item}", items=["x"] * 50)
    counts = said.structured_content
    assert (counts["done"], counts["failed"], counts["total"]) == (1, 3, 50)
    assert "the rest was not tried" in text(said)


@pytest.mark.parametrize(
    "wrong",
    [
        {"items": []}, {}, {"items": ["x"], "files": ["a.txt"]}, {"items": "x"}, {"items": [1]},
        {"items": ["x"], "models": [CHAT], "model": CHAT}, {"items": ["x"], "prompt": "{itme}"},
        {"items": [{"a": 1}, {"b": 1}], "prompt": "{a}"}, {"items": ["x"], "max_result_chars": -1},
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told_before_anything_runs(
    client: Caller, daemon: FakeOllama, wrong: dict[str, Any]
) -> None:
    error = await client.error("ollama_batch", **{"prompt": "{item}", **wrong})
    assert error["code"] == "invalid_argument"
    assert not asked(daemon)


async def test_a_model_that_only_embeds_is_refused(client: Caller, daemon: FakeOllama) -> None:
    error = await client.error("ollama_batch", model=EMBEDDER, prompt="{item}", items=["x"])
    assert error["code"] == "capability_missing"
    assert not asked(daemon)


# What is cut, and what is written.


async def test_long_results_are_cut_and_kept(client: Caller, app: App) -> None:
    items = [f"{number} {'word ' * 20}" for number in range(10)]
    said = await client.call(
        "ollama_batch", model=CHAT, prompt="{item}", items=items, max_result_chars=300)  # fmt: skip
    assert len(results(said)) == 2
    uri = said.structured_content["resource"]
    assert f"[10 done, 0 failed of 10, all are in {uri}]" in text(said)
    kept = (await app.kept.get(uri.removeprefix("ollama://batches/"), "")).splitlines()
    assert [json.loads(line)["item"] for line in kept] == items


async def test_results_that_fit_are_not_kept(client: Caller) -> None:
    said = await client.call("ollama_batch", model=CHAT, prompt="{item}", items=["x"])
    assert "resource" not in said.structured_content


async def test_a_file_takes_the_results(client: Caller, root: Path) -> None:
    said = await client.call("ollama_batch", model=CHAT, prompt="Say {item}",
                             items=list("abcdefgh"), output="out.jsonl")  # fmt: skip
    assert [result["index"] for result in results(said)] == [0, 1, 2]
    assert said.structured_content["output"] == "out.jsonl"
    assert "[8 done, 0 failed of 8, all are in out.jsonl]" in text(said)
    written = sorted(lines(root / "out.jsonl"), key=lambda line: line["index"])
    assert [line["content"] for line in written] == [f"You said: Say {item}" for item in "abcdefgh"]
    assert written[0] | {"digest": ""} == {
        "index": 0, "item": "a", "model": CHAT, "content": "You said: Say a",
        "usage": {"prompt_tokens": 2, "completion_tokens": 4}, "digest": "",
    }  # fmt: skip


async def test_the_same_call_goes_on_where_it_stopped(
    client: Caller, daemon: FakeOllama, root: Path
) -> None:
    call = {"model": CHAT, "prompt": "Say {item}", "items": list("abcd"), "output": "out.jsonl"}
    daemon.reply("/api/chat", status=500, error="the runner died")
    first = await client.call("ollama_batch", **call)
    assert "the same call tries them again" in text(first)
    before = len(asked(daemon))
    second = await client.call("ollama_batch", **call)
    assert prompts(daemon)[before:] == ["Say a"]
    assert [line["index"] for line in lines(root / "out.jsonl")] == [1, 2, 3, 0]
    assert "[3 were done by an earlier call]" in text(second)
    assert second.structured_content["done"] == 4
    assert [result["index"] for result in results(second)] == [0, 1, 2]
    third = await client.call("ollama_batch", **call)
    assert third.structured_content["done"] == 4
    assert len(asked(daemon)) == before + 1


@pytest.mark.parametrize(
    "other", [{"prompt": "Tell {item}"}, {"model": THINKER}, {"format": SCHEMA}, {"system": "s"},
              {"options": {"seed": 3}}, {"items": ["z"]}]
)  # fmt: skip
async def test_another_batch_does_not_go_into_the_same_file(
    client: Caller, daemon: FakeOllama, other: dict[str, Any]
) -> None:
    call = {"model": CHAT, "prompt": "Say {item}", "items": ["a"], "output": "out.jsonl"}
    await client.call("ollama_batch", **call)
    error = await client.error("ollama_batch", **{**call, **other})
    assert error["code"] == "conflict"
    assert len(asked(daemon)) == 1


@pytest.mark.parametrize("output", ["../out.jsonl", "/etc/out.jsonl", "link.jsonl"])
async def test_no_file_outside_of_the_roots_is_written(
    client: Caller, daemon: FakeOllama, root: Path, output: str
) -> None:
    (root / "link.jsonl").symlink_to(root.parent / "elsewhere.jsonl")
    error = await client.error(
        "ollama_batch", model=CHAT, prompt="{item}", items=["x"], output=output)  # fmt: skip
    assert error["code"] == "permission_denied"
    assert not asked(daemon)
    assert not (root.parent / "elsewhere.jsonl").exists()


# While it runs.


async def test_progress_counts_items(client: Caller) -> None:
    notes: list[tuple[float, float | None, str]] = []

    async def on_progress(value: float, total: float | None, message: str | None) -> None:
        notes.append((value, total, message or ""))

    await client.call("ollama_batch", model=CHAT, prompt="{item}", items=list("abc"),
                      on_progress=on_progress)  # fmt: skip
    assert notes[-1][:2] == (3, 3)
    assert notes[-1][2].startswith("3 of 3")


async def test_a_cancelled_call_stops_all_and_keeps_what_is_done(
    client: Caller, daemon: FakeOllama, root: Path
) -> None:
    def answer(request: Request) -> Any:
        return {"message": {"content": "A"}, "done": True}

    daemon.reply("/api/chat", answer, times=2)
    daemon.reply("/api/chat", 60.0, times=50)
    call = asyncio.create_task(
        client.call("ollama_batch", model=CHAT, prompt="{item}", items=["x"] * 50, output="o.jsonl")
    )
    await daemon.until(lambda: len(asked(daemon)) == 3)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await daemon.until(lambda: daemon.requests[-1].closed_early)
    assert [line["index"] for line in lines(root / "o.jsonl")] == [0, 1]


@pytest.fixture
async def impatient(make_app: MakeApp, root: Path) -> AsyncIterator[Caller]:
    async with Caller(build_server(make_app(roots=[root], wait=1.0)), mode="auto") as caller:
        yield caller


async def test_a_long_batch_becomes_a_job_that_shows_what_there_is(
    impatient: Caller, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", {"message": {"content": "A"}, "done": True})
    daemon.reply("/api/chat", 60.0)
    said = await impatient.call("ollama_batch", model=CHAT, prompt="{item}", items=["x", "y"])
    assert said.structured_content["job"]
    assert json.loads(text(said).splitlines()[0]) == {"index": 0, "content": "A"}
