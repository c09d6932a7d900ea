"""Whether a daemon may be started, from where, and what is said where it may not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.address import parse_address
from ollama_mcp_server.daemon.installed import (
    CONTAINED,
    ELSEWHERE,
    find_ollama,
    how_to_install,
    in_container,
    places,
    reason_not_to_start,
    why_it_ended,
)
from ollama_mcp_server.errors import START_IT


@pytest.mark.parametrize(
    ("policy", "host", "contained", "reason"),
    [
        ("auto", "127.0.0.1", False, ""),
        ("auto", "localhost:9999", False, ""),
        ("auto", "[::1]", False, ""),
        ("auto", "0.0.0.0", False, ""),
        ("auto", "127.0.0.1", True, CONTAINED),
        ("always", "127.0.0.1", True, ""),
        ("never", "127.0.0.1", False, START_IT),
        ("never", "127.0.0.1", True, START_IT),
        ("auto", "192.0.2.1", False, ELSEWHERE),
        ("always", "host.docker.internal", True, ELSEWHERE),
        ("auto", "https://127.0.0.1:11434", False, START_IT),
        ("auto", "127.0.0.1:8080/ollama", False, START_IT),
        ("auto", "http://me:secret@127.0.0.1:11434", False, START_IT),
    ],
)
def test_one_is_started_only_where_it_belongs(
    policy: Any, host: str, contained: bool, reason: str
) -> None:
    assert reason_not_to_start(policy, parse_address(host), contained=contained) == reason


@pytest.mark.parametrize(
    ("environment", "there", "groups", "expected"),
    [
        ({}, "", "0::/\n", False),
        ({}, "", "12:cpu:/user.slice\n0::/init.scope\n", False),
        ({}, "", None, False),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, "", "0::/\n", True),
        ({}, "/.dockerenv", None, True),
        ({}, "/run/.containerenv", None, True),
        ({}, "", "5:devices:/kubepods/burstable/pod1\n", True),
        ({}, "", "5:devices:/docker/0123\n", True),
    ],
)
def test_a_container_is_known_by_what_it_leaves(
    environment: dict[str, str], there: str, groups: str | None, expected: bool, tmp_path: Path
) -> None:
    file = tmp_path / "cgroup"
    if groups is not None:
        file.write_text(groups)
    assert in_container(environment, lambda path: path == there, file) is expected


def test_it_is_looked_for_where_programs_of_the_desktop_do_not() -> None:
    assert places({}, "linux")[:2] == ["ollama", "/usr/local/bin/ollama"]
    mac = places({"HOME": "/Users/me"}, "darwin")
    assert "/Applications/Ollama.app/Contents/Resources/ollama" in mac
    assert "/Users/me/Applications/Ollama.app/Contents/Resources/ollama" in mac
    windows = places({"LOCALAPPDATA": r"C:\Users\me\AppData\Local"}, "win32")
    assert windows == ["ollama", r"C:\Users\me\AppData\Local\Programs\Ollama\ollama.exe"]
    assert places({}, "win32") == ["ollama"]


def test_the_one_on_path_comes_first_and_must_be_a_program(tmp_path: Path) -> None:
    program = tmp_path / "ollama"
    program.write_text("#!/bin/sh\n")
    there = {"PATH": str(tmp_path)}
    assert find_ollama(there, "win32") is None
    program.chmod(0o755)
    assert find_ollama(there) == str(program) == shutil.which("ollama", path=str(tmp_path))


@pytest.mark.parametrize(
    ("platform", "told"),
    [("linux", "install.sh"), ("darwin", "brew"), ("win32", "winget"), ("freebsd", "ollama.com")],
)
def test_each_system_is_told_how_to_install_it(platform: str, told: str) -> None:
    assert told in how_to_install(platform)


@pytest.mark.parametrize(
    ("log", "reason"),
    [
        ("", ""),
        ("time=1 level=INFO\nError: no room\n", "no room"),
        ("Error: first\nError: second\nbye\n", "second"),
        ("time=1 level=INFO\n\n", "time=1 level=INFO"),
        (f"Error: {'x' * 999}", "x" * 300),
    ],
)
def test_the_log_says_why_it_ended(log: str, reason: str) -> None:
    assert why_it_ended(log) == reason
