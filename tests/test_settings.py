"""Settings that have a form of their own: several Ollama hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.flags import read_settings
from ollama_mcp_server.settings import Settings

SIMPLE = "desk=127.0.0.1, gpu=https://gpu.lan/ollama ,"
JSON = """{"desk": "127.0.0.1", "gpu": {"url": "https://gpu.lan/ollama",
 "headers": {"Authorization": "Bearer s3cret"}, "limit": 4}}"""
FILE = """[hosts]
desk = "127.0.0.1"
[hosts.gpu]
url = "https://gpu.lan/ollama"
headers = {Authorization = "Bearer s3cret"}
limit = 4
"""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    folder = tmp_path / "ollama-mcp-server"
    folder.mkdir()
    return folder


def read(hosts: str | None, monkeypatch: pytest.MonkeyPatch) -> Settings:
    if hosts is not None:
        monkeypatch.setenv("OLLAMA_MCP_HOSTS", hosts)
    return read_settings([])


def test_there_is_one_host_by_default(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read(None, monkeypatch).hosts == {}


@pytest.mark.parametrize("text", [SIMPLE, JSON])
def test_hosts_of_the_environment(text: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = read(text, monkeypatch).hosts
    assert [(name, host.url) for name, host in hosts.items()] == [
        ("desk", "127.0.0.1"),
        ("gpu", "https://gpu.lan/ollama"),
    ]


def test_hosts_of_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "config.toml").write_text(FILE)
    settings = read(None, monkeypatch)
    assert settings.hosts == Settings(hosts=JSON).hosts
    assert settings.hosts["gpu"].limit == 4
    assert "s3cret" not in repr(settings)


def test_the_first_host_stands_in_for_the_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_HOST", "elsewhere:1")
    settings = Settings(hosts={"gpu": "gpu.lan"})
    assert settings.address.url == "http://gpu.lan:11434"


def test_a_flag_for_one_host_holds(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OLLAMA_MCP_HOSTS", SIMPLE)
    (home / "config.toml").write_text(FILE)
    settings = read_settings(["--ollama-host", "lab:1"])
    assert (settings.hosts, settings.address.url) == ({}, "http://lab:1")
    assert list(read_settings(["--hosts", "lab=lab:1"]).hosts) == ["lab"]


@pytest.mark.parametrize(
    ("hosts", "told"),
    [
        ("desk", "name=URL pairs"),
        ("desk=", "name=URL pairs"),
        ('{"desk": ', "JSON"),
        ("{}x", "JSON"),
        ('{"desk": "ftp://x"}', "OLLAMA_MCP_HOSTS, desk: ftp:// is not supported"),
        ("a=127.0.0.1,b=http://127.0.0.1:11434", "a and b are the same host"),
        ("a b=127.0.0.1", "'a b' is no name"),
        ('{"desk": {"url": "x", "limit": 0}}', "1 or more"),
        ('{"desk": {"address": "x"}}', "OLLAMA_MCP_HOSTS"),
        ('{"desk": {"url": "http://u:s3cret@x:y"}}', "the port must be a number"),
    ],
)
def test_what_is_wrong_is_said_and_no_secret(
    hosts: str,
    told: str,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[Any],
) -> None:
    with pytest.raises(SystemExit):
        read(hosts, monkeypatch)
    error = capsys.readouterr().err
    assert told in error
    assert "OLLAMA_MCP_HOSTS" in error
    assert "s3cret" not in error
