"""Ollama's own clients before the gateway: the Python client and the command line, unchanged."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import ollama
import pytest

from scripts.testbed import binaries, daemon, models, registry, runner, weights
from tests.commands.terminal import environment
from tests.live.sessions import CACHE, LONG, SHORT, VERSION, WEATHER, own_daemon, user
from tests.live.workplaces import configured, own, wait_for
from tests.wire import PATIENCE, Http, within

pytestmark = pytest.mark.live

CAPITAL = [user("What is the capital of France?")]
COUNT = {
    "model": models.CHAT,
    "prompt": "1, 2, 3, 4, 5, 6,",
    "raw": True,
    "options": {"temperature": 0, "num_predict": 1500},
}
TOKEN = "zebra4711"
#: A server that is used where it is named, and of which the model sees one tool.
NAMED = {"auto_enable": "never", "allow": ["get_weather"]}

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass
class Ground:
    """A gateway before a daemon whose library may be changed, beside a registry."""

    daemon: daemon.Daemon
    url: str
    registry: registry.Registry
    client: ollama.Client

    @property
    def published(self) -> str:
        """The name, at the registry, of a copy of the embedding model."""
        return f"{self.registry.name}/lab/embed:1"

    def forget(self, *names: str) -> None:
        """Delete models behind the gateway's back."""
        for name in names:
            url = f"{self.daemon.url}/api/delete"
            httpx.request("DELETE", url, json={"model": name}, trust_env=False)


def client_of(url: str) -> ollama.Client:
    """Return the official client, as anybody makes it, but for the proxies of the environment."""
    return ollama.Client(url, trust_env=False)


