"""Servers as they are configured: two forms, where they stand, and what is wrong with them."""

import json
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.agent.definitions.documents import (
    Definition,
    inline,
    parse_definitions,
    read_definitions,
)
from ollama_mcp_server.errors import InvalidArgument

DOCUMENTED = """
{
  "servers": [
    {
      "name": "filesystem",
      "description": "File system operations",
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-filesystem"],
      "requires_path": true,
      "auto_enable": "with_path"
    },
    {
      "name": "git",
      "description": "Git repository operations",
      "command": "npx",
      "args": ["-y", "@cyanheads/git-mcp-server"],
      "requires_path": true,
      "auto_enable": "if_match",
      "enable_if": {
        "file_exists": ".git"
      }
    },
    {
      "name": "postgres",
      "description": "PostgreSQL database operations",
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-postgres"],
      "auto_enable": "if_match",
      "enable_if": {
        "env_set": "POSTGRES_CONNECTION"
      }
    },
    {
      "name": "python",
      "description": "Python code execution",
      "command": "python",
      "args": ["-m", "mcp_server_python"],
      "auto_enable": "never"
    }
  ]
}
"""

SECRET = "sk-0123456789"


def parse(value: Any, source: str = "file") -> list[Definition]:
    return parse_definitions(json.dumps(value), source)


def one(**fields: Any) -> Definition:
    """A server in our form; a command unless `fields` has an address."""
    given = {"name": "s", **({} if "url" in fields else {"command": "python"}), **fields}
    return parse([given])[0]


def by_host(entry: Any, key: str = "mcpServers", name: str = "s") -> list[Definition]:
    return parse({key: {name: entry}})


def refusal(text: str) -> str:
    with pytest.raises(InvalidArgument) as caught:
        parse_definitions(text, "file")
    return str(caught.value).removeprefix("Error: ")


def refused(entry: Any) -> str:
    """What is said of one server in our form."""
    return refusal(json.dumps([entry]))


# our form


def test_every_field_is_read() -> None:
    [server] = parse(
        {
            "servers": [
                {
                    "name": "git",
                    "description": "Git",
                    "command": "uvx",
                    "args": ["mcp-server-git", "--repository"],
                    "env": {"TOKEN": "${GIT_TOKEN}"},
                    "cwd": "/srv",
                    "requires_path": True,
                    "path_arg_index": 2,
                    "capabilities": ["git"],
                    "auto_enable": "if_match",
                    "enable_if": {"file_exists": ".git", "env_set": "HOME"},
                    "allow": ["git_*"],
                    "deny": ["git_push"],
                    "trusted": True,
                    "timeout": 500,
                }
            ]
        },
        "file",
    )
    assert server.model_dump() == {
        "name": "git",
        "description": "Git",
        "command": "uvx",
        "args": ["mcp-server-git", "--repository"],
        "env": {"TOKEN": "${GIT_TOKEN}"},
        "cwd": "/srv",
        "url": None,
        "headers": {},
        "requires_path": True,
        "path_arg_index": 2,
        "capabilities": ["git"],
        "auto_enable": "if_match",
        "enable_if": {"file_exists": ".git", "env_set": "HOME"},
        "allow": ["git_*"],
        "deny": ["git_push"],
        "trusted": True,
        "timeout": 500,
        "source": "file",
    }


def test_what_is_left_out_has_the_documented_defaults() -> None:
    server = one()
    assert (server.args, server.env, server.capabilities, server.deny) == ([], {}, [], [])
    assert (server.auto_enable, server.path_arg_index, server.requires_path) == ("never", -1, False)
    assert (server.allow, server.timeout, server.trusted) == (None, None, False)


