"""Where each client keeps its file, on each system, and what an entry looks like there."""

from __future__ import annotations

import pytest

from ollama_mcp_server.clients.catalogue import CLIENTS, Client, Computer

HOMES = {"linux": "/home/me", "darwin": "/Users/me", "win32": r"C:\Users\me"}
MAC = "/Users/me/Library/Application Support"
ROAMING = r"C:\Users\me\AppData\Roaming"
PACKAGE = r"C:\Users\me\AppData\Local\Packages\Claude_pzs8sxrjxfjjc\LocalCache\Roaming\Claude"
#: By client: the first place on Linux, macOS and Windows.
PLACES = {
    "claude-desktop": (
        "/home/me/.config/Claude/claude_desktop_config.json",
        f"{MAC}/Claude/claude_desktop_config.json",
        rf"{PACKAGE}\claude_desktop_config.json",
    ),
    "claude-code": (
        "/home/me/.claude.json",
        "/Users/me/.claude.json",
        r"C:\Users\me\.claude.json",
    ),
    "vscode": (
        "/home/me/.config/Code/User/mcp.json",
        f"{MAC}/Code/User/mcp.json",
        rf"{ROAMING}\Code\User\mcp.json",
    ),
    "cursor": (
        "/home/me/.cursor/mcp.json",
        "/Users/me/.cursor/mcp.json",
        r"C:\Users\me\.cursor\mcp.json",
    ),
    "windsurf": (
        "/home/me/.codeium/windsurf/mcp_config.json",
        "/Users/me/.codeium/windsurf/mcp_config.json",
        r"C:\Users\me\.codeium\windsurf\mcp_config.json",
    ),
    "zed": (
        "/home/me/.config/zed/settings.json",
        "/Users/me/.config/zed/settings.json",
        rf"{ROAMING}\Zed\settings.json",
    ),
    "gemini": (
        "/home/me/.gemini/settings.json",
        "/Users/me/.gemini/settings.json",
        r"C:\Users\me\.gemini\settings.json",
    ),
    "codex": (
        "/home/me/.codex/config.toml",
        "/Users/me/.codex/config.toml",
        r"C:\Users\me\.codex\config.toml",
    ),
    "lm-studio": (
        "/home/me/.lmstudio/mcp.json",
        "/Users/me/.lmstudio/mcp.json",
        r"C:\Users\me\.lmstudio\mcp.json",
    ),
    "goose": (
        "/home/me/.config/goose/config.yaml",
        "/Users/me/.config/goose/config.yaml",
        rf"{ROAMING}\Block\goose\config\config.yaml",
    ),
}


def places(client: str, platform: str, **environ: str) -> list[str]:
    computer = Computer(platform, environ, HOMES[platform])
    return [str(place) for place in CLIENTS[client].places(computer)]


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("platform", HOMES)
def test_each_client_has_its_place_on_each_system(client: str, platform: str) -> None:
    assert places(client, platform)[0] == PLACES[client][list(HOMES).index(platform)]


@pytest.mark.parametrize(
    ("client", "platform", "variable", "place"),
    [
        ("vscode", "linux", "XDG_CONFIG_HOME", "/x/Code/User/mcp.json"),
        ("zed", "linux", "XDG_CONFIG_HOME", "/x/zed/settings.json"),
        ("goose", "darwin", "XDG_CONFIG_HOME", "/x/goose/config.yaml"),
        ("goose", "linux", "GOOSE_PATH_ROOT", "/x/config/config.yaml"),
        ("claude-code", "linux", "CLAUDE_CONFIG_DIR", "/x/.claude.json"),
        ("gemini", "darwin", "GEMINI_CLI_HOME", "/x/.gemini/settings.json"),
        ("codex", "linux", "CODEX_HOME", "/x/config.toml"),
    ],
)
def test_a_variable_of_the_client_moves_its_file(
    client: str, platform: str, variable: str, place: str
) -> None:
    assert places(client, platform, **{variable: "/x"}) == [place]


def test_windows_tells_its_folders_by_variables() -> None:
    assert places("cursor", "win32", APPDATA="D:\\r") == [r"C:\Users\me\.cursor\mcp.json"]
    assert places("zed", "win32", APPDATA="D:\\r") == [r"D:\r\Zed\settings.json"]
    package, roaming = places("claude-desktop", "win32", APPDATA="D:\\r", LOCALAPPDATA="D:\\l")
    assert package.startswith("D:\\l\\Packages\\Claude_")
    assert roaming == r"D:\r\Claude\claude_desktop_config.json"


@pytest.mark.parametrize("client", CLIENTS.values(), ids=CLIENTS)
def test_what_is_entered_is_what_the_client_starts(client: Client) -> None:
    command, env = ["uvx", "--from", "x y", "ollama-mcp-server"], {"OLLAMA_HOST": "h:1"}
    for variables in ({}, env):
        entry = client.entry("local", command, variables)
        assert client.launch(entry) == (command, variables)


def test_goose_has_words_of_its_own() -> None:
    assert CLIENTS["goose"].entry("local", ["uvx", "a"], {"B": "c"}) == {
        "enabled": True, "type": "stdio", "name": "local", "timeout": 300,
        "cmd": "uvx", "args": ["a"], "envs": {"B": "c"},
    }  # fmt: skip


def test_what_a_user_wrote_by_hand_is_no_trouble() -> None:
    strange = {"command": 5, "args": 7, "env": "A=1"}
    assert CLIENTS["cursor"].launch(strange) == (["5"], {})
