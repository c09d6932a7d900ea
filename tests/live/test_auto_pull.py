"""A missing model is pulled from a registry first, and then answers: where that is allowed."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.testbed import daemon, models, registry
from tests.conftest import Caller, text
from tests.live.sessions import CACHE, VERSION, in_memory, own_daemon, user

pytestmark = pytest.mark.live

SHORT = {"num_predict": 4, "temperature": 0}
FRANCE = "What is the capital of France?"


@dataclass
class Ground:
    """An empty daemon, and a registry that has one model."""

    url: str
    store: Path
    registry: registry.Registry
    model: str
    """The name of a copy of the chat model at that registry."""

    def names(self) -> list[str]:
        rows = httpx.get(f"{self.url}/api/tags", trust_env=False).json()["models"]
        return [row["name"] for row in rows]


@pytest.fixture(scope="module")
def ground(ollama_host: str) -> Iterator[Ground]:
    with registry.start(CACHE) as shelf, TemporaryDirectory(dir=CACHE) as folder:
        name = f"{shelf.name}/lab/chat:1"
        with own_daemon() as (full, _):
            for path, body in (
                ("copy", {"source": models.CHAT, "destination": name}),
                ("push", {"model": name, "insecure": True, "stream": False}),
            ):
                httpx.post(f"{full.url}/api/{path}", json=body, timeout=60).raise_for_status()
        identity, store = write_identity(Path(folder, "identity.pem")), Path(folder, "store")
        trust = {"SSL_CERT_FILE": str(identity)}
        with (
            Front(shelf.name, identity) as front,
            daemon.start(CACHE, version=VERSION, env=trust, store=store) as empty,
        ):
            yield Ground(empty.url, store, shelf, f"127.0.0.1:{front.server_port}/lab/chat:1")


@pytest.fixture
def model(ground: Ground) -> Iterator[str]:
    """Name of a model that the daemon has not, at a registry that it trusts."""
    yield ground.model
    ground.registry.faults()
    for left in ground.names():
        httpx.request("DELETE", f"{ground.url}/api/delete", json={"model": left}, trust_env=False)
    for part in ground.store.glob("blobs/*-partial*"):
        part.unlink()


class Front(ThreadingHTTPServer):
    """The registry with TLS: the daemon pulls of no other unless it is told that it may."""

    daemon_threads = True

    def __init__(self, behind: str, identity: Path) -> None:
        self.behind = behind
        super().__init__(("127.0.0.1", 0), Passing)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity)
        self.socket = context.wrap_socket(self.socket, True, do_handshake_on_connect=False)

    def __enter__(self) -> Front:
        self._thread = threading.Thread(target=self.serve_forever, args=[0.05], daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class Passing(BaseHTTPRequestHandler):
    """Hands a request on to the registry, and its answer back, redirections too."""

    server: Front

    def do_GET(self) -> None:
        answer = httpx.request(
            self.command,
            f"http://{self.server.behind}{self.path}",
            headers={name: self.headers[name] for name in ("Accept",) if name in self.headers},
            follow_redirects=self.command == "HEAD",  # which the daemon does not follow elsewhere
            trust_env=False,
        )
        self.send_response(answer.status_code)
        for name in ("Content-Type", "Docker-Content-Digest", "Location"):
            if name in answer.headers:
                self.send_header(name, answer.headers[name])
        self.send_header("Content-Length", answer.headers.get("Content-Length", "0"))
        self.end_headers()
        self.wfile.write(answer.content)

    do_HEAD = do_GET  # noqa: N815 - http.server names it

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def write_identity(path: Path) -> Path:
    """Write a certificate of 127.0.0.1, signed by itself, and its key to one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry.test")])
    now = datetime.now(timezone.utc)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(here, False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + secret)
    return path


CALLS: dict[str, dict[str, Any]] = {
    "ollama_chat": {"messages": [user(FRANCE)], "options": SHORT},
    "ollama_generate": {"prompt": FRANCE, "options": SHORT},
    "chat_completion": {"messages": [user(FRANCE)], "max_tokens": 4, "temperature": 0},
}