def test_the_documented_file_is_read() -> None:
    servers = parse_definitions(DOCUMENTED, "file")
    assert [server.name for server in servers] == ["filesystem", "git", "postgres", "python"]
    assert [server.auto_enable for server in servers] == [
        "with_path", "if_match", "if_match", "never",
    ]  # fmt: skip
    assert servers[0].args == ["-y", "@modelcontextprotocol/server-filesystem"]
    assert servers[1].enable_if is not None
    assert servers[1].enable_if.file_exists == ".git"
    assert servers[2].enable_if is not None
    assert servers[2].enable_if.env_set == "POSTGRES_CONNECTION"


def test_a_bare_list_is_enough() -> None:
    assert [server.name for server in parse([{"name": "a", "command": "x"}])] == ["a"]


@pytest.mark.parametrize("text", ["", " \n", "\ufeff", "{}", "[]", '{"servers": null}'])
def test_nothing_defines_nothing(text: str) -> None:
    assert parse_definitions(text, "file") == []


def test_null_is_as_good_as_left_out() -> None:
    assert one(args=None, env=None, enable_if=None, timeout=None) == one()


@pytest.mark.parametrize(
    ("field", "said"),
    [
        ("auto_enabel", "Did you mean auto_enable?"),
        ("autoEnable", "Did you mean auto_enable?"),
        ("arguments", "Did you mean args?"),
        ("requirespath", "Did you mean requires_path?"),
        ("alwaysAllow", "Did you mean allow?"),
        ("zzz", "There are name, description, command"),
        ("source", "is no field"),
    ],
)
def test_a_field_that_there_is_not_is_told_with_the_nearest(field: str, said: str) -> None:
    told = refused({"name": "git", "command": "x", field: "always"})
    assert f"server git: {field} is no field. " in told
    assert said in told


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("command", ["npx"], "command must be text, in quotes"),
        ("command", " ", "command must not be empty"),
        ("command", "a\0b", "command holds a character that no program can be given"),
        ("args", "-y", "args must be a list"),
        ("args", ["-y", 5], "args.1 must be text, in quotes"),
        ("args", ["\ud800"], "args.0 holds a character"),
        ("env", ["A=b"], "env must be an object"),
        ("env", {"A": True}, "env.A must be text, in quotes"),
        ("env", {"A=B": "x"}, "env has a name that no variable can have"),
        ("requires_path", "yes", "requires_path must be true or false"),
        ("path_arg_index", "0", "path_arg_index must be a whole number"),
        ("path_arg_index", 1.0, "path_arg_index must be a whole number"),
        ("path_arg_index", 1, "path_arg_index must be -1, to append, or 0 to 0"),
        ("path_arg_index", -2, "path_arg_index must be -1, to append, or 0 to 0"),
        ("auto_enable", "sometimes", "auto_enable must be never, always, with_path or if_match"),
        ("auto_enable", "if_match", "enable_if must name file_exists or env_set for if_match"),
        ("enable_if", {"file_exist": ".git"}, "enable_if.file_exist is no field. Did you mean "
         "file_exists?"),
        ("enable_if", {"file_exists": ""}, "enable_if.file_exists must not be empty"),
        ("enable_if", ".git", "enable_if must be an object"),
        ("deny", ["*", ""], "deny.1 must not be empty"),
        ("timeout", 0, "timeout must be 1 to 3,600,000 milliseconds"),
        ("timeout", "30s", "timeout must be a whole number"),
        ("disabled", "yes", "disabled must be true or false"),
        ("type", "sse", "type sse is not served any more. Give the server's Streamable HTTP"),
        ("type", "websocket", "type must be stdio or http"),
        ("type", 1, "type must be stdio or http"),
        ("type", "http", "type http needs url"),
        ("url", "http://a", "server s: has both command and url"),
        ("url", "ftp://a", "url must be an address that begins with http:// or https://"),
        ("url", "http:// a", "url must be an address"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_told_with_what_is_right(field: str, value: Any, said: str) -> None:
    told = refused({"name": "s", "command": "python", field: value})
    assert said in told
    assert told.startswith("file:1:")


@pytest.mark.parametrize("path", ["../x", "a/../../b", "/etc", "..", "C:\\x", "..\\x", "\\x"])
def test_a_condition_stays_inside_of_the_path(path: str) -> None:
    told = refused({"name": "s", "command": "x", "enable_if": {"file_exists": path}})
    assert "enable_if.file_exists must be relative to the path, and not lead out of it" in told


@pytest.mark.parametrize("index", [-1, 0, 1, 2])
def test_the_path_may_stand_anywhere_among_the_arguments(index: int) -> None:
    assert one(args=["a", "b"], path_arg_index=index).path_arg_index == index


@pytest.mark.parametrize("name", ["a", "My Server-2.0_x", "x" * 64, "9"])
def test_names_that_are_names(name: str) -> None:
    assert one(name=name).name == name


@pytest.mark.parametrize("name", ["", " a", "a ", "x" * 65, "a/b", "a:b", "größe", "a\n", "@a"])
def test_names_that_are_none(name: str) -> None:
    told = refused({"name": name, "command": "x"})
    assert "a server: name must be 1 to 64 letters, digits, spaces and . _ -" in told


def test_a_server_needs_a_name_and_something_to_reach_it_by() -> None:
    assert "a server: name is missing" in refused({"command": "x"})
    assert "server s: has neither command nor url" in refused({"name": "s"})
    assert "a server: must be an object" in refused("npx")


def test_a_name_stands_once() -> None:
    a = {"name": "a", "command": "x"}
    assert "server a: name stands twice" in refusal(json.dumps([a, a]))
    both = {"servers": [a], "mcpServers": {"a": {"command": "x"}}}
    assert "server a: name stands twice" in refusal(json.dumps(both))


# where it is wrong


def test_an_error_of_a_field_tells_its_line_and_column() -> None:
    text = DOCUMENTED.replace('"auto_enable": "never"', '"auto_enabel": "never"')
    assert refusal(text).startswith("file:38:7: server python: auto_enabel is no field.")
    text = DOCUMENTED.replace('"mcp_server_python"', "5")
    assert refusal(text).startswith("file:37:22: server python: args.1 must be text")
    text = DOCUMENTED.replace('"command": "python",', "")
    assert refusal(text).startswith("file:33:5: server python: has neither command nor url")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"servers": [\n  {"name" "a"}]}', "file:2:11: not JSON: expecting ':' delimiter."),
        ('[\n{"name": "a"}\n{"name": "b"}]', "file:3:1: not JSON: expecting ',' delimiter."),
        ("{'servers': []}", "file:1:2: not JSON: expecting property name enclosed in double"),
        ('[{"name": "a]', "file:1:11: not JSON: unterminated string."),
        ("[]\n]", "file:2:1: not JSON: extra data."),
        ("[1,,2]", "file:1:4: not JSON: expecting value."),
        ("\ufeff[}", "file:1:2: not JSON: expecting value."),
        ("[ /* open", "file:1:10: not JSON: expecting value."),
        ("hello", "file:1:1: not JSON: expecting value."),
        ("[" * 200_000, "file: a number in it is too long, or it is nested too deeply."),
        ("[" + "9" * 5000 + "]", "file:"),
    ],
)
def test_broken_json_tells_its_line_and_column(text: str, said: str) -> None:
    assert refusal(text).startswith(said)


