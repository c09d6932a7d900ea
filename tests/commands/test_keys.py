"""`keys`: a key is printed once and alone; the rest is said on stderr."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ollama_mcp_server import cli
from ollama_mcp_server.gateway.access.keyfile import load
from ollama_mcp_server.gateway.access.keys import read_keys
from ollama_mcp_server.settings import Settings, keys_file

Capture = pytest.CaptureFixture[str]


def run(*words: str) -> int:
    return cli.run_command("keys", words)


def test_a_new_key_is_printed_alone_and_opens_the_door(capsys: Capture) -> None:
    assert run("add", "app") == 0
    out, err = capsys.readouterr()
    assert re.fullmatch(r"omcp_[\w-]{43}\n", out)
    assert "not shown again" in err
    assert "nobody is served over HTTP without a key" in err
    caller = read_keys(Settings()).find(out.strip().encode())
    assert caller is not None
    assert caller.name == "app"
    assert caller.scopes == {"read", "infer"}
    assert out.strip() not in keys_file().read_text()


def test_what_a_key_may_is_given_by_flags(tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "k.json"
    words = [
        "add",
        "app",
        "--scopes",
        "infer, agent",
        "--models",
        "qwen3:*,llama3.2",
        "--rpm",
        "60",
    ]
    words += ["--tpm", "100000", "--concurrency", "2", "--keys-file", str(file)]
    assert run(*words) == 0
    [key] = load(file)
    assert key.scopes == ("infer", "agent")
    assert key.models == ("qwen3:*", "llama3.2")
    assert (key.requests_per_minute, key.tokens_per_minute, key.concurrency) == (60, 100_000, 2)
    assert not keys_file().exists()
    capsys.readouterr()
    assert run("list", "--keys-file", str(file)) == 0
    out, _ = capsys.readouterr()
    head, row = out.splitlines()
    assert head.split("\t")[:3] == ["NAME", "SCOPES", "MODELS"]
    assert row.split("\t")[:6] == ["app", "infer,agent", "qwen3:*,llama3.2", "60", "100000", "2"]
    assert key.sha256 not in out


def test_the_list_can_be_json(capsys: Capture) -> None:
    run("add", "a")
    run("add", "b", "--scopes", "admin")
    capsys.readouterr()
    assert run("list", "--json") == 0
    out, _ = capsys.readouterr()
    rows = json.loads(out)["keys"]
    assert [(row["name"], row["scopes"]) for row in rows] == [
        ("a", ["read", "infer"]),
        ("b", ["admin"]),
    ]
    assert "sha256" not in out


def test_without_keys_the_list_says_how_to_make_one(capsys: Capture) -> None:
    assert run("list") == 0
    out, err = capsys.readouterr()
    assert out == ""
    assert "keys add" in err
    assert not keys_file().exists()


def test_a_key_can_be_removed_and_the_last_one_leaves_the_door_locked(capsys: Capture) -> None:
    run("add", "a")
    run("add", "b")
    capsys.readouterr()
    assert run("remove", "a") == 0
    assert capsys.readouterr() == ("", "")
    assert [key.name for key in load(keys_file())] == ["b"]
    assert run("remove", "b") == 0
    assert "no key is left" in capsys.readouterr().err
    assert read_keys(Settings()).required


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["add", "a"], "there is a key a already"),
        (["add", "token"], "no key can be named token"),
        (["add", "b", "--scopes", "root"], "must be 'read'"),
        (["add", "b", "--rpm", "0"], "must be 1 or more"),
        (["add", "b c"], "name"),
        (["add"], "Give a name"),
        (["remove"], "Give a name"),
        (["remove", "b"], "there is no key b"),
        (["list", "a"], "list takes no name"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(
    words: list[str], told: str, capsys: Capture
) -> None:
    run("add", "a")
    before = keys_file().read_text()
    capsys.readouterr()
    assert run(*words) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert keys_file().read_text() == before


def test_a_broken_file_is_not_written_over(capsys: Capture) -> None:
    keys_file().parent.mkdir(parents=True)
    keys_file().write_text("{")
    assert run("add", "a") == 1
    assert "not valid JSON" in capsys.readouterr().err
    assert keys_file().read_text() == "{"


def test_keys_of_the_environment_are_listed_and_said_to_count(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"name": "env", "sha256": "0" * 64}
    monkeypatch.setenv("OLLAMA_MCP_KEYS", json.dumps([entry]))
    assert run("list") == 0
    assert "env\t" in capsys.readouterr().out
    assert run("add", "a") == 0
    assert "OLLAMA_MCP_KEYS is set" in capsys.readouterr().err


def test_a_user_without_a_home_is_told_what_to_set(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "~")
    assert run("add", "a") == 1
    assert "OLLAMA_MCP_KEYS_FILE" in capsys.readouterr().err
