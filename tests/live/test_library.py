"""The library is changed for real: created, copied, deleted, pulled and pushed, also badly."""

from __future__ import annotations

import asyncio
import re
from collections import namedtuple
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp.client.elicitation import ElicitResult

from ollama_mcp_server.delegation import transfer
from scripts.testbed import models, recorder, registry
from tests.conftest import Caller, text
from tests.live.sessions import CACHE, in_memory, over_http, over_stdio, own_daemon, user

pytestmark = pytest.mark.live

Disk = namedtuple("Disk", "total used free")
#: Bytes of the embedding model's weights.
WEIGHTS = 46_342_560


@dataclass
class Ground:
    """A daemon whose library may be changed, recorded, and a registry with one model."""

    url: str
    store: Path
    tape: recorder.Recorder
    registry: registry.Registry
    served: str
    """URL of a server process for this daemon, over HTTP."""

    @property
    def model(self) -> str:
        """The name, at the registry, of a copy of the embedding model."""
        return f"{self.registry.name}/lab/embed:1"

    @property
    def on_disk(self) -> int:
        """Bytes that the parts of unfinished downloads take."""
        return sum(part.stat().st_blocks * 512 for part in self.store.glob("blobs/*-partial*"))

    def forget(self, *names: str) -> None:
        """Delete models, and what unfinished downloads have left."""
        for name in names:
            httpx.request("DELETE", f"{self.url}/api/delete", json={"model": name}, trust_env=False)
        for part in self.store.glob("blobs/*-partial*"):
            part.unlink()

    def published(self, repository: str) -> list[str]:
        """Return the tags that the registry has of a model."""
        url = f"http://{self.registry.name}/v2/{repository}/tags/list"
        return httpx.get(url, trust_env=False).json()["tags"]

    def ask(self, path: str, **body: Any) -> httpx.Response:
        return httpx.post(f"{self.url}/api/{path}", json=body, timeout=60, trust_env=False)