def test_a_name_given_twice_in_one_object_loses_no_server() -> None:
    text = '{"mcpServers": {\n "a": {"command": "x"},\n "a": {"command": "y"}}}'
    assert refusal(text).startswith("file:3:2: 'a' stands here a second time")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"server": []}', "file:1:1: there are no servers in it. Write"),
        ('{"name": "a", "command": "x"}', "file:1:1: there are no servers in it"),
        ("5", "file:1:1: there are no servers in it"),
        ('{"servers": "npx"}', "file:1:2: servers must be a list, or an object by name"),
    ],
)
def test_another_form_is_told(text: str, said: str) -> None:
    assert refusal(text).startswith(said)


def test_comments_and_commas_too_many_are_passed_over() -> None:
    text = """\ufeff// Servers
    {
      "servers": [
        /* none of "these", } or ]
           count */
        {"name": "a", "command": "x", "args": ["http://h/*/,]", "\\"// no",],}, // end
      ],
    }
    """
    [server] = parse_definitions(text, "file")
    assert server.args == ["http://h/*/,]", '"// no']


def test_places_are_right_after_comments() -> None:
    text = '[ // one\n  /* two\n */ {"name": "a", "command": "x", "auto": 1,},\n]'
    assert refusal(text).startswith("file:3:35: server a: auto is no field")


