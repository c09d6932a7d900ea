"""The environment of the process: where files are, and what libraries may see of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def config_file() -> Path:
    """Return where the settings file is, by the XDG base directory rules.

    The path is relative, and then counts as none, for a user without a home (a number in a
    container): no folder named `~` may stand in for it.
    """
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")  # noqa: PTH111
    return Path(base, "ollama-mcp-server", "config.toml")


def keys_file() -> Path:
    """Return where the gateway's keys are, beside the settings file."""
    return config_file().with_name("keys.json")


def servers_file() -> Path:
    """Return where the MCP servers of agents are named; relative for a user without a home."""
    return Path(os.path.expanduser("~/.ollama/mcp-servers.json"))  # noqa: PTH111


def environment() -> dict[str, str]:
    """Return the process's environment, from which other servers are given what they may have."""
    return dict(os.environ)


def state_folder() -> Path:
    """Return where state is kept on disk, by the XDG rules; relative for a user without a home."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")  # noqa: PTH111
    return Path(base, "ollama-mcp-server")


@contextmanager
def bare_environment() -> Iterator[None]:
    """Hide from a library, while it is imported, what says how to reach the network.

    `import ollama` makes a client from OLLAMA_HOST and the proxy variables, and fails on spellings
    that Ollama itself takes.
    """
    hidden = {
        name: os.environ.pop(name)
        for name in list(os.environ)
        if name == "OLLAMA_HOST" or name.upper().endswith("_PROXY")
    }
    try:
        yield
    finally:
        os.environ.update(hidden)


def quiet_the_frame(log_level: str = "warning") -> None:
    """Keep FastMCP, before it is imported, from what a server in a host's pipe must not do.

    It would read a `.env` in the working directory (which belongs to whatever project is open
    there), ask the package index for a newer version, and import rich for its log lines. At
    debug level it would log the arguments of every call, prompts included.
    """
    os.environ["FASTMCP_ENV_FILE"] = os.devnull
    os.environ["FASTMCP_CHECK_FOR_UPDATES"] = "off"
    os.environ["FASTMCP_ENABLE_RICH_LOGGING"] = "false"
    os.environ["FASTMCP_LOG_LEVEL"] = "INFO" if log_level == "debug" else log_level.upper()
    if os.path.expanduser("~") == "~":  # noqa: PTH111 - a user without a home
        # FastMCP wants to name a data folder, which this server never uses.
        os.environ.setdefault("XDG_DATA_HOME", "/nonexistent")