@dataclass
class Notes:
    """The progress notes of a call."""

    seen: list[tuple[float, float | None, str]] = field(default_factory=list)
    enough: float = float("inf")
    """When so many bytes are reached, `reached` is set."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, value: float, total: float | None, message: str | None) -> None:
        self.seen.append((value, total, message or ""))
        if value >= self.enough:
            self.reached.set()

    @property
    def bytes(self) -> list[float]:
        """The values of the notes that count bytes."""
        return [value for value, total, _ in self.seen if total]

    def assert_rising(self) -> None:
        assert all(earlier < later for (earlier, _, _), (later, _, _) in pairwise(self.seen))
        done = [
            int(found[1]) for _, _, note in self.seen if (found := re.search(r"\((\d+) MB", note))
        ]
        assert done == sorted(done)


@pytest.fixture(scope="module")
def ground(ollama_pid: int) -> Iterator[Ground]:
    with (
        own_daemon() as (ollama, store),
        registry.start(CACHE) as shelf,
        recorder.start(ollama.url) as tape,
        over_http(tape.url) as served,
    ):
        made = Ground(ollama.url, store, tape, shelf, served)
        made.ask("copy", source=models.EMBED, destination=made.model).raise_for_status()
        made.ask("push", model=made.model, insecure=True, stream=False).raise_for_status()
        yield made


@pytest.fixture
async def caller(ground: Ground) -> AsyncIterator[Caller]:
    ground.tape.exchanges.clear()
    async with Caller(ground.served) as client:
        yield client


@pytest.fixture
def absent(ground: Ground) -> Iterator[str]:
    """Name of a model that the registry has, and that the daemon has nothing of."""
    ground.forget(ground.model, models.EMBED)
    yield ground.model
    ground.registry.faults()


# create, copy


async def test_a_model_is_created_with_all_that_was_given(ground: Ground, caller: Caller) -> None:
    made = await caller.call(
        "ollama_create",
        model="mine/reviewer",
        **{"from": models.CHAT},
        system="Be brief.",
        parameters={"temperature": 0.25, "num_ctx": 1024, "stop": ["END"]},
        template="{{ .System }}{{ .Prompt }}",
        messages=[user("Hello"), {"role": "assistant", "content": "Hi"}],
        license=["Free", "as air"],
    )
    assert made.structured_content == {"model": "mine/reviewer", "status": "success"}
    assert "mine/reviewer" in text(made)
    shown = (
        await caller.call("ollama_show", model="mine/reviewer", verbose=True)
    ).structured_content
    assert (shown["system"], shown["template"]) == ("Be brief.", "{{ .System }}{{ .Prompt }}")
    assert all(word in shown["license"] for word in ("Free", "as air"))
    assert [message["content"] for message in shown["messages"]] == ["Hello", "Hi"]
    parameters = dict(line.split(None, 1) for line in shown["parameters"].splitlines())
    assert {"temperature": "0.25", "num_ctx": "1024", "stop": '"END"'}.items() <= parameters.items()
    listed = await caller.call("ollama_list", name="mine/")
    assert [row["name"] for row in listed.structured_content["models"]] == ["mine/reviewer:latest"]
    answer = await caller.call(
        "ollama_generate", model="mine/reviewer", prompt="Hi", options={"num_predict": 4}
    )
    assert answer.structured_content["usage"]["completion_tokens"] > 0
    ground.forget("mine/reviewer")


async def test_a_template_that_does_not_parse_is_the_callers_fault(caller: Caller) -> None:
    error = await caller.error(
        "ollama_create", model="mine/bad", **{"from": models.CHAT}, template="{{ .Prompt"
    )
    assert (error["code"], error["retryable"]) == ("invalid_argument", False)
    assert "template" in error["message"]


@pytest.mark.parametrize("parameters", [{"temperature": "hot"}, {"tempo": 1}, {"num_ctx": 0}])
async def test_parameters_that_would_break_the_model_are_not_sent(
    ground: Ground, caller: Caller, parameters: dict[str, Any]
) -> None:
    error = await caller.error(
        "ollama_create", model="mine/bad", **{"from": models.CHAT}, parameters=parameters
    )
    assert error["code"] == "invalid_argument"
    assert next(iter(parameters)) in error["message"]
    assert not [e for e in ground.tape.exchanges if e.path == "/api/create"]


async def test_weights_that_the_daemon_has_not_are_the_callers_fault(caller: Caller) -> None:
    files = {"m.gguf": f"sha256:{'0' * 64}"}
    error = await caller.error("ollama_create", model="mine/bad", files=files)
    assert (error["code"], error["retryable"]) == ("not_found", False)
    assert "/blobs/" not in error["message"]  # where the daemon keeps them is nobody's business


async def test_what_a_model_is_made_from_is_looked_for_at_the_registry(caller: Caller) -> None:
    error = await caller.error("ollama_create", model="mine/bad", **{"from": "127.0.0.1:1/a/b"})
    assert (error["code"], error["retryable"]) == ("registry_error", True)


async def test_a_copy_is_there_at_once(ground: Ground, caller: Caller) -> None:
    before = await caller.call("ollama_list", name="mine/copy")
    assert before.structured_content["models"] == []
    copied = await caller.call("ollama_copy", source=models.CHAT, destination="mine/copy")
    assert copied.structured_content == {
        "model": "mine/copy",
        "status": "success",
        "source": models.CHAT,
    }
    after = await caller.call("ollama_list", name="mine/copy")
    assert after.structured_content["total"] == 1
    ground.forget("mine/copy")


async def test_a_copy_of_nothing_names_what_comes_near(caller: Caller) -> None:
    error = await caller.error("ollama_copy", source="testbed/chad:135m", destination="mine/copy")
    assert error["code"] == "model_not_found"
    assert models.CHAT in error["details"]["nearest"]


# delete


@pytest.mark.parametrize("era", ["legacy", "auto"])
@pytest.mark.parametrize("answer", ["yes", "no", "decline", "cancel", None])
async def test_a_model_is_deleted_unless_the_user_says_no(
    ground: Ground, era: str, answer: str | None
) -> None:
    asked: list[str] = []

    async def reply(message: str, response_type: Any, params: Any, context: Any) -> Any:
        asked.append(message)
        if answer in ("decline", "cancel"):
            return ElicitResult(action=answer)
        (name,) = params.requested_schema["properties"]
        return ElicitResult(action="accept", content={name: answer == "yes"})

    host = Caller(ground.served, mode=era, elicitation_handler=reply if answer else None)
    async with host as caller:
        await caller.call("ollama_copy", source=models.CHAT, destination="mine/doomed")
        result = await caller.call("ollama_delete", model="mine/doomed")
        left = (await caller.call("ollama_list", name="mine/doomed")).structured_content["total"]
    gone = answer in ("yes", None)
    assert left == (0 if gone else 1)
    assert result.structured_content["status"] == ("success" if gone else "declined")
    assert not result.is_error
    assert len(asked) == (0 if answer is None else 1)
    assert all("mine/doomed" in question and "GB" in question for question in asked)
    ground.forget("mine/doomed")


async def test_deleting_what_is_not_there_names_what_comes_near(caller: Caller) -> None:
    error = await caller.error("ollama_delete", model="testbed/tool")
    assert (error["code"], error["retryable"]) == ("model_not_found", False)
    assert f"{models.TOOLS}:latest" in error["details"]["nearest"]
    assert "Did you mean" in error["hint"]


# push, pull


async def test_a_push_uploads_with_progress(ground: Ground, caller: Caller) -> None:
    name, notes = f"{ground.registry.name}/lab/chat:1", Notes()
    await caller.call("ollama_copy", source=models.CHAT, destination=name)
    pushed = await caller.call("ollama_push", model=name, insecure=True, on_progress=notes)
    said = pushed.structured_content
    assert (said["status"], said["model"]) == ("success", name)
    assert said["bytes"] > 90e6
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in said["layers"])
    notes.assert_rising()
    assert notes.bytes[-1] == pytest.approx(said["bytes"], abs=1)
    assert ground.published("lab/chat") == ["1"]
    ground.forget(name)


async def test_a_pull_tells_its_bytes_and_its_phase(
    ground: Ground, caller: Caller, absent: str
) -> None:
    ground.registry.faults(rate=50e6)
    notes = Notes()
    pulled = await caller.call("ollama_pull", model=absent, insecure=True, on_progress=notes)
    said = pulled.structured_content
    assert (said["status"], said["model"]) == ("success", absent)
    assert said["bytes"] >= WEIGHTS
    assert text(pulled).startswith(f"{absent} is installed")
    notes.assert_rising()
    assert len(notes.bytes) >= 4
    assert notes.bytes[-1] > said["bytes"] * 0.9  # the daemon does not always tell of the last
    layer = said["layers"][0].removeprefix("sha256:")[:12]
    assert sum(layer in message for _, _, message in notes.seen) >= 3
    vector = await caller.call("ollama_embed", model=absent, input="hello")
    assert vector.structured_content["dimensions"] == 384


async def test_a_cancelled_pull_stops_at_once_and_goes_on_where_it_stopped(
    ground: Ground, caller: Caller, absent: str
) -> None:
    ground.registry.faults(rate=20e6)
    notes = Notes(enough=4e6)
    pull = asyncio.create_task(
        caller.call("ollama_pull", model=absent, insecure=True, on_progress=notes)
    )
    await asyncio.wait_for(notes.reached.wait(), 20)
    pull.cancel()
    with pytest.raises(asyncio.CancelledError):
        await pull
    await asyncio.sleep(0.3)
    stopped = ground.on_disk
    await asyncio.sleep(0.4)
    assert ground.on_disk == stopped
    assert 4e6 <= stopped < WEIGHTS
    (asked,) = [e for e in ground.tape.exchanges if e.path == "/api/pull"]
    assert asked.abandoned
    ground.registry.faults(rate=80e6)
    again = Notes()
    pulled = await caller.call("ollama_pull", model=absent, insecure=True, on_progress=again)
    assert pulled.structured_content["status"] == "success"
    assert again.bytes[0] >= 4e6
    again.assert_rising()


async def test_a_pull_that_runs_out_of_time_tells_what_has_come(
    ground: Ground, caller: Caller, absent: str
) -> None:
    ground.registry.faults(rate=20e6)
    error = await caller.error("ollama_pull", model=absent, insecure=True, timeout=700)
    assert (error["code"], error["retryable"]) == ("timeout", True)
    assert 0 < error["details"]["bytes"] < WEIGHTS


async def test_a_broken_connection_to_the_registry_is_mended(
    ground: Ground, caller: Caller, absent: str
) -> None:
    ground.registry.faults(cut=30_000_000)
    pulled = await caller.call("ollama_pull", model=absent, insecure=True)
    assert pulled.structured_content["status"] == "success"


async def test_a_pull_of_what_is_there_moves_nothing(ground: Ground, caller: Caller) -> None:
    ground.registry.faults()
    first = await caller.call("ollama_pull", model=ground.model, insecure=True)
    ground.registry.faults(status=500)  # no blob can be had from now on
    second = await caller.call("ollama_pull", model=ground.model, insecure=True)
    ground.registry.faults()
    assert first.structured_content["status"] == second.structured_content["status"] == "success"


async def test_a_corrupt_download_is_refused_and_can_be_repeated(
    ground: Ground, caller: Caller, absent: str
) -> None:
    ground.registry.faults(flip=True)
    error = await caller.error("ollama_pull", model=absent, insecure=True)
    assert (error["code"], error["retryable"]) == ("registry_error", True)
    assert "digest mismatch" in error["message"]
    ground.registry.faults()
    again = await caller.call("ollama_pull", model=absent, insecure=True)
    assert again.structured_content["status"] == "success"


async def test_a_registry_that_fails_is_told_apart_from_the_daemon(
    ground: Ground, caller: Caller, absent: str
) -> None:
    ground.registry.faults(status=500)
    error = await caller.error("ollama_pull", model=absent, insecure=True)
    assert (error["code"], error["retryable"]) == ("registry_error", True)


async def test_a_model_that_the_registry_has_not_is_not_found(
    ground: Ground, caller: Caller
) -> None:
    name = f"{ground.registry.name}/lab/nothing:1"
    error = await caller.error("ollama_pull", model=name, insecure=True)
    assert (error["code"], error["retryable"]) == ("model_not_found", False)
    assert name in error["message"]


async def test_a_registry_that_is_not_there_is_said_so(caller: Caller) -> None:
    error = await caller.error("ollama_pull", model="127.0.0.1:1/lab/embed:1", insecure=True)
    assert (error["code"], error["retryable"]) == ("registry_error", True)
    assert "127.0.0.1:1" in error["message"]


async def test_a_registry_without_tls_must_be_allowed(ground: Ground, caller: Caller) -> None:
    error = await caller.error("ollama_pull", model=ground.model)
    assert error["code"] == "registry_error"
    assert "HTTPS" in error["message"]
    assert "insecure" in error["hint"]


async def test_a_push_of_nothing_is_not_found(caller: Caller) -> None:
    error = await caller.error("ollama_push", model="127.0.0.1:1/lab/nothing:1", insecure=True)
    assert (error["code"], error["retryable"]) == ("model_not_found", False)
    assert "/manifests/" not in error["message"]


async def test_a_push_under_no_name_is_the_callers_fault(caller: Caller) -> None:
    error = await caller.error("ollama_push", model="!!", insecure=True)
    assert (error["code"], error["retryable"]) == ("invalid_argument", False)


async def test_a_model_without_room_on_the_disk_is_not_fetched(
    ground: Ground, absent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda _: Disk(1e9, 1e9, 10e6))
    ground.registry.faults(rate=20e6)
    async with in_memory(ground.url) as caller:
        error = await caller.error("ollama_pull", model=absent, insecure=True)
    assert (error["code"], error["retryable"]) == ("too_large", False)
    assert error["details"]["free"] == 10e6
    assert WEIGHTS * 0.8 < error["details"]["needed"] <= WEIGHTS
    assert "MB" in error["message"]
    await asyncio.sleep(0.2)
    assert ground.on_disk < WEIGHTS / 4


async def test_a_models_life_over_stdio(ground: Ground, absent: str) -> None:
    """The tests above speak HTTP to their server."""
    name = f"{ground.registry.name}/lab/life:1"
    async with Caller(over_stdio(ground.url)) as caller:
        await caller.call("ollama_pull", model=absent, insecure=True)
        await caller.call("ollama_create", model="mine/new", **{"from": absent})
        await caller.call("ollama_copy", source="mine/new", destination=name)
        await caller.call("ollama_push", model=name, insecure=True)
        for gone in (name, "mine/new", absent):
            deleted = await caller.call("ollama_delete", model=gone)
            assert deleted.structured_content["status"] == "success"
        pulled = await caller.call("ollama_pull", model=name, insecure=True)
        assert pulled.structured_content["status"] == "success"
        listed = await caller.call("ollama_list", name="/lab/")
        assert [row["name"] for row in listed.structured_content["models"]] == [name]
    ground.forget(name)