@pytest.mark.parametrize(
    "text",
    ["/*" * 500_000, '"' * 1_000_000, "," * 1_000_000, '"\\' * 500_000, ", " * 500_000],
    ids=["comments", "quotes", "commas", "escapes", "spaces"],
)
def test_no_text_takes_long_to_refuse(text: str) -> None:
    assert "not JSON" in refusal(text)


@pytest.mark.parametrize(
    "wrong",
    [
        {"env": {"KEY": SECRET}, "comand": 1},
        {"env": {"KEY": [SECRET]}},
        {"env": {"KEY": SECRET + "\0"}},
        {"env": SECRET},
        {"headers": {"Authorization": [SECRET]}},
        {"headers": {"Authorization": SECRET + "\r\nX: y"}},
        {"headers": SECRET},
        {"args": SECRET},
        {"url": f"ftp://user:{SECRET}@host"},
        {"command": {"x": SECRET}},
        {"auto_enable": SECRET},
        {"enable_if": {"env_set": [SECRET]}},
    ],
)
def test_no_error_tells_a_secret(wrong: dict[str, Any]) -> None:
    entry = {"name": "s", "command": "python", **wrong}
    with pytest.raises(InvalidArgument) as caught:
        parse([entry])
    error = caught.value
    assert SECRET not in str(error) + repr(error.as_dict())
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert SECRET not in refusal(json.dumps([entry]) + "x")


def test_a_definition_shows_no_secret() -> None:
    server = one(url=f"http://h/?key={SECRET}", headers={"A": SECRET}, env={"A": SECRET})
    assert SECRET not in repr(server) + repr(one(args=[SECRET]))
    assert server.headers["A"].get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"A b": "x"}, "headers has a name that no header can have"),
        ({"A": "x\ny"}, "headers.A must be plain ASCII on one line"),
        ({"A": "é"}, "headers.A must be plain ASCII on one line"),
        ({"A": 1}, "headers.A must be text, in quotes"),
    ],
)
def test_headers_are_such_as_can_be_sent(headers: Any, said: str) -> None:
    assert said in refused({"name": "s", "url": "http://h", "headers": headers})


# the form of other hosts


def test_a_desktop_host_s_file_is_read() -> None:
    servers = parse(
        {
            "globalShortcut": "",
            "mcpServers": {
                "filesystem": {
                    "command": "npx",
                    "args": ["-y", "@modelcontextprotocol/server-filesystem", "/srv"],
                    "env": {"LEVEL": "1"},
                    "autoApprove": ["read_file"],
                    "alwaysAllow": [],
                },
                "off": {"command": 5, "disabled": True},
                "on": {"command": "x", "disabled": False},
            },
        }
    )
    assert [server.name for server in servers] == ["filesystem", "on"]
    assert servers[0].auto_enable == "always"
    assert servers[0].env == {"LEVEL": "1"}
    assert servers[0].allow is None


