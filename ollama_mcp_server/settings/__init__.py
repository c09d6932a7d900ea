"""Every knob there is. Nothing else in the package reads the environment.

A flag wins over the environment, the environment over the file
`~/.config/ollama-mcp-server/config.toml`, the file over the default.
"""

from .environment import (
    bare_environment,
    config_file,
    environment,
    keys_file,
    quiet_the_frame,
    servers_file,
    state_folder,
)
from .forms import OllamaHost, Profile
from .table import DEFAULT_TOOLSETS, Settings, is_secret, variable

__all__ = [
    "DEFAULT_TOOLSETS",
    "OllamaHost",
    "Profile",
    "Settings",
    "bare_environment",
    "config_file",
    "environment",
    "is_secret",
    "keys_file",
    "quiet_the_frame",
    "servers_file",
    "state_folder",
    "variable",
]
