"""An entry comes into a file and goes out of it, and all else stays as it is."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.clients.catalogue import CLIENTS, Client
from ollama_mcp_server.clients.entries import added, entries, removed
from ollama_mcp_server.errors import InvalidArgument

JSON, TOML, YAML = (CLIENTS[name] for name in ("cursor", "codex", "goose"))
COMMAND, ENV = ["uvx", "ollama-mcp-server"], {"OLLAMA_HOST": "http://127.0.0.1:11434"}


def install(client: Client, text: str, *, env: bool = True) -> str:
    entry = client.entry("ollama", COMMAND, ENV if env else {})
    return added(text, client.format, client.container, "ollama", entry, "FILE")


def uninstall(client: Client, text: str) -> str:
    return removed(text, client.format, client.container, "ollama", "FILE")


def held(client: Client, text: str) -> dict[str, Any]:
    return entries(text, client.format, client.container, "FILE")


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
@pytest.mark.parametrize("text", ["", "\n", "\ufeff"])
def test_a_missing_or_empty_file_gets_the_entry(client: Client, text: str) -> None:
    after = install(client, text)
    assert held(client, after) == {"ollama": client.entry("ollama", COMMAND, ENV)}
    assert after.startswith("\ufeff") == text.startswith("\ufeff")
    assert after.endswith("\n")


def test_the_entry_is_written_as_people_write_it() -> None:
    assert install(JSON, "") == (
        "{\n"
        '  "mcpServers": {\n'
        '    "ollama": {\n'
        '      "command": "uvx",\n'
        '      "args": ["ollama-mcp-server"],\n'
        '      "env": {\n'
        '        "OLLAMA_HOST": "http://127.0.0.1:11434"\n'
        "      }\n"
        "    }\n"
        "  }\n"
        "}\n"
    )
    assert install(TOML, "") == (
        "[mcp_servers.ollama]\n"
        'command = "uvx"\n'
        'args = ["ollama-mcp-server"]\n'
        "\n"
        "[mcp_servers.ollama.env]\n"
        'OLLAMA_HOST = "http://127.0.0.1:11434"\n'
    )
    assert install(YAML, "") == (
        "extensions:\n"
        "  ollama:\n"
        "    enabled: true\n"
        "    type: stdio\n"
        "    name: ollama\n"
        "    timeout: 300\n"
        "    cmd: uvx\n"
        "    args: [ollama-mcp-server]\n"
        "    envs:\n"
        '      OLLAMA_HOST: "http://127.0.0.1:11434"\n'
    )


#: By client: a text, and what stands in it with an entry without variables.
KEPT = {
    "tabs, comments and trailing commas": (
        JSON,
        '{\n\t// all\n\t"mcpServers": {\n\t\t"fs": {"command": "x"}, // mine\n'
        "\t\t// end\n\t},\n}\n",
        '{\n\t// all\n\t"mcpServers": {\n\t\t"fs": {"command": "x"}, // mine\n'
        '\t\t"ollama": {\n\t\t\t"command": "uvx",\n\t\t\t"args": ["ollama-mcp-server"]\n\t\t},\n'
        "\t\t// end\n\t},\n}\n",
    ),
    "a comment behind the last member": (
        JSON,
        '{\n    "a": 1 /* one */ // of a\n    // end\n}',
        '{\n    "a": 1, /* one */ // of a\n    "mcpServers": {\n        "ollama": {\n'
        '            "command": "uvx",\n            "args": ["ollama-mcp-server"]\n        }\n'
        "    }\n    // end\n}",
    ),
    "one line": (
        JSON,
        '\ufeff{"mcpServers": {"fs": {}}}',
        '\ufeff{"mcpServers": {"fs": {}, "ollama": {"command": "uvx", '
        '"args": ["ollama-mcp-server"]}}}',
    ),
    "an object with a comment only": (
        JSON,
        '{\n  "mcpServers": {\n    // none yet\n  }\n}\n',
        '{\n  "mcpServers": {\n    // none yet\n    "ollama": {\n      "command": "uvx",\n'
        '      "args": ["ollama-mcp-server"]\n    }\n  }\n}\n',
    ),
    "line ends of Windows": (
        JSON,
        '{\r\n  "a": 1\r\n}\r\n',
        '{\r\n  "a": 1,\r\n  "mcpServers": {\r\n    "ollama": {\r\n      "command": "uvx",\r\n'
        '      "args": ["ollama-mcp-server"]\r\n    }\r\n  }\r\n}\r\n',
    ),
    "tables of TOML": (
        TOML,
        '# top\nmodel = "x" # m\n\n[mcp_servers.fs] # f\nargs = [\n  ["a"], # [a]\n]\n\n#\n[t]',
        '# top\nmodel = "x" # m\n\n[mcp_servers.fs] # f\nargs = [\n  ["a"], # [a]\n]\n\n#\n[t]'
        '\n\n[mcp_servers.ollama]\ncommand = "uvx"\nargs = ["ollama-mcp-server"]',
    ),
    "an inline table": (
        TOML,
        "mcp_servers = { fs = { command = 'x' } } # all\r\n",
        "mcp_servers = { fs = { command = 'x' }, ollama = { command = \"uvx\", "
        'args = ["ollama-mcp-server"] } } # all\r\n',
    ),
    "strings that look like tables": (
        TOML,
        "s = \"\"\"\n[mcp_servers.ollama]\n\"\"\"\nt = '''\n# [x]'''\n",
        "s = \"\"\"\n[mcp_servers.ollama]\n\"\"\"\nt = '''\n# [x]'''\n\n[mcp_servers.ollama]\n"
        'command = "uvx"\nargs = ["ollama-mcp-server"]\n',
    ),
    "blocks of YAML": (
        YAML,
        "a: 1 # a\nextensions:\n    fs: # f\n        args:\n        - x\n    # foot\n\n"
        "# b\nb: |\n  # c\n",
        "a: 1 # a\nextensions:\n    fs: # f\n        args:\n        - x\n    ollama:\n"
        "      enabled: true\n      type: stdio\n      name: ollama\n      timeout: 300\n"
        "      cmd: uvx\n      args: [ollama-mcp-server]\n    # foot\n\n# b\nb: |\n  # c\n",
    ),
    "YAML in braces, and an alias": (
        YAML,
        "a: &x {cmd: y}\nextensions: {fs: *x}\n",
        "a: &x {cmd: y}\nextensions: {fs: *x, ollama: {enabled: true, type: stdio, name: ollama, "
        "timeout: 300, cmd: uvx, args: [ollama-mcp-server]}}\n",
    ),
    "an alias at the end of a block": (
        YAML,
        "---\na: &x {cmd: y}\nextensions:\n  fs: *x # f",
        "---\na: &x {cmd: y}\nextensions:\n  fs: *x # f\n  ollama:\n    enabled: true\n"
        "    type: stdio\n    name: ollama\n    timeout: 300\n    cmd: uvx\n"
        "    args: [ollama-mcp-server]",
    ),
}


@pytest.mark.parametrize("case", KEPT)
def test_all_else_stays_and_the_way_back_leads_home(case: str) -> None:
    client, before, after = KEPT[case]
    assert install(client, before, env=False) == after
    assert uninstall(client, after) == before


#: By case: a client, an entry that is there already, and what becomes of it.
MENDED = {
    "other arguments": (
        JSON,
        '{"mcpServers": {"ollama": {"command": "uvx", /* mine */ "args": ["x"], "timeout": 9}}}',
        '{"mcpServers": {"ollama": {"command": "uvx", /* mine */ "args": ["ollama-mcp-server"], '
        '"timeout": 9}}}',
    ),
    "an address": (
        JSON,
        '{\n  "mcpServers": {\n    "ollama": {"url": "http://x", "type": "http"},\n    "b": {}\n'
        "  }\n}",
        '{\n  "mcpServers": {\n    "b": {},\n    "ollama": {\n      "command": "uvx",\n'
        '      "args": ["ollama-mcp-server"]\n    }\n  }\n}',
    ),
    "another command of TOML": (
        TOML,
        '[mcp_servers.ollama]\ncommand = "old" # why\nstartup_timeout_sec = 3\n\n# next\n[t]\n',
        '[mcp_servers.ollama]\ncommand = "uvx" # why\nstartup_timeout_sec = 3\n'
        'args = ["ollama-mcp-server"]\n\n# next\n[t]\n',
    ),
    "dotted names": (
        TOML,
        'mcp_servers.ollama.command = "old"\nmodel = "x"\n',
        'mcp_servers.ollama.command = "uvx"\nmcp_servers.ollama.args = ["ollama-mcp-server"]\n'
        'model = "x"\n',
    ),
    "an inline entry": (
        TOML,
        '[mcp_servers]\nollama = { command = "old", enabled = true } # o\n',
        '[mcp_servers]\nollama = { command = "uvx", enabled = true, '
        'args = ["ollama-mcp-server"] } # o\n',
    ),
    "an entry of YAML": (
        YAML,
        "extensions:\n  ollama:\n    cmd: old # why\n    args:\n    - a\n    - b\n    timeout: 5\n"
        "    enabled: false\n    type: stdio\n    name: ollama\n  z: {}\n",
        "extensions:\n  ollama:\n    cmd: uvx # why\n    args: [ollama-mcp-server]\n"
        "    timeout: 300\n    enabled: true\n    type: stdio\n    name: ollama\n  z: {}\n",
    ),
}


@pytest.mark.parametrize("case", MENDED)
def test_an_entry_of_that_name_is_mended(case: str) -> None:
    client, before, after = MENDED[case]
    assert install(client, before, env=False) == after


@pytest.mark.parametrize("client", [JSON, TOML, YAML], ids=["JSON", "TOML", "YAML"])
def test_variables_are_added_to_those_that_are_there(client: Client) -> None:
    before = install(client, install(client, ""), env=False)
    assert before == install(client, "")  # what is not named stays
    without = install(client, "", env=False)
    assert held(client, install(client, without)) == held(client, before)
    other = before.replace("OLLAMA_HOST", "OLLAMA_MCP_READ_ONLY")
    [entry] = held(client, install(client, other)).values()
    assert list(entry[client.variables]) == ["OLLAMA_MCP_READ_ONLY", "OLLAMA_HOST"]
    assert install(client, install(client, other)) == install(client, other)


@pytest.mark.parametrize(
    ("client", "text", "told"),
    [
        (JSON, '{\n  "a": }', r"FILE:2:8: not JSON: expecting value"),
        (JSON, '{\n  "a": 1,\n  "a": 2}', "FILE:3:3: 'a' stands here a second time"),
        (JSON, '{\n "mcpServers": null}', r"FILE:2:2: 'mcpServers' is something else"),
        (JSON, "[1]", r"FILE:1:1: this is something else"),
        (TOML, "a = 1\nb = \n", r"FILE:2:5: not TOML: invalid value"),
        (TOML, "mcp_servers = 1\n", r"FILE: 'mcp_servers' is something else"),
        (YAML, "a: 1\n\tb: 2\n", r"FILE:2:1: not YAML: "),
        (YAML, "extensions: [a]\n", r"FILE: 'extensions' is something else"),
        (YAML, "a: 1\n---\nb: 2\n", r"FILE:2:1: not YAML: "),
        (YAML, "- a\n", r"FILE: this is something else"),
    ],
)
def test_what_cannot_take_an_entry_is_refused_with_its_place(
    client: Client, text: str, told: str
) -> None:
    with pytest.raises(InvalidArgument, match=told):
        install(client, text)


def test_a_text_that_would_not_say_the_same_is_not_made() -> None:
    twice = "mcp_servers = { ollama.enabled = true }\n"
    with pytest.raises(InvalidArgument, match="cannot be changed safely"):
        install(TOML, twice)


@pytest.mark.parametrize("client", [JSON, TOML, YAML], ids=["JSON", "TOML", "YAML"])
def test_what_is_not_there_is_not_taken_out(client: Client) -> None:
    text = install(client, "").replace("ollama:", "other:").replace('ollama"', 'other"')
    text = text.replace("mcp_servers.ollama", "mcp_servers.other")
    assert uninstall(client, text) == text


def test_comments_about_neighbours_stay_when_an_entry_goes() -> None:
    text = (
        '{\n  "mcpServers": {\n    // about a\n    "a": {},\n    "ollama": {"command": "x"}, // o\n'
        '    // about b\n    "b": {}\n  }\n}\n'
    )
    after = uninstall(JSON, text)
    assert held(JSON, after) == {"a": {}, "b": {}}
    assert all(comment in after for comment in ("// about a", "// o", "// about b"))
    toml = '[mcp_servers.ollama]\ncommand = "x"\n# inside\nargs = []\n\n# about t\n[t]\n'
    assert uninstall(TOML, toml) == "\n# about t\n[t]\n"


def test_an_entry_can_stand_in_one_line_with_others() -> None:
    text = "mcp_servers = { ollama = { url = 'x' }, 'b c' = { args = [',', \"}\"] } }\n"
    after = install(TOML, text, env=False)
    assert after.startswith("mcp_servers = { 'b c' = { args = [',', \"}\"] }, ollama = { command")
    assert uninstall(TOML, after) == "mcp_servers = { 'b c' = { args = [',', \"}\"] } }\n"
    inner = 'mcp_servers = { ollama = { command = "x", env = { A = "1" } } }\n'
    assert install(TOML, inner) == (
        'mcp_servers = { ollama = { command = "uvx", env = { A = "1", '
        'OLLAMA_HOST = "http://127.0.0.1:11434" }, args = ["ollama-mcp-server"] } }\n'
    )
    assert held(TOML, uninstall(TOML, inner)) == {}
