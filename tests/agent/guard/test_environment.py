"""What a server is told of our environment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ollama_mcp_server.agent.definitions.documents import Definition, inline
from ollama_mcp_server.agent.guard.bounds import environment_for, expanded
from ollama_mcp_server.errors import InvalidArgument, PermissionDenied

#: An environment such as people have, with what no server needs.
OURS = {
    "PATH": "/usr/bin",
    "HOME": "/home/me",
    "LANG": "C.UTF-8",
    "LC_TIME": "de_DE.UTF-8",
    "SSL_CERT_FILE": "/etc/ca.pem",
    "OLLAMA_API_KEY": "secret-1",
    "AWS_SECRET_ACCESS_KEY": "secret-2",
    "GITHUB_TOKEN": "secret-3",
    "SSH_AUTH_SOCK": "/run/secret-4",
    "OLLAMA_MCP_SERVERS": '{"secret-5": 1}',
    "LD_PRELOAD": "/tmp/secret-6.so",
    "LD_LIBRARY_PATH": "/tmp/secret-7",
    "DYLD_INSERT_LIBRARIES": "/tmp/secret-8",
    "PYTHONPATH": "/tmp/secret-9",
    "NODE_OPTIONS": "--require /tmp/secret-10.js",
    "BASH_ENV": "/tmp/secret-11",
}


def server(**fields: object) -> Definition:
    return Definition.model_validate({"name": "files", "command": "server", **fields})


def test_a_server_gets_the_base_list_and_nothing_else() -> None:
    assert environment_for(server(), OURS) == {
        "PATH": "/usr/bin",
        "HOME": "/home/me",
        "LANG": "C.UTF-8",
        "LC_TIME": "de_DE.UTF-8",
        "SSL_CERT_FILE": "/etc/ca.pem",
    }


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_what_has_no_name_on_the_list_is_not_passed_on(env: dict[str, str]) -> None:
    told = environment_for(server(), {f"X_{name}": value for name, value in env.items()})
    assert told == {}


def test_the_entrys_own_variables_are_added_and_win() -> None:
    told = environment_for(server(env={"TOKEN": "mine", "PATH": "/opt"}), OURS)
    assert told["TOKEN"] == "mine"
    assert told["PATH"] == "/opt"


def test_the_variable_that_enables_a_server_is_passed_on() -> None:
    definition = server(auto_enable="if_match", enable_if={"env_set": "GITHUB_TOKEN"})
    assert environment_for(definition, OURS)["GITHUB_TOKEN"] == "secret-3"
    assert "GITHUB_TOKEN" not in environment_for(definition, {"PATH": "/bin"})


def test_an_enabling_variable_loads_no_code() -> None:
    for name in ("LD_PRELOAD", "NODE_OPTIONS", "PYTHONPATH"):
        definition = server(auto_enable="if_match", enable_if={"env_set": name})
        assert name not in environment_for(definition, OURS)


@pytest.mark.parametrize(
    "name",
    [
        "LD_PRELOAD",
        "LD_AUDIT",
        "DYLD_LIBRARY_PATH",
        "PYTHONPATH",
        "PYTHONSTARTUP",
        "NODE_OPTIONS",
        "BASH_ENV",
        "ENV",
        "PERL5OPT",
        "RUBYOPT",
        "JAVA_TOOL_OPTIONS",
        "GIT_SSH_COMMAND",
        "npm_config_node_options",
        "npm_config_script_shell",
        "ld_preload",
    ],
)
def test_what_loads_code_is_only_taken_as_it_is_written(name: str) -> None:
    assert environment_for(server(env={name: "/opt/x.so"}), OURS)[name] == "/opt/x.so"
    for value in ("${LD_PRELOAD}", "/opt:${HOME}", "${NOT_SET:-/opt}", "${env:HOME}"):
        for act in (environment_for, expanded):
            with pytest.raises(PermissionDenied, match=rf"Access denied: .* {name}"):
                act(server(env={name: value}), OURS)


def test_a_function_of_the_shell_is_not_passed_on() -> None:
    assert environment_for(server(), {"LC_X": "() { :; }; id", "TERM": "() { x"}) == {}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("http://proxy:3128", "http://proxy:3128"),
        ("http://me:pass@proxy:3128", "http://proxy:3128"),
        ("http://me:p@ss@proxy:3128/", "http://proxy:3128/"),
        ("me:pass@proxy:3128", "proxy:3128"),
        ("proxy:3128", "proxy:3128"),
        ("localhost,.example.org,10.0.0.0/8", "localhost,.example.org,10.0.0.0/8"),
        ("socks5h://token@[::1]:1080", "socks5h://[::1]:1080"),
        ("http://a:pass@one:1, http://b:pass@two:2", None),
        ("http://me:pa/ss@proxy:3128", None),
        ("http://me:pa#ss@proxy:3128", None),
        ("https://host/simple?token=pass", None),
    ],
)
def test_addresses_are_passed_on_without_their_passwords(value: str, told: str | None) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "npm_config_registry", "UV_INDEX_URL"):
        assert environment_for(server(), {name: value}).get(name) == told


@given(st.text(), st.from_regex(r"[A-Za-z0-9.]+(:\d+)?", fullmatch=True))
def test_no_password_is_left_in_an_address(password: str, host: str) -> None:
    value = f"http://me:secret{password}@{host}"
    assert "secret" not in environment_for(server(), {"HTTP_PROXY": value}).get("HTTP_PROXY", "")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${HOME}/x", "/home/me/x"),
        ("${env:HOME}", "/home/me"),
        ("${HOME}${LANG}", "/home/meC.UTF-8"),
        ("${NOT_SET:-other}", "other"),
        ("${NOT_SET:-}", ""),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY}", ""),
        ("${env:NOT_SET:-a b}", "a b"),
        ("${LOOKS}", "${HOME}"),
        ("$HOME $$ {HOME} $", "$HOME $$ {HOME} $"),
    ],
)
def test_variables_are_put_in_everywhere(text: str, value: str) -> None:
    ours = OURS | {"EMPTY": "", "LOOKS": "${HOME}"}
    definition = server(args=["a", text], env={"X": text}, cwd=f"/{text}")
    made = expanded(definition, ours)
    assert made.args == ["a", value]
    assert made.env == {"X": value}
    assert made.cwd == f"/{value}"
    assert environment_for(definition, ours)["X"] == value


def test_variables_are_put_into_addresses_and_headers() -> None:
    definition = Definition.model_validate_json(
        '{"name": "far", "url": "${BASE:-http://127.0.0.1:1}/mcp",'
        ' "headers": {"Authorization": "Bearer ${GITHUB_TOKEN}"}}'
    )
    made = expanded(definition, OURS)
    assert made.url == "http://127.0.0.1:1/mcp"
    assert made.headers["Authorization"].get_secret_value() == "Bearer secret-3"
    assert "secret-3" not in repr(made)


@pytest.mark.parametrize("text", ["${NOT_SET}", "a${env:NOT_SET}b"])
def test_a_variable_that_is_not_set_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument, match="NOT_SET is not set, and args of the server files"):
        expanded(server(args=[text]), OURS)
    with pytest.raises(InvalidArgument, match=r"NOT_SET is not set, and env\.X"):
        environment_for(server(env={"X": text}), OURS)


@pytest.mark.parametrize("text", ["${}", "${input:key}", "${a b}", "${HOME", "${HOME:?x}", "${1}"])
def test_what_only_looks_like_a_variable_is_an_error(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is no variable"):
        expanded(server(args=[text]), OURS)


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("${X}", {}),
        ("http://host/${X}", {}),
        ("http://host", {"A": "${X}"}),
        ("http://host", {"A": "${Y}"}),
    ],
)
def test_what_a_variable_holds_must_fit(url: str, headers: dict[str, str]) -> None:
    definition = Definition.model_validate_json('{"name": "far", "url": "http://host"}')
    made = inline({"name": "far", "url": url, "headers": headers})
    made = definition.model_copy(update={"url": made.url, "headers": made.headers})
    with pytest.raises(InvalidArgument, match="once its variables are put in"):
        expanded(made, {"X": "file:///x y\r\nEvil: 1", "Y": "ü"})


def test_a_server_that_a_call_defines_gets_no_secret() -> None:
    for fields in ({"env": {"X": "${GITHUB_TOKEN}"}}, {"args": ["${GITHUB_TOKEN:-x}"]}):
        definition = inline({"name": "mine", "command": "server", **fields})
        if "args" in fields:
            assert expanded(definition, OURS).args == ["x"]
        else:
            with pytest.raises(PermissionDenied, match="not given GITHUB_TOKEN"):
                expanded(definition, OURS)
    far = inline({"name": "far", "url": "http://h", "headers": {"A": "${GITHUB_TOKEN}"}})
    with pytest.raises(PermissionDenied):
        expanded(far, OURS)
    rule = {"auto_enable": "if_match", "enable_if": {"env_set": "GITHUB_TOKEN"}}
    definition = inline({"name": "mine", "command": "server", "args": ["${HOME}"], **rule})
    assert "GITHUB_TOKEN" not in environment_for(definition, OURS)
    assert expanded(definition, OURS).args == ["/home/me"]


def test_errors_tell_no_value() -> None:
    for text in ("${GITHUB_TOKEN}${NOT_SET}", "${GITHUB_TOKEN}${}"):
        with pytest.raises(InvalidArgument) as refused:
            expanded(server(args=[text]), OURS)
        assert "secret" not in str(refused.value)


@given(st.text(), st.text())
def test_any_text_is_put_in_or_refused(text: str, value: str) -> None:
    try:
        made = expanded(server(args=[text.replace("\0", "")]), {"A": value})
    except (InvalidArgument, PermissionDenied):
        assert "${" in text
    else:
        assert "${" in text or made.args == [text.replace("\0", "")]
