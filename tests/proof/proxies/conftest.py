"""A real daemon, the server before it, and before that a proxy as the documentation writes it."""

from __future__ import annotations

import datetime
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from scripts.testbed import cache, daemon
from scripts.testbed.processes import free_port
from tests.docs.blocks import Block, blocks
from tests.wire import PATIENCE, Http

HOST = "ai.example.com"
TOKEN = "0123456789abcdef"


@dataclass(frozen=True)
class Proxied:
    """The server as it is reached through a proxy, and the daemon behind it."""

    client: httpx.Client
    ollama: daemon.Daemon


@pytest.fixture(scope="session")
def ollama() -> Iterator[daemon.Daemon]:
    """A daemon of our own, whose runners nobody else gives work."""
    with daemon.start(cache.folder()) as ours:
        yield ours


@pytest.fixture(scope="session")
def server(ollama: daemon.Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http]:
    told = {"OLLAMA_HOST": ollama.url, "OLLAMA_MCP_ALLOWED_HOSTS": HOST}
    with Http(tmp_path_factory.mktemp("home"), "--gateway", token=TOKEN, **told) as running:
        yield running


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for the name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder = tmp_path_factory.mktemp("certificate")
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="session", params=blocks("caddy", "nginx"), ids=str)
def proxied(
    request: pytest.FixtureRequest,
    server: Http,
    ollama: daemon.Daemon,
    certificate: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Proxied]:
    """The server behind each proxy of the documentation, in its configuration's own words."""
    block: Block = request.param
    program = brought(block.language)
    folder = tmp_path_factory.mktemp(block.language)
    port, backend = free_port(), re.sub(r"https?://|/mcp$", "", server.url)
    written = {"nginx": nginx, "caddy": caddy}[block.language]
    words = written(program, block.text, folder, port, backend, certificate)
    with running(words, folder / "log", port):
        trusted = ssl.create_default_context(cafile=str(certificate[0]))
        with httpx.Client(
            base_url=f"https://127.0.0.1:{port}",
            headers={"Host": HOST, "Authorization": f"Bearer {TOKEN}"},
            verify=trusted,
            trust_env=False,
            timeout=PATIENCE,
        ) as client:
            yield Proxied(client, ollama)


def brought(program: str) -> str:
    """Return the path of a program, installed first by Debian's packages where it is missing."""
    if not shutil.which(program):
        words = ["apt-get", "-qq", "install", "--yes", "--no-install-recommends", program]
        for step in (["apt-get", "-qq", "update"], words):
            subprocess.run(step, check=True, capture_output=True, timeout=300)
    found = shutil.which(program)
    assert found, f"{program} is not to be had here"
    return found


def nginx(
    program: str, text: str, folder: Path, port: int, backend: str, certificate: tuple[Path, Path]
) -> list[str]:
    """Write what the documentation shows into a whole configuration, and have nginx check it."""
    names = f"server_name {HOST}; ssl_certificate /cert.pem; ssl_certificate_key /key.pem;"
    site = text if "server {" in text else f"server {{ listen 443 ssl; {names}\n{text}}}"
    for was, now in {
        r"listen 443": f"listen 127.0.0.1:{port}",
        r"ssl_certificate +\S+;": f"ssl_certificate {certificate[0]};",
        r"ssl_certificate_key +\S+;": f"ssl_certificate_key {certificate[1]};",
        r"127\.0\.0\.1:8000": backend,
    }.items():
        site, made = re.subn(was, now, site)
        assert made == 1, was
    file = folder / "nginx.conf"
    places = " ".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root; " if os.geteuid() == 0 else ""  # its workers may write in the folder
    file.write_text(
        f"{user}daemon off; worker_processes 1; pid {folder}/pid; error_log stderr warn;\n"
        f"events {{}}\nhttp {{ access_log off; {places}\n{site}\n}}\n"
    )
    words = [program, "-c", str(file), "-p", str(folder), "-e", "stderr"]
    ran = subprocess.run([*words, "-t"], capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stderr
    assert "[warn]" not in ran.stderr, ran.stderr
    return words


def caddy(
    program: str, text: str, folder: Path, port: int, backend: str, certificate: tuple[Path, Path]
) -> list[str]:
    """Write a Caddyfile with a certificate of ours, since none can be got, and have it checked."""
    key = f"{HOST} {{\n\ttls {certificate[0]} {certificate[1]}\n\tbind 127.0.0.1\n"
    site, made = re.subn(rf"{re.escape(HOST)} {{\n", key, text)
    assert made == 1
    site = site.replace("127.0.0.1:8000", backend)
    options = f"\tadmin off\n\thttps_port {port}\n\tauto_https disable_redirects\n"
    file = folder / "Caddyfile"
    file.write_text(f"{{\n{options}\tstorage file_system {folder}/data\n}}\n{site}")
    words = ["--config", str(file), "--adapter", "caddyfile"]
    ran = subprocess.run([program, "validate", *words], capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stderr
    return [program, "run", *words]


@contextmanager
def running(words: list[str], log: Path, port: int) -> Iterator[None]:
    """Run a proxy until the end, once it listens."""
    with log.open("wb") as written, subprocess.Popen(words, stdout=written, stderr=written) as it:
        try:
            began = time.monotonic()
            while not _listens(port):
                assert it.poll() is None, log.read_text()
                assert time.monotonic() - began < PATIENCE, log.read_text()
                time.sleep(0.05)
            yield
        finally:
            it.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0
