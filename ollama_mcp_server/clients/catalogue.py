"""The clients: where each keeps its MCP servers, under which names, and in which form."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Literal, TypeAlias

Format: TypeAlias = Literal["JSON", "TOML", "YAML"]
Scope: TypeAlias = Literal["user", "project"]


@dataclass(frozen=True)
class Computer:
    """What decides where a client's file is: `sys.platform`, the environment, the home folder."""

    platform: str
    env: Mapping[str, str]
    home: str

    def path(self, *parts: str) -> PurePath:
        """Return a path as this computer writes it."""
        return (PureWindowsPath if self.platform == "win32" else PurePosixPath)(*parts)

    def in_home(self, *parts: str) -> PurePath:
        """Return a path in the home folder."""
        return self.path(self.home, *parts)

    def of(self, variable: str, *default: str) -> PurePath:
        """Return the folder that a variable names; else one in the home folder."""
        if value := self.env.get(variable):
            return self.path(value)
        return self.in_home(*default)

    @property
    def applications(self) -> PurePath:
        """Where applications keep what belongs to the user."""
        if self.platform == "win32":
            return self.of("APPDATA", "AppData", "Roaming")
        if self.platform == "darwin":
            return self.in_home("Library", "Application Support")
        return self.config

    @property
    def config(self) -> PurePath:
        """Where programs in the manner of Unix keep it."""
        return self.of("XDG_CONFIG_HOME", ".config")


@dataclass(frozen=True)
class Client:
    """A program that starts MCP servers, as far as its file goes."""

    name: str
    title: str
    #: Its file; of several places the first whose folder exists, else the first.
    places: Callable[[Computer], Sequence[PurePath]]
    #: Under which name its servers stand.
    container: str = "mcpServers"
    format: Format = "JSON"
    #: Its file in a project's folder, where it has one.
    project: str | None = None
    #: The program that shows that it is there.
    program: str | None = None
    #: What is to be done before it sees the server.
    then: str = "Restart it"
    #: Names of an entry for the command and for its variables, and what else an entry needs.
    command: str = "command"
    variables: str = "env"
    extras: Callable[[str], Mapping[str, Any]] = lambda _: {}

    def entry(self, name: str, command: Sequence[str], env: Mapping[str, str]) -> dict[str, Any]:
        """Return the entry of a server in this client's form."""
        program, *args = command
        made = {**self.extras(name), self.command: program, "args": args}
        return {**made, self.variables: dict(env)} if env else made

    def launch(self, entry: Mapping[str, Any]) -> tuple[list[str], dict[str, str]]:
        """Return the command and the variables with which this client starts an entry."""
        args, env = entry.get("args"), entry.get(self.variables)
        return (
            [str(entry[self.command]), *map(str, args if isinstance(args, list) else ())],
            {name: str(value) for name, value in (env if isinstance(env, dict) else {}).items()},
        )


def _claude_desktop(computer: Computer) -> Sequence[PurePath]:
    places = [computer.applications / "Claude" / "claude_desktop_config.json"]
    if computer.platform == "win32":  # its installer makes a package, which has a folder of its own
        local = computer.of("LOCALAPPDATA", "AppData", "Local")
        package = local / "Packages" / "Claude_pzs8sxrjxfjjc" / "LocalCache" / "Roaming"
        places.insert(0, package / "Claude" / "claude_desktop_config.json")
    return places


def _claude_code(computer: Computer) -> Sequence[PurePath]:
    return [computer.of("CLAUDE_CONFIG_DIR", ".") / ".claude.json"]


def _zed(computer: Computer) -> Sequence[PurePath]:
    if computer.platform == "win32":
        return [computer.applications / "Zed" / "settings.json"]
    if computer.platform == "darwin":
        return [computer.in_home(".config", "zed", "settings.json")]
    return [computer.config / "zed" / "settings.json"]


def _goose(computer: Computer) -> Sequence[PurePath]:
    if root := computer.env.get("GOOSE_PATH_ROOT"):
        return [computer.path(root, "config", "config.yaml")]
    if computer.platform == "win32":
        return [computer.applications / "Block" / "goose" / "config" / "config.yaml"]
    return [computer.config / "goose" / "config.yaml"]


def _goose_extras(name: str) -> Mapping[str, Any]:
    return {"enabled": True, "type": "stdio", "name": name, "timeout": 300}


CLIENTS: Mapping[str, Client] = {
    client.name: client
    for client in (
        Client("claude-desktop", "Claude Desktop", _claude_desktop),
        Client(
            "claude-code",
            "Claude Code",
            _claude_code,
            project=".mcp.json",
            program="claude",
            then="Begin a new session",
            extras=lambda _: {"type": "stdio"},
        ),
        Client(
            "vscode",
            "VS Code",
            lambda computer: [computer.applications / "Code" / "User" / "mcp.json"],
            container="servers",
            project=".vscode/mcp.json",
            program="code",
            then="Start it there: `MCP: List Servers` in the command palette",
            extras=lambda _: {"type": "stdio"},
        ),
        Client(
            "cursor",
            "Cursor",
            lambda computer: [computer.in_home(".cursor", "mcp.json")],
            project=".cursor/mcp.json",
            program="cursor",
            then="Switch it on in its settings, under MCP, if it is not",
        ),
        Client(
            "windsurf",
            "Windsurf",
            lambda computer: [computer.in_home(".codeium", "windsurf", "mcp_config.json")],
            program="windsurf",
            then="Refresh the MCP servers in its settings",
        ),
        Client(
            "zed",
            "Zed",
            _zed,
            container="context_servers",
            project=".zed/settings.json",
            program="zed",
            then="It sees the server at once",
        ),
        Client(
            "gemini",
            "Gemini CLI",
            lambda computer: [computer.of("GEMINI_CLI_HOME", ".") / ".gemini" / "settings.json"],
            project=".gemini/settings.json",
            program="gemini",
            then="Begin a new session",
        ),
        Client(
            "codex",
            "Codex",
            lambda computer: [computer.of("CODEX_HOME", ".codex") / "config.toml"],
            container="mcp_servers",
            format="TOML",
            project=".codex/config.toml",
            program="codex",
            then="Begin a new session",
        ),
        Client(
            "lm-studio",
            "LM Studio",
            lambda computer: [
                computer.in_home(".lmstudio", "mcp.json"),
                computer.in_home(".cache", "lm-studio", "mcp.json"),
            ],
            program="lms",
            then="Switch it on in a chat, under Integrations",
        ),
        Client(
            "goose",
            "Goose",
            _goose,
            container="extensions",
            format="YAML",
            program="goose",
            then="Begin a new session",
            command="cmd",
            variables="envs",
            extras=_goose_extras,
        ),
    )
}

#: The one that has no file: its administrator enters an address.
OPEN_WEBUI = "open-webui"