@pytest.mark.parametrize("tool", CALLS)
async def test_a_named_model_is_pulled_and_answers(ground: Ground, model: str, tool: str) -> None:
    ground.registry.faults(rate=60e6)
    notes: list[tuple[float, str]] = []

    async def keep(value: float, total: float | None, message: str | None) -> None:
        notes.append((value, message or ""))

    async with in_memory(ground.url, auto_pull=True) as caller:
        result = await caller.call(tool, model=model, on_progress=keep, **CALLS[tool])
        assert not result.is_error, text(result)
        again = await caller.call(tool, model=model, **CALLS[tool])
    assert result.structured_content["model"] == again.structured_content["model"] == model
    assert ground.names() == [model]
    pulling = [message for _, message in notes if message.startswith(f"pulling {model}: ")]
    assert any("MB of " in message for message in pulling)
    assert notes[-1][1].startswith("writing: token")
    values = [value for value, _ in notes]
    assert values == sorted(set(values))


@pytest.mark.parametrize("named", ["by name", "by alias", "by profile"])
async def test_the_configured_default_is_pulled(ground: Ground, model: str, named: str) -> None:
    settings: dict[str, Any] = {
        "by name": {"model": model},
        "by alias": {"model": "fast", "aliases": {"fast": model}},
        "by profile": {"model": "brief", "profiles": {"brief": {"model": model}}},
    }[named]
    async with in_memory(ground.url, auto_pull=True, **settings) as caller:
        result = await caller.call("ollama_generate", **CALLS["ollama_generate"])
    assert not result.is_error, text(result)
    assert result.structured_content["model"] == model
    assert "configured default" in text(result)


async def test_nothing_is_pulled_unless_that_is_allowed(ground: Ground, model: str) -> None:
    async with in_memory(ground.url, model=model) as caller:
        for tool, arguments in CALLS.items():
            error = await caller.error(tool, model=model, **arguments)
            assert error["code"] == "model_not_found"
            assert "ollama_pull" in error["hint"]
        error = await caller.error("ollama_generate", prompt="Hi")
    assert error["code"] == "capability_missing"
    assert ground.names() == []


async def test_what_the_registry_has_not_is_told(ground: Ground, model: str) -> None:
    absent = model.replace("chat", "nothing")
    async with in_memory(ground.url, auto_pull=True) as caller:
        error = await caller.error("ollama_generate", model=absent, prompt="Hi")
    assert (error["code"], error["retryable"]) == ("model_not_found", False)
    assert absent in error["message"]


async def test_a_pull_that_fails_is_told(ground: Ground, model: str) -> None:
    ground.registry.faults(status=500)
    async with in_memory(ground.url, auto_pull=True) as caller:
        error = await caller.error("ollama_chat", model=model, messages=[user(FRANCE)])
        assert (error["code"], error["retryable"]) == ("registry_error", True)
        ground.registry.faults()
        result = await caller.call("ollama_chat", model=model, **CALLS["ollama_chat"])
    assert not result.is_error, text(result)


async def test_a_registry_that_is_not_there_is_told(ground: Ground) -> None:
    async with in_memory(ground.url, auto_pull=True) as caller:
        error = await caller.error("chat_completion", model="127.0.0.1:1/lab/chat:1",
                                   messages=[user(FRANCE)])  # fmt: skip
    assert error["code"] == "registry_error"
    assert "127.0.0.1:1" in error["message"]


async def test_a_pull_takes_of_the_callers_time(ground: Ground, model: str) -> None:
    ground.registry.faults(rate=1e6)
    async with in_memory(ground.url, auto_pull=True) as caller:
        error = await caller.error(
            "ollama_chat", model=model, messages=[user(FRANCE)], timeout=1500
        )
    assert error["code"] == "timeout"
    assert ground.names() == []


async def test_two_calls_wait_for_one_pull(ground: Ground, model: str) -> None:
    ground.registry.faults(rate=100e6)
    async with in_memory(ground.url, auto_pull=True) as caller:
        answers = await asyncio.gather(
            *(caller.call("ollama_generate", model=model, prompt="Hi", options=SHORT) for _ in "ab")
        )
    assert [answer.is_error for answer in answers] == [False, False]


async def test_over_http_too(ground: Ground, model: str) -> None:
    from tests.live.sessions import over_http

    with over_http(ground.url, OLLAMA_MCP_AUTO_PULL="1") as url:
        async with Caller(url) as caller:
            result = await caller.call("ollama_chat", model=model, **CALLS["ollama_chat"])
    assert not result.is_error, text(result)
