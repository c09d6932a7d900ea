"""Which servers a task may use: by their rules, or by name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.agent.definitions.documents import Definition, parse_definitions
from ollama_mcp_server.agent.definitions.rules import (
    NONE_MATCHED,
    Verdict,
    command_line,
    judge,
    named,
    no_servers,
)
from ollama_mcp_server.errors import InvalidArgument, NotFound

from .test_documents import DOCUMENTED


def server(name: str = "s", **fields: Any) -> Definition:
    return Definition(name=name, command="python", **fields)


def verdict(
    path: Path | None = None, env: Mapping[str, str] | None = None, **fields: Any
) -> Verdict:
    return judge([server(**fields)], path, env or {})[0]


def test_never_is_for_those_who_name_it(tmp_path: Path) -> None:
    assert verdict(tmp_path) == Verdict(
        server(), False, "not enabled: auto_enable is never; name it in servers"
    )


def test_always_needs_nothing() -> None:
    assert verdict(auto_enable="always") == Verdict(
        server(auto_enable="always"), True, "enabled: auto_enable is always"
    )


def test_with_path_needs_a_path(tmp_path: Path) -> None:
    rule: dict[str, Any] = {"auto_enable": "with_path"}
    assert verdict(tmp_path, **rule).why == "enabled: there is a path"
    assert verdict(tmp_path, **rule).enabled
    assert verdict(None, **rule).why == "not enabled: it needs a path"
    assert not verdict(None, **rule).enabled


@pytest.mark.parametrize("kind", ["folder", "file", "deep", "link"])
def test_a_file_that_exists_is_a_match(kind: str, tmp_path: Path) -> None:
    name = "a/b" if kind == "deep" else ".git"
    (tmp_path / "a").mkdir()
    if kind == "folder":
        (tmp_path / name).mkdir()
    elif kind == "link":
        (tmp_path / name).symlink_to(tmp_path / "a")
    else:
        (tmp_path / name).touch()
    found = verdict(tmp_path, auto_enable="if_match", enable_if={"file_exists": name})
    assert found.enabled
    assert found.why == f"enabled: {name} exists in {tmp_path}"


def test_a_file_that_does_not_exist_is_none(tmp_path: Path) -> None:
    rule: dict[str, Any] = {"auto_enable": "if_match", "enable_if": {"file_exists": ".git"}}
    (tmp_path / "below" / ".git").mkdir(parents=True)
    assert not verdict(tmp_path, **rule).enabled
    assert verdict(tmp_path, **rule).why == f"not enabled: .git does not exist in {tmp_path}"
    assert not verdict(tmp_path / "none", **rule).enabled
    assert verdict(None, **rule).why == "not enabled: it needs a path, to look for .git there"


@pytest.mark.parametrize(
    ("env", "why"),
    [
        ({"POSTGRES_CONNECTION": "x"}, "enabled: POSTGRES_CONNECTION is set"),
        ({"POSTGRES_CONNECTION": ""}, "not enabled: POSTGRES_CONNECTION is not set"),
        ({}, "not enabled: POSTGRES_CONNECTION is not set"),
    ],
)
def test_a_variable_that_is_set_and_not_empty_is_a_match(env: dict[str, str], why: str) -> None:
    rule: dict[str, Any] = {"auto_enable": "if_match"}
    found = verdict(None, env, enable_if={"env_set": "POSTGRES_CONNECTION"}, **rule)
    assert (found.why, found.enabled) == (why, why.startswith("enabled"))


@pytest.mark.parametrize(
    ("exists", "is_set", "why"),
    [
        (True, True, "enabled: .git exists in {} and TOKEN is set"),
        (True, False, "not enabled: TOKEN is not set"),
        (False, True, "not enabled: .git does not exist in {}"),
        (False, False, "not enabled: .git does not exist in {}"),
    ],
)
def test_two_conditions_need_both(exists: bool, is_set: bool, why: str, tmp_path: Path) -> None:
    if exists:
        (tmp_path / ".git").mkdir()
    both = {"file_exists": ".git", "env_set": "TOKEN"}
    env = {"TOKEN": "x"} if is_set else {}
    found = verdict(tmp_path, env, auto_enable="if_match", enable_if=both)
    assert (found.why, found.enabled) == (why.format(tmp_path), exists and is_set)


@pytest.mark.parametrize(
    "rule",
    [
        {"auto_enable": "always"},
        {"auto_enable": "if_match", "enable_if": {"env_set": "TOKEN"}},
    ],
)
def test_a_server_that_requires_a_path_is_not_enabled_without(rule: dict[str, Any]) -> None:
    found = verdict(None, {"TOKEN": "x"}, requires_path=True, **rule)
    assert (found.why, found.enabled) == ("not enabled: it needs a path", False)


def test_no_reason_tells_the_value_of_a_variable() -> None:
    rule: dict[str, Any] = {"auto_enable": "if_match", "enable_if": {"env_set": "TOKEN"}}
    assert "s3cret" not in verdict(None, {"TOKEN": "s3cret"}, **rule).why


def test_the_documented_servers_are_judged_as_documented(tmp_path: Path) -> None:
    servers = parse_definitions(DOCUMENTED, "file")

    def enabled(path: Path | None, env: dict[str, str]) -> list[str]:
        return [found.definition.name for found in judge(servers, path, env) if found.enabled]

    assert enabled(tmp_path, {}) == ["filesystem"]
    (tmp_path / ".git").mkdir()
    assert enabled(tmp_path, {}) == ["filesystem", "git"]
    assert enabled(tmp_path, {"POSTGRES_CONNECTION": "x"}) == ["filesystem", "git", "postgres"]
    assert enabled(None, {"POSTGRES_CONNECTION": "x"}) == ["postgres"]
    assert enabled(None, {}) == []


def test_names_find_their_servers_in_the_order_of_the_names() -> None:
    servers = [server("a"), server("b"), server("c")]
    assert [found.name for found in named(["c", "a", "c"], servers)] == ["c", "a"]
    assert named([], servers) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("filesytem", "Did you mean filesystem?"),
        ("Git", "Did you mean git?"),
        ("zzz", "There are filesystem, git."),
    ],
)
def test_a_name_that_there_is_not_is_told_with_the_nearest(name: str, said: str) -> None:
    with pytest.raises(NotFound) as caught:
        named([name], [server("filesystem"), server("git")])
    assert str(caught.value) == f"Error: there is no MCP server {name}. {said}"


def test_where_none_is_configured_it_is_told_how() -> None:
    with pytest.raises(NotFound, match=r"Name some in ~/\.ollama/mcp-servers\.json"):
        named(["git"], [])


@pytest.mark.parametrize(
    ("index", "args"),
    [
        (-1, ["a", "b", "/srv/x y"]),
        (0, ["/srv/x y", "a", "b"]),
        (1, ["a", "/srv/x y", "b"]),
        (2, ["a", "b", "/srv/x y"]),
    ],
)
def test_the_path_stands_where_it_is_wanted(index: int, args: list[str]) -> None:
    definition = server(args=["a", "b"], requires_path=True, path_arg_index=index)
    assert command_line(definition, Path("/srv/x y")) == args
    assert definition.args == ["a", "b"]


def test_a_server_that_requires_no_path_is_given_none() -> None:
    assert command_line(server(args=["a"], path_arg_index=0), Path("/srv")) == ["a"]


def test_a_server_that_requires_a_path_is_not_started_without() -> None:
    with pytest.raises(InvalidArgument, match="the server fs needs a path"):
        command_line(server("fs", requires_path=True), None)


def test_the_error_of_a_task_without_servers_tells_each_reason() -> None:
    error = no_servers(judge([server("a"), server("b", auto_enable="with_path")], None, {}))
    assert error.message == NONE_MATCHED == "No MCP servers matched for --tools context"
    assert error.hint == (
        "Not enabled: a (auto_enable is never; name it in servers), b (it needs a path). "
        "Name servers in `servers`, or change their auto_enable"
    )
    assert error.details["servers"]["b"] == "not enabled: it needs a path"


def test_the_error_of_many_servers_stays_short() -> None:
    error = no_servers(judge([server(f"s{number}") for number in range(30)], None, {}))
    assert "s9 (" in error.hint
    assert "s10 (" not in error.hint
    assert "and 20 more. " in error.hint
    assert len(error.details["servers"]) == 30


def test_the_error_where_none_is_configured_tells_how() -> None:
    assert str(no_servers([])) == (
        "Error: No MCP servers matched for --tools context. None is configured. Name some in "
        "~/.ollama/mcp-servers.json, or in OLLAMA_MCP_SERVERS."
    )
