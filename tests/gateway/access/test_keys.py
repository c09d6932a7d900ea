"""Keys: made, kept hashed, found; what each allows; a file that changes while it is used."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.errors import InvalidArgument, NotFound, PermissionDenied
from ollama_mcp_server.gateway.access.caller import ANONYMOUS, THE_HOLDER, Caller
from ollama_mcp_server.gateway.access.keyfile import PREFIX, added, load, make, parse, removed, save
from ollama_mcp_server.gateway.access.keys import Keys, read_keys
from ollama_mcp_server.gateway.access.scopes import SCOPES
from ollama_mcp_server.settings import Settings, keys_file

TOKEN = "a-token-that-nobody-can-guess"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "keys.json"


# --- what a caller may ----------------------------------------------------------------------------


def test_a_caller_may_what_its_scopes_say() -> None:
    caller = Caller("app", frozenset({"read", "infer"}))
    assert caller.may("open")
    assert caller.may("any")
    assert caller.may("infer")
    assert not caller.may("manage")
    with pytest.raises(PermissionDenied, match="no scope manage") as refused:
        caller.check("manage")
    assert "infer, read" in refused.value.hint


@pytest.mark.parametrize("scope", SCOPES)
def test_admin_is_everything(scope: Any) -> None:
    assert Caller("boss", frozenset({"admin"})).may(scope)
    assert ANONYMOUS.may(scope)
    assert THE_HOLDER.may(scope)


@pytest.mark.parametrize(
    ("models", "model", "allowed"),
    [
        (None, "anything", True),
        ((), "anything", False),
        (("qwen3:*",), "qwen3:8b", True),
        (("qwen3:*",), "qwen3", True),
        (("qwen3:*",), "QWEN3:8B", True),
        (("qwen3:*",), "registry.ollama.ai/library/qwen3:8b", True),
        (("qwen3:*",), "qwen3-coder:30b", False),
        (("qwen3:*",), "evil/qwen3:8b", False),
        (("llama3.2",), "llama3.2:latest", True),
        (("llama3.2",), "llama3.2", True),
        (("llama3.2",), "llama3.2:1b", False),
        (("llama3.2:latest",), "llama3.2", True),
        (("*",), "me/mine:q4", True),
        (("qwen*", "me/*"), "me/mine", True),
    ],
)
def test_models_are_allowed_by_pattern(
    models: tuple[str, ...] | None, model: str, allowed: bool
) -> None:
    caller = Caller("app", frozenset({"infer"}), models)
    assert caller.allows(model) is allowed
    if not allowed:
        with pytest.raises(PermissionDenied, match="may not use the model"):
            caller.check_model(model)


# --- making and keeping ---------------------------------------------------------------------------


def test_a_key_is_kept_hashed_and_comes_back(file: Path) -> None:
    token, key = make("app", scopes=("infer",), models=("qwen3:*",), requests_per_minute=5)
    assert token.startswith(PREFIX)
    assert len(token) >= len(PREFIX) + 43  # 256 bits
    save(file, [key])
    text = file.read_text()
    assert token not in text
    assert hashlib.sha256(token.encode()).hexdigest() in text
    assert load(file) == [key]
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["keys.json"]


def test_no_two_keys_are_the_same() -> None:
    assert len({make("app")[0] for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a b"},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "a" * 65},
        {"scopes": ("root",)},
        {"requests_per_minute": 0},
        {"tokens_per_minute": -1},
        {"concurrency": 0},
    ],
)
def test_a_key_is_checked_when_it_is_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="the key"):
        make(**{"name": "app", **wrong})


def test_names_are_given_once() -> None:
    _, first = make("app")
    _, again = make("app")
    with pytest.raises(InvalidArgument, match="there is a key app already"):
        added([first], again)
    for name in ("anonymous", "token"):
        with pytest.raises(InvalidArgument, match="no key can be named"):
            added([], make(name)[1])


def test_a_key_can_be_removed() -> None:
    keys = [make(name)[1] for name in ("a", "b")]
    assert [key.name for key in removed(keys, "a")] == ["b"]
    with pytest.raises(NotFound) as error:
        removed(keys, "c")
    assert "a, b" in error.value.hint


def test_a_link_to_the_file_stays_a_link(file: Path, tmp_path: Path) -> None:
    save(file, [make("a")[1]])
    link = tmp_path / "link.json"
    link.symlink_to(file)
    save(link, [make("b")[1]])
    assert link.is_symlink()
    assert [key.name for key in load(file)] == ["b"]


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(PermissionDenied, match="cannot be written"):
        save(tmp_path / "folder" / "keys.json", [])


# --- reading --------------------------------------------------------------------------------------

HASH = "0" * 64


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not valid JSON"),
        ("{}", "holds no keys"),
        ("3", "holds no keys"),
        ('{"keys": {}}', "holds no keys"),
        ("[3]", r"keys\[0\]"),
        ('[{"name": "a"}]', r"keys\[0\]: sha256 is required"),
        (f'[{{"name": "a", "sha256": "{"A" * 64}"}}]', "sha256"),
        (f'[{{"name": "a", "sha256": "{HASH}", "key": "secret"}}]', "key"),
        (f'[{{"name": "a", "sha256": "{HASH}"}}, {{"name": "a", "sha256": "{HASH}"}}]', "already"),
        (f'[{{"name": "token", "sha256": "{HASH}"}}]', "no key can be named"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_without_its_values(text: str, told: str) -> None:
    with pytest.raises(InvalidArgument, match=told) as error:
        parse(text, "keys.json")
    assert "secret" not in str(error.value)


def test_a_list_and_an_object_are_read() -> None:
    entry = {"name": "a", "sha256": HASH}
    assert parse(json.dumps([entry]), "x") == parse(json.dumps({"keys": [entry]}), "x")


@pytest.mark.parametrize("mode", [0o660, 0o606, 0o622])
def test_a_file_that_others_may_write_is_refused(file: Path, mode: int) -> None:
    save(file, [])
    file.chmod(mode)
    with pytest.raises(InvalidArgument, match="let themselves in") as error:
        load(file)
    assert "chmod 600" in error.value.hint
    file.chmod(0o644)  # as secrets are mounted; there are only hashes in it
    assert load(file) == []


# --- who has a token ------------------------------------------------------------------------------


def test_with_nothing_set_no_key_is_needed() -> None:
    keys = read_keys(Settings())
    assert not keys.required
    assert keys.find(b"whatever") is None


def test_the_one_token_is_everything() -> None:
    keys = read_keys(Settings(auth_token=TOKEN))
    assert keys.required
    assert keys.find(TOKEN.encode()) == THE_HOLDER
    for wrong in (b"", TOKEN[:-1].encode(), f"{TOKEN}x".encode(), b"\xff\xfe"):
        assert keys.find(wrong) is None
    assert TOKEN not in repr(vars(keys))


@pytest.mark.parametrize("which", ["first", "last", "none"])
def test_every_key_is_compared_whichever_it_is(which: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return real(one, other)

    real = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", compare)
    made = [make(f"app-{number}") for number in range(5)]
    keys = Keys([key for _, key in made])
    given = {"first": made[0][0], "last": made[-1][0], "none": "nobody's"}[which]
    assert (keys.find(given.encode()) is None) is (which == "none")
    assert len(compared) == 5
    assert len({len(one) for pair in compared for one in pair}) == 1, "digests, not what was given"


def test_keys_and_token_stand_side_by_side() -> None:
    token, key = make("app", scopes=("read",), tokens_per_minute=7, concurrency=2)
    save(keys_file(), [key])
    keys = read_keys(Settings(auth_token=TOKEN))
    assert keys.find(token.encode()) == Caller(
        "app", frozenset({"read"}), tokens_per_minute=7, concurrency=2
    )
    assert keys.find(TOKEN.encode()) == THE_HOLDER
    assert keys.find(key.sha256.encode()) is None  # the hash opens nothing


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    (ours, key), (theirs, other) = make("a"), make("b")
    save(keys_file(), [other])
    monkeypatch.setenv("OLLAMA_MCP_KEYS", json.dumps([key.model_dump(mode="json")]))
    keys = read_keys(Settings())
    assert keys.find(ours.encode())
    assert keys.find(theirs.encode()) is None


def test_an_empty_list_lets_nobody_in(file: Path) -> None:
    assert read_keys(Settings(keys="[]")).required
    save(file, [])
    assert read_keys(Settings(keys_file=file)).required


def test_a_file_that_was_named_must_be_there(file: Path) -> None:
    with pytest.raises(InvalidArgument, match="there is no file of keys") as error:
        read_keys(Settings(keys_file=file))
    assert "keys add" in error.value.hint


def test_a_broken_file_is_said_at_the_start(file: Path) -> None:
    file.parent.mkdir()
    file.write_text("{")
    with pytest.raises(InvalidArgument, match="not valid JSON"):
        read_keys(Settings(keys_file=file))


def test_keys_come_and_go_while_the_server_runs(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = Keys(None, file=file)
    assert not keys.required
    (first, one), (second, other) = make("a"), make("b")
    save(file, [one])
    assert keys.find(first.encode())
    assert keys.required
    save(file, [one, other])
    assert keys.find(second.encode())
    save(file, [other])
    assert keys.find(first.encode()) is None
    assert keys.find(second.encode())
    with caplog.at_level(logging.ERROR):
        file.write_text("{")
        assert keys.find(second.encode())  # a slip of the pen locks nobody out
        assert keys.find(second.encode())
    assert len(caplog.records) == 1
    file.unlink()
    assert keys.find(second.encode()) is None
    assert keys.required  # and the server does not fall open