@pytest.fixture(scope="module")
def ground(ollama_pid: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    home = tmp_path_factory.mktemp("home")
    told = {"OLLAMA_MCP_SERVERS": configured({**own("city.py", TOKEN), **NAMED})}
    with (
        own_daemon() as (behind, _),
        registry.start(CACHE) as shelf,
        Http(home, "--gateway", OLLAMA_HOST=behind.url, **told) as server,
    ):
        url = f"http://{server.host}:{server.port}"
        made = Ground(behind, url, shelf, client_of(url))
        with httpx.Client(base_url=behind.url, trust_env=False, timeout=60) as direct:
            copied = {"source": models.EMBED, "destination": made.published}
            direct.post("/api/copy", json=copied).raise_for_status()
            pushed = {"model": made.published, "insecure": True, "stream": False}
            direct.post("/api/push", json=pushed).raise_for_status()
        yield made
        made.client._client.close()
        assert "Traceback" not in server.stderr, server.stderr


@pytest.fixture
def command(ground: Ground, tmp_path: Path) -> Run:
    """Run Ollama's own command line, with the gateway for its server."""
    program = binaries.install(CACHE, VERSION)

    def run(*arguments: str, host: str = ground.url, **more: str) -> Any:
        return subprocess.run(
            [program, *arguments],
            cwd=tmp_path,
            env=environment(tmp_path, OLLAMA_HOST=host, **more),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    return run


# --- the Python client ----------------------------------------------------------------------------


def test_the_client_lists_shows_and_tells_what_runs(ground: Ground) -> None:
    listed = {model.model for model in ground.client.list().models}
    assert {f"{models.TOOLS}:latest", models.CHAT, models.EMBED} <= listed
    assert ground.client.show(models.TOOLS).capabilities == ["completion", "tools"]
    ground.client.generate(models.CHAT, "Hello", options=SHORT)
    assert models.CHAT in {model.model for model in ground.client.ps().models}
    with pytest.raises(ollama.ResponseError, match="model 'nobody:latest' not found") as refused:
        ground.client.show("nobody")
    assert refused.value.status_code == 404


def test_the_client_chats_generates_and_embeds(ground: Ground) -> None:
    parts = list(ground.client.chat(models.CHAT, CAPITAL, stream=True, options=LONG))
    assert "Paris" in "".join(part.message.content or "" for part in parts)
    assert len(parts) > 3
    assert (parts[-1].done, parts[-1].done_reason) == (True, "stop")
    whole = ground.client.generate(models.CHAT, "Hello", options=SHORT)
    assert whole.done
    assert 0 < (whole.eval_count or 0) <= SHORT["num_predict"]
    vectors = ground.client.embed(models.EMBED, ["a", "b"]).embeddings
    assert [len(vector) for vector in vectors] == [384, 384]
    thought = ground.client.chat(models.THINK, CAPITAL, think=True, options=LONG)
    assert thought.message.thinking


def test_the_client_gets_the_calls_for_its_own_tools(ground: Ground) -> None:
    asked = [user("What is the weather in Oslo?")]
    said = ground.client.chat(models.TOOLS, asked, tools=[WEATHER], options=LONG)
    (call,) = said.message.tool_calls or ()
    assert (call.function.name, call.function.arguments) == ("get_weather", {"city": "Oslo"})


def test_the_client_pulls_copies_creates_and_deletes(ground: Ground, tmp_path: Path) -> None:
    ground.forget(ground.published, models.EMBED)
    ground.registry.faults(rate=30e6)
    lines = list(ground.client.pull(ground.published, insecure=True, stream=True))
    ground.registry.faults()
    done = [line.completed for line in lines if line.completed]
    assert len(done) > 3
    assert done == sorted(done) or lines[-1].status == "success"
    assert lines[-1].status == "success"
    ground.client.copy(ground.published, models.EMBED)

    file = tmp_path / "chat.gguf"
    file.write_bytes(weights.find("chat", CACHE).read_bytes() + b"\0" * 64)  # not there yet
    digest = ground.client.create_blob(file)
    made = ground.client.create("mine/uploaded", files={"chat.gguf": digest}, stream=False)
    assert made.status == "success"
    assert ground.client.generate("mine/uploaded", "Hello", options=SHORT).response
    ground.client.delete("mine/uploaded")
    assert "mine/uploaded:latest" not in {model.model for model in ground.client.list().models}


def test_a_pull_that_is_left_stops(ground: Ground) -> None:
    ground.forget(ground.published, models.EMBED)
    ground.registry.faults(rate=2e6)
    for line in ground.client.pull(ground.published, insecure=True, stream=True):
        if line.completed:
            break
    ground.registry.faults()
    listed = {model.model for model in ground.client.list().models}
    assert ground.published not in listed
    ground.client.pull(ground.published, insecure=True)
    ground.client.copy(ground.published, models.EMBED)


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
def test_a_client_that_leaves_frees_the_runner(ground: Ground, path: str) -> None:
    body = {**COUNT, "messages": [user(f"Count: {COUNT['prompt']}")]}
    ground.client.generate(models.CHAT)  # loads it

    def attempt() -> float:
        with (
            httpx.Client(base_url=ground.url, trust_env=False, timeout=None) as client,
            client.stream("POST", path, json=body) as response,
        ):
            pieces = response.iter_raw()  # held, for it closes the response when it goes
            next(pieces)
            wait_for(lambda: not runner.is_idle(ground.daemon.pid, 0.2))
            began = time.monotonic()
        return time.monotonic() - began + runner.wait_until_idle(ground.daemon.pid, window=0.1)

    within(0.3, attempt)


def test_curl_needs_no_content_type(ground: Ground) -> None:
    body = json.dumps({"model": models.CHAT, "messages": CAPITAL, "stream": False})
    asked = ["curl", "--silent", "--noproxy", "*", f"{ground.url}/api/chat", "--data", body]
    said = subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert "Paris" in json.loads(said.stdout)["message"]["content"]


# --- the command line -----------------------------------------------------------------------------


def test_the_command_line_looks_and_asks(command: Run) -> None:
    assert "ollama version is" in command("--version").stdout
    assert models.CHAT in command("list").stdout
    assert "completion" in command("show", models.CHAT).stdout
    said = command("run", models.CHAT, CAPITAL[0]["content"])
    assert (said.returncode, "Paris" in said.stdout) == (0, True)
    assert models.CHAT in command("ps").stdout
    assert command("stop", models.CHAT).returncode == 0
    assert models.CHAT not in command("ps").stdout


def test_the_command_line_changes_the_library(command: Run, ground: Ground, tmp_path: Path) -> None:
    file = tmp_path / "chat.gguf"
    file.write_bytes(weights.find("chat", CACHE).read_bytes() + b"\0" * 32)
    (tmp_path / "Modelfile").write_text("FROM ./chat.gguf\nPARAMETER temperature 0\n")
    made = command("create", "mine/made", "-f", "Modelfile")
    assert (made.returncode, "success" in made.stderr) == (0, True), made.stderr
    assert command("cp", "mine/made", "mine/copy").returncode == 0
    assert "mine/copy" in command("list").stdout
    for name in ("mine/made", "mine/copy"):
        assert f"deleted '{name}'" in command("rm", name).stdout
    ground.forget(ground.published)
    pulled = command("pull", "--insecure", ground.published)
    assert (pulled.returncode, "success" in pulled.stderr) == (0, True), pulled.stderr
    assert "100%" in pulled.stderr
    assert "embedding" in command("show", ground.published).stdout


def test_the_command_line_tells_the_daemons_errors(command: Run, tmp_path: Path) -> None:
    wrong = command("rm", "nobody")
    assert (wrong.returncode, "model 'nobody' not found" in wrong.stderr) == (1, True), wrong.stderr
    with Http(tmp_path, "--gateway", OLLAMA_HOST="127.0.0.1:9") as server:
        wrong = command("list", host=f"127.0.0.1:{server.port}")
        assert "nothing answers at http://127.0.0.1:9" in wrong.stderr
        assert "`ollama serve`" in wrong.stderr


def test_the_command_line_has_no_key_to_send_and_the_client_has(
    command: Run, ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "a-token-that-nobody-can-guess"
    with Http(tmp_path, "--gateway", token=secret, OLLAMA_HOST=ground.daemon.url) as server:
        url = f"http://127.0.0.1:{server.port}"
        for more in ({}, {"OLLAMA_API_KEY": secret}):
            wrong = command("list", host=url, **more)
            assert (wrong.returncode, wrong.stdout) == (1, "")
        without = client_of(url)
        monkeypatch.setenv("OLLAMA_API_KEY", secret)
        having = client_of(url)
        with closing(without._client), closing(having._client):
            with pytest.raises(ollama.ResponseError, match="needs a key"):
                without.list()
            assert having.list().models
        assert secret not in server.stderr


# --- tools ----------------------------------------------------------------------------------------


def asked(ground: Ground, **body: Any) -> list[ollama.ChatResponse]:
    """Ask with fields that the client's own method does not know, and let it read the answer."""
    told = {"options": LONG, "messages": [user("Get the weather in Oslo.")], **body}
    with ground.client._client.stream("POST", "/api/chat", json=told, timeout=60) as said:
        said.read()
        assert said.status_code == 200, said.text
    return [ollama.ChatResponse.model_validate_json(line) for line in said.text.splitlines()]


def test_a_model_works_with_the_tools_of_a_server(ground: Ground) -> None:
    parts = asked(ground, model=models.TOOLS, mcp_servers=["city"], max_tool_rounds=3)
    (call,) = [call.function for part in parts for call in part.message.tool_calls or ()]
    assert (call.name, call.arguments) == ("city:get_weather", {"city": "Oslo"})
    (result,) = [part.message for part in parts if part.message.role == "tool"]
    assert result.tool_name == "city:get_weather"
    assert result.content == f"It rains {TOKEN} in Oslo."
    assert parts[-1].done
    assert (parts[-1].prompt_eval_count or 0) > 0
    assert (parts[-1].eval_count or 0) > 0


def test_a_model_without_tools_answers_too(ground: Ground) -> None:
    parts = asked(ground, model=models.CHAT, mcp_servers=["city"], max_tool_rounds=3)
    assert "".join(part.message.content or "" for part in parts if part.message.role != "tool")
    assert parts[-1].done


def test_a_model_that_does_not_think_is_no_error_of_ours(ground: Ground) -> None:
    said = httpx.post(
        f"{ground.url}/api/chat",
        json={
            "model": models.CHAT, "messages": CAPITAL, "mcp_servers": ["city"], "think": True
        },
        timeout=60,
        trust_env=False,
    )  # fmt: skip
    assert (said.status_code, "thinking" in said.json()["error"]) == (400, True)


def test_many_clients_at_once_are_all_answered(ground: Ground) -> None:
    said: list[str] = []

    def ask() -> None:
        said.append(ground.client.generate(models.CHAT, "Hello", options=SHORT).response)

    threads = [threading.Thread(target=ask) for _ in range(24)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(said) == len(threads), 60)
    assert len(set(said)) == 1