def test_an_editor_s_file_is_read() -> None:
    text = """{
      // asked of people when a server starts
      "inputs": [{"id": "token", "type": "promptString", "password": true}],
      "servers": {
        "time": {"type": "stdio", "command": "uvx", "args": ["mcp-server-time"], "envFile": ".e"},
        "hub": {"type": "http", "url": "https://h.example/mcp", "headers": {"A": "${HUB}"}},
      },
    }"""
    time, hub = parse_definitions(text, "mcp.json")
    assert (time.command, time.url, time.auto_enable) == ("uvx", None, "always")
    assert (hub.command, hub.url, hub.source) == (None, "https://h.example/mcp", "mcp.json")
    assert hub.headers["A"].get_secret_value() == "${HUB}"


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "http", "url": "http://h/mcp"},
        {"type": "streamable-http", "url": "http://h/mcp"},
        {"type": "streamableHttp", "url": "http://h/mcp"},
        {"transport": "streamable_http", "url": "http://h/mcp"},
        {"url": "http://h/mcp"},
        {"httpUrl": "http://h/mcp"},
        {"serverUrl": "http://h/mcp"},
    ],
)
def test_an_address_in_any_host_s_words(entry: dict[str, str]) -> None:
    assert [server.url for server in by_host(entry)] == ["http://h/mcp"]


def test_an_address_may_be_a_variable() -> None:
    assert by_host({"url": "${HUB_URL}"})[0].url == "${HUB_URL}"
    assert by_host({"url": "https://${HOST}/mcp"})[0].url == "https://${HOST}/mcp"


def test_our_fields_may_stand_in_it() -> None:
    [server] = by_host(
        {
            "command": "x",
            "requires_path": True,
            "auto_enable": "if_match",
            "enable_if": {"file_exists": ".git"},
            "trusted": True,
            "deny": ["rm_*"],
        }
    )
    assert (server.auto_enable, server.trusted, server.deny) == ("if_match", True, ["rm_*"])


def test_lists_of_tools_in_other_words_count() -> None:
    [server] = by_host({"command": "x", "includeTools": ["a", "b"], "excludeTools": ["b"]})
    assert (server.allow, server.deny) == (["a", "b"], ["b"])
    assert by_host({"command": "x", "disabledTools": ["c"]})[0].deny == ["c"]


def test_another_host_s_trust_is_not_ours() -> None:
    assert not by_host({"command": "x", "trust": True})[0].trusted


def test_its_own_name_is_for_show() -> None:
    assert by_host({"command": "x", "name": "Shown: to people"})[0].name == "s"


@pytest.mark.parametrize(("given", "ms"), [(60, 60_000), (999, 999_000), (1000, 1000)])
def test_a_time_below_1000_is_seconds(given: int, ms: int) -> None:
    assert by_host({"command": "x", "timeout": given})[0].timeout == ms


def test_a_server_that_is_not_enabled_is_left_out() -> None:
    assert by_host({"command": "x", "enabled": False}) == []
    assert len(by_host({"command": "x", "enabled": True})) == 1


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"type": "sse", "url": "http://h"}, "server s: type sse is not served any more"),
        ({"type": "stdio", "url": "http://h"}, "server s: type stdio needs command"),
        ({"command": "x", "autoEnable": "never"}, "autoEnable is no field. Did you mean auto_e"),
        ({"command": "x", "requires-path": True}, "requires-path is no field. Did you mean req"),
        ({"url": "http://h", "header": {}}, "header is no field. Did you mean headers?"),
        ({"command": "x", "env": {"PORT": 80}}, "server s: env.PORT must be text, in quotes"),
        ({}, "server s: has neither command nor url"),
        ([], "server s: must be an object"),
    ],
)
def test_what_is_wrong_with_it_is_told(entry: Any, said: str) -> None:
    told = refusal(json.dumps({"mcpServers": {"s": entry}}))
    assert said in told
    assert told.startswith("file:1:")


def test_both_forms_may_stand_in_one_file() -> None:
    servers = parse(
        {"servers": [{"name": "a", "command": "x"}], "mcpServers": {"b": {"command": "y"}}}
    )
    assert [(server.name, server.auto_enable) for server in servers] == [
        ("a", "never"), ("b", "always"),
    ]  # fmt: skip


