"""Whatever a file looks like: other entries and comments stay, and the way back leads home."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ollama_mcp_server.clients.catalogue import CLIENTS, Client
from ollama_mcp_server.clients.entries import added, entries, removed

JSON, TOML, YAML = (CLIENTS[name] for name in ("cursor", "codex", "goose"))
ENTRY = {
    client.name: client.entry("ollama", ["uvx", "ollama-mcp-server"], {"OLLAMA_HOST": "h:1"})
    for client in (JSON, TOML, YAML)
}
NAMES = ("fs", "git hub", "a.b", "Ü", "x]", "#y", "//z", "{", "")
#: What a value can be; much of it looks like something else.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "//", "#", '"', "\\", "}\n,"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=2)
    ),
    max_leaves=6,
)
BLANKS = st.sampled_from(["", "", " ", "\n", "\n  ", "\n\t", "\t"])


@st.composite
def remarks(draw: st.DrawFn) -> str:
    """Return blanks, and often a comment with a word that no other has."""
    word = f"c{draw(st.integers(0, 10**9))}c"
    comments = [f"// {word}\n", f"/* {word} */", f"/*\n{word}*/"]
    return draw(BLANKS) + draw(st.sampled_from(["", "", *comments])) + draw(BLANKS)


@st.composite
def json_texts(draw: st.DrawFn) -> str:
    """Return an object of JSON as nobody would format it, with servers in most."""
    data = draw(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=3))
    servers = draw(st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=3))
    if draw(st.booleans()):
        data = {**data, "mcpServers": servers} if draw(st.booleans()) else {
            "mcpServers": servers, **data
        }  # fmt: skip
    data = data or {"a": 1}

    def written(value: Any) -> str:
        if not isinstance(value, dict | list) or not value:
            return json.dumps(value, ensure_ascii=draw(st.booleans()))
        left, right = "{}" if isinstance(value, dict) else "[]"
        parts = []
        for part in value:
            name = f"{json.dumps(part)}{draw(BLANKS)}:{draw(remarks())}" if left == "{" else ""
            inner = written(value[part] if left == "{" else part)
            parts.append(f"{draw(remarks())}{name}{inner}{draw(remarks())}")
        comma = draw(st.sampled_from(["", ","]))
        return f"{left}{','.join(parts)}{comma}{draw(remarks()) if comma else ''}{right}"

    text = draw(remarks()) + written(data) + draw(remarks())
    return draw(st.sampled_from([text, text, text.replace("\n", "\r\n"), f"\ufeff{text}"]))


TOML_TOP = (
    'model = "x"', "a.b = 1 # m", "s = '''\n[mcp_servers.ollama]\n# no'''",
    'l = [ # l\n  [1], # [x]\n  "]",\n]',
)  # fmt: skip
TOML_SERVERS = (
    "[mcp_servers]", "[mcp_servers.fs] # f\ncommand = 'x'", '[ mcp_servers . "g h" ]\nargs = []\n',
    '[mcp_servers.fs.env]\nA = "#"\n# after',
)  # fmt: skip
TOML_TABLES = ("[t]\nx = {y = {z = 1}}", "[[p]]\nq = 1\n[[p]]\n", '["u]"]', "# end")


@st.composite
def toml_texts(draw: st.DrawFn) -> str:
    """Return a text of TOML: values, then tables, with comments and empty lines between them."""

    def some(parts: tuple[str, ...]) -> list[str]:
        return draw(st.lists(st.sampled_from(parts), unique=True, max_size=len(parts)))

    lines = [*some(TOML_TOP), *some(TOML_SERVERS + TOML_TABLES)]
    text = "".join(draw(st.sampled_from(["", "\n", "# c\n", "\n\n"])) + f"{one}\n" for one in lines)
    text = draw(st.sampled_from([text, text.rstrip("\n"), f"{text}\n"]))
    return draw(st.sampled_from([text, text.replace("\n", "\r\n"), f"\ufeff{text}"]))


YAML_TOP = (
    "model: x # m", "t: |\n  # no\n\n  extensions:\n", "l: # l\n- a\n- {b: c}", 'q: "a\n  b" # q',
    "k: >-\n    x", "anchor: &a {cmd: x}", "# between", "n:", "w:\n    deep: # d\n        er: 1",
)  # fmt: skip
YAML_SERVERS = (
    "fs: # f\n  cmd: x\n  # inside", '"g h": {args: []}', "z: [a, # a\n  b]", "u:\n- 1\n- 2",
    "v: |\n  text\n  # no", "# foot",
)  # fmt: skip


@st.composite
def yaml_texts(draw: st.DrawFn) -> str:
    """Return a text of YAML: values of many kinds, with servers among them in most."""
    parts = draw(st.lists(st.sampled_from(YAML_TOP), unique=True))
    servers = draw(st.lists(st.sampled_from(YAML_SERVERS), unique=True))
    if any(not one.startswith("#") for one in servers):
        indent = " " * draw(st.integers(1, 4))
        held = "\n".join(servers)
        block = "extensions: # e\n" + re.sub("^(?=.)", indent, held, flags=re.MULTILINE)
        parts.insert(draw(st.integers(0, len(parts))), block)
    gaps = st.sampled_from(["\n", "\n", "\n\n", "\n# c\n"])
    text = "".join(part + draw(gaps) for part in parts)
    if "|" not in text:  # a text of several lines would lose its last line's end
        text = draw(st.sampled_from([text, text.rstrip("\n")]))
    text = draw(st.sampled_from([text, f"---\n{text}"]))
    return draw(st.sampled_from([text, text.replace("\n", "\r\n")]))


def check(client: Client, text: str) -> None:
    """Put the entry in and take it out."""
    what = client.format, client.container
    before = entries(text, *what, "FILE")
    after = added(text, *what, "ollama", ENTRY[client.name], "FILE")
    assert entries(after, *what, "FILE") == {**before, "ollama": ENTRY[client.name]}
    assert added(after, *what, "ollama", ENTRY[client.name], "FILE") == after
    assert set(re.findall("c[0-9]+c", text)) <= set(re.findall("c[0-9]+c", after))
    assert removed(after, *what, "ollama", "FILE") == text


@settings(deadline=None, database=None)
@given(json_texts())
def test_any_json(text: str) -> None:
    check(JSON, text)


@settings(deadline=None, database=None)
@given(toml_texts())
def test_any_toml(text: str) -> None:
    check(TOML, text)


@settings(deadline=None, database=None, max_examples=50)  # its parser takes its time
@given(yaml_texts())
@example("# between")
def test_any_yaml(text: str) -> None:
    check(YAML, text)
