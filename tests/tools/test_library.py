"""Changes of the library."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import pytest
from fastmcp.client.elicitation import ElicitResult

from ollama_mcp_server.server import build_server
from tests.conftest import CHAT, Caller, MakeApp, text
from tests.fake_ollama import FakeOllama

GB = 10**9


def layer(digest: str, total: int, completed: int) -> dict[str, Any]:
    return {"status": f"pulling {digest}", "digest": f"sha256:{digest}", "total": total,
            "completed": completed}  # fmt: skip


async def test_pull_reports_bytes_that_only_rise(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/pull", {"status": "pulling manifest"}, layer("a", GB, 0), 0.12,
                 layer("a", GB, GB // 2), 0.12, layer("a", GB, GB // 4), 0.12, layer("a", GB, GB),
                 layer("b", 10, 10), {"status": "success"})  # fmt: skip
    notes: list[tuple[float, float | None, str | None]] = []

    async def keep(value: float, total: float | None, message: str | None) -> None:
        notes.append((value, total, message))

    result = await client.call("ollama_pull", model="m", on_progress=keep)
    values = [value for value, _, _ in notes]
    assert values == sorted(set(values))
    assert all(total is None or value <= total for value, total, _ in notes)
    assert any("500 MB of 1,000 MB" in message for _, _, message in notes)
    assert result.structured_content == {
        "model": "m", "status": "success", "bytes": GB + 10, "layers": ["sha256:a", "sha256:b"]
    }  # fmt: skip


async def test_a_full_disk_is_told_before_the_bulk(
    client: Caller, daemon: FakeOllama, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(GB))
    monkeypatch.setattr("ollama_mcp_server.tools.library.models_folder", returning(tmp_path))
    daemon.reply("/api/pull", layer("a", 40 * GB, 0), 30.0, {"status": "success"})
    error = await client.error("ollama_pull", model="m")
    assert error["code"] == "too_large"
    assert error["details"] == {"needed": 40 * GB, "free": GB}
    await daemon.until(lambda: daemon.requests[-1].closed_early)


def returning(value: object) -> Any:
    async def answer(_: object) -> object:
        return value

    return answer


@pytest.mark.parametrize(
    ("error", "code"),
    [("pull model manifest: file does not exist", "model_not_found"),
     ("max retries exceeded: dial tcp: connection refused", "registry_error"),
     ("digest mismatch, file must be downloaded again", "registry_error")],
)  # fmt: skip
async def test_pull_failures(client: Caller, daemon: FakeOllama, error: str, code: str) -> None:
    daemon.reply("/api/pull", {"status": "pulling manifest"}, error=error)
    assert (await client.error("ollama_pull", model="m"))["code"] == code


async def test_create_sends_every_field(client: Caller, daemon: FakeOllama) -> None:
    fields = {
        "system": "s", "template": "{{ .Prompt }}", "license": ["MIT"], "quantize": "q8_0",
        "parameters": {"temperature": 0.5}, "messages": [{"role": "user", "content": "x"}],
        "renderer": "r", "parser": "p", "requires": "0.1", "info": {"capabilities": ["tools"]},
        "adapters": {"a": "sha256:1"}, "remote_host": "https://h",
        "draft_files": {"d": "sha256:2"}, "draft_quantize": "q4_0", "from": CHAT,
        "files": {"f": "sha256:3"},
    }  # fmt: skip
    daemon.reply("/api/create", {"status": "success"})
    result = await client.call("ollama_create", model="mine", **fields)
    assert not result.is_error, text(result)
    assert daemon.requests[-1].body == fields | {"model": "mine", "stream": True}


async def test_a_parameter_that_the_daemon_would_ignore_is_refused(client: Caller) -> None:
    arguments = {"model": "mine", "from": CHAT, "parameters": {"mirostat": 1}}
    error = await client.error("ollama_create", **arguments)
    assert "mirostat" in error["message"]


async def test_copy_and_delete(client: Caller) -> None:
    copied = await client.call("ollama_copy", source=CHAT, destination="mine")
    assert copied.structured_content == {"model": "mine", "status": "success", "source": CHAT}
    assert "mine" in text(await client.call("ollama_list", name="mine"))
    assert not (await client.call("ollama_delete", model="mine")).is_error
    assert "no model matches" in text(await client.call("ollama_list", name="mine"))


@pytest.mark.parametrize("era", ["legacy", "auto"])
@pytest.mark.parametrize(
    ("action", "said", "status"),
    [("accept", True, "success"), ("accept", False, "declined"), ("decline", None, "declined"),
     ("cancel", None, "declined")],
)  # fmt: skip
async def test_delete_asks_where_the_host_can_ask(
    make_app: MakeApp, era: str, action: Any, said: Any, status: str
) -> None:
    questions = []

    async def answer(message: str, response_type: Any, *_: Any) -> Any:
        questions.append(message)
        if action != "accept":
            return ElicitResult(action=action)
        fields = response_type.__dataclass_fields__
        return ElicitResult(action="accept", content=response_type(**{next(iter(fields)): said}))

    server = build_server(make_app())
    async with Caller(server, mode=era, elicitation_handler=answer) as client:
        result = await client.call("ollama_delete", model=CHAT)
        assert result.structured_content["status"] == status, text(result)
        assert questions[0].startswith(f"Delete the model {CHAT} (")
        left = await client.call("ollama_list", name=CHAT)
    assert left.structured_content["total"] == (0 if status == "success" else 1)


async def test_a_pull_does_not_need_what_an_installed_model_tells(
    client: Caller, daemon: FakeOllama
) -> None:
    far = {"name": "far:cloud", "remote_host": "https://ollama.com"}
    daemon.reply("/api/tags", {"models": [far, {"name": "near"}]})
    daemon.reply("/api/show", status=502, error="dial tcp: no such host")
    daemon.reply("/api/pull", {"status": "success"})
    assert not (await client.call("ollama_pull", model="m")).is_error
    shown = [request.body["model"] for request in daemon.requests if request.path == "/api/show"]
    assert shown == ["near"]