# where they are configured


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mcp-servers.json"
    path.write_text('[{"name": "of-file", "command": "x"}]')
    return path


GIVEN = '[{"name": "given", "command": "x"}]'


def test_what_is_given_takes_the_place_of_the_file(file: Path) -> None:
    [server] = read_definitions(GIVEN, file)
    assert (server.name, server.source) == ("given", "OLLAMA_MCP_SERVERS")
    assert read_definitions("[]", file) == []


@pytest.mark.parametrize("given", [None, "", " \n"])
def test_the_file_counts_where_nothing_is_given(given: str | None, file: Path) -> None:
    [server] = read_definitions(given, file)
    assert (server.name, server.source) == ("of-file", str(file))


def test_a_broken_file_is_not_looked_at_where_something_is_given(file: Path) -> None:
    file.write_text("{")
    assert len(read_definitions(GIVEN, file)) == 1


def test_no_file_is_no_servers(tmp_path: Path, file: Path) -> None:
    assert read_definitions(None, None) == []
    assert read_definitions(None, tmp_path / "none.json") == []
    assert read_definitions(None, file / "below") == []


def test_a_file_may_begin_with_a_byte_order_mark(file: Path) -> None:
    file.write_text(GIVEN, encoding="utf-8-sig")
    assert [server.name for server in read_definitions(None, file)] == ["given"]


def test_a_file_that_cannot_be_read_is_an_error_that_names_it(tmp_path: Path, file: Path) -> None:
    with pytest.raises(InvalidArgument, match="cannot be read") as caught:
        read_definitions(None, tmp_path)
    assert str(tmp_path) in caught.value.message
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(InvalidArgument, match="loop cannot be read: Too many levels"):
        read_definitions(None, loop)
    file.write_bytes(b'[{"name": "\xff"}]')
    with pytest.raises(InvalidArgument, match="is not UTF-8 text") as caught:
        read_definitions(None, file)
    assert str(file) in caught.value.message


def test_a_file_is_of_1_mib_at_most(file: Path) -> None:
    file.write_text(GIVEN + " " * (2**20 - len(GIVEN)))
    assert len(read_definitions(None, file)) == 1
    file.write_text(GIVEN + " " * (2**20 - len(GIVEN) + 1))
    with pytest.raises(InvalidArgument, match="is larger than 1 MiB"):
        read_definitions(None, file)


def test_a_broken_file_tells_its_name_line_and_column(file: Path) -> None:
    file.write_text('[\n  {"name": }\n]')
    with pytest.raises(InvalidArgument) as caught:
        read_definitions(None, file)
    assert caught.value.message == f"{file}:2:12: not JSON: expecting value"


def test_a_path_is_not_what_the_variable_takes() -> None:
    with pytest.raises(InvalidArgument, match="OLLAMA_MCP_SERVERS_FILE takes the path of a file"):
        read_definitions("~/.ollama/mcp-servers.json", None)


# what a call defines


def test_a_call_defines_a_server() -> None:
    server = inline({"name": "fs", "command": "npx", "args": ["-y"], "env": {"KEY": "value"}})
    assert (server.name, server.command, server.args) == ("fs", "npx", ["-y"])
    assert (server.env, server.source) == ({"KEY": "value"}, "the call")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"command": "x"}, "Error: a server: name is missing."),
        ({"name": "a", "comand": "x"}, "Error: server a: comand is no field. Did you mean comm"),
        ({"name": "a", "command": "x", "trusted": True}, "trusted is for the operator to set"),
        ({"name": "a", "command": "x", "disabled": True}, "Error: server a: is disabled"),
        ({}, "name is missing"),
    ],
)
def test_what_is_wrong_with_it_is_told_to_the_caller(value: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        inline(value)
    assert said in str(caught.value)
