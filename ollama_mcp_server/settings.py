"""Every knob there is. Nothing else in the package reads the environment.

A flag wins over the environment, the environment over the file
`~/.config/ollama-mcp-server/config.toml`, the file over the default.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from .address import Address, parse_address, parse_endpoint

#: Toolsets offered when none is named.
DEFAULT_TOOLSETS = ("chat", "models", "agent")

#: What OLLAMA_DEBUG may say beside the names of levels.
_DEBUG = {"0": "warning", "f": "warning", "false": "warning"} | dict.fromkeys(
    ("1", "2", "t", "true"), "debug"
)

Names = Annotated[tuple[str, ...], NoDecode]


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


def _env(name: str, field: str) -> AliasChoices:
    """Let one of Ollama's own variables, or the field's name in the file and as a flag, set it."""
    return AliasChoices(name, field)


class Profile(BaseModel):
    """A model with settings of its own, under a name."""

    model_config = ConfigDict(extra="forbid")

    model: str
    system: str | None = None
    options: dict[str, Any] = {}
    keep_alive: str | float | None = None


class OllamaHost(BaseModel):
    """One of several hosts."""

    model_config = ConfigDict(extra="forbid")

    url: str
    headers: dict[str, SecretStr] = {}
    limit: int | None = Field(None, ge=1)


class Settings(BaseSettings):
    """What this server can be told, each by a flag, a variable or the file."""

    model_config = SettingsConfigDict(
        env_prefix="OLLAMA_MCP_", env_ignore_empty=True, extra="forbid", populate_by_name=True
    )

    # The daemon
    ollama_host: str = Field(
        "127.0.0.1:11434",
        validation_alias=_env("OLLAMA_HOST", "ollama_host"),
        description="Address of the Ollama daemon, in any spelling that Ollama takes.",
    )
    start_daemon: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Start the installed Ollama when a call needs it and none answers at a "
        "loopback OLLAMA_HOST: auto (not in a container), always or never.",
    )
    hosts: Annotated[dict[str, OllamaHost], NoDecode] = Field(
        default_factory=dict,
        description="Several Ollama hosts, in place of OLLAMA_HOST: "
        'desk=http://127.0.0.1:11434,gpu=http://gpu:11434, or JSON: {"gpu": {"url": "…", '
        '"headers": {…}, "limit": 4}}, or [hosts.NAME] in the file. limit: requests at once.',
    )
    api_key: SecretStr | None = Field(
        None,
        validation_alias=_env("OLLAMA_API_KEY", "api_key"),
        description="Key for ollama.com and for remote daemons; never sent to a loopback daemon.",
    )
    cloud_url: str = Field(
        "https://ollama.com",
        validation_alias=_env("OLLAMA_CLOUD_BASE_URL", "cloud_url"),
        description="Where web search and web fetch are asked.",
    )
    headers: Annotated[dict[str, SecretStr], NoDecode] = Field(
        default_factory=dict,
        description='Extra headers for every request to the daemon, as JSON: {"X-Key": "…"}.',
    )
    ca_file: Path | None = Field(
        None, description="PEM file of the authority that signed a remote daemon's certificate."
    )
    proxy: str | None = Field(
        None,
        description="Proxy for a remote daemon (default: HTTPS_PROXY and NO_PROXY); "
        "loopback never goes through one.",
    )

    # The tools
    model: str | None = Field(
        None,
        description="Model that answers calls that name none and that it has the capabilities for.",
    )
    aliases: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="Other names for models: fast=qwen3:1.7b,code=qwen2.5-coder:7b.",
    )
    profiles: Annotated[dict[str, Profile], NoDecode] = Field(
        default_factory=dict,
        description="Models with settings of their own, usable wherever a model is named, as JSON "
        "or [profiles.NAME] in the file: model, system, options, keep_alive.",
    )
    auto_pull: bool = Field(
        False, description="Pull a model that a call names and that is missing."
    )
    max_context: int | None = Field(
        None,
        ge=256,
        description="Most tokens that num_ctx is raised to for a long prompt (default 32768, or "
        "the model's own maximum where that is less).",
    )
    wait: float | None = Field(
        None,
        ge=0.1,
        description="Seconds after which a call that still works answers with a job handle "
        "(default: what the client is known to wait for, else 50).",
    )
    roots: Annotated[tuple[Path, ...], NoDecode] = Field(
        (),
        description="Folder whose files the tools may read and write; several are separated as in "
        "PATH, or the flag is repeated. Default none.",
    )
    allow_urls: bool = Field(
        False, description="Fetch pictures from public http(s) URLs; never from private addresses."
    )
    state_url: SecretStr | None = Field(
        None,
        description="Where conversations are kept, and what several processes know of one "
        "another's jobs: disk, file:///FOLDER, redis://HOST or valkey://HOST; default memory, "
        "until the server ends. By a Valkey or Redis the limits of keys are shared too.",
    )
    # Agents, and the servers whose tools they use
    servers: SecretStr | None = Field(
        None,
        description="MCP servers that agents may use, as JSON; overrides the file of servers.",
    )
    servers_file: Path | None = Field(
        None, description="File of MCP servers for agents (default ~/.ollama/mcp-servers.json)."
    )
    tool_timeout: int = Field(
        30_000,
        ge=1,
        le=3_600_000,
        validation_alias=_env("OLLAMA_MCP_TIMEOUT", "tool_timeout"),
        description="Milliseconds that one call of another server's tool may take.",
    )
    disable_servers: bool = Field(
        False,
        validation_alias=_env("OLLAMA_MCP_DISABLE", "disable_servers"),
        description="Use none of the configured MCP servers, and do not check them at start.",
    )
    allow_inline_servers: bool = Field(
        False,
        description="Let a call of ollama_agent define servers, and so start programs of its own.",
    )
    allow_destructive: bool = Field(
        False, description="Let agents run tools that may destroy without asking anybody."
    )
    openai_base_url: str | None = Field(
        None,
        description="OpenAI-compatible endpoint (vLLM, llama-server, a cloud) that agents ask "
        "instead of Ollama, such as http://127.0.0.1:8080/v1.",
    )
    openai_api_key: SecretStr | None = Field(None, description="Key for that endpoint.")

    toolsets: Names = Field(
        DEFAULT_TOOLSETS,
        description="Toolsets or single tools to offer, separated by commas: "
        "chat, models, agent, conversations, publish, web, or all.",
    )
    read_only: bool = Field(
        False, description="Leave out every tool that changes the model library."
    )
    tools_dir: Path | None = Field(
        None, description="Folder of your own tool modules (*.py), offered beside the built-in."
    )

    # The transport
    transport: Literal["stdio", "http"] = Field(
        "stdio", description="stdio for a host that starts the server, http for Streamable HTTP."
    )
    host: str = Field("127.0.0.1", description="Address that the HTTP transport binds to.")
    port: int = Field(8000, ge=0, le=65535, description="Port of the HTTP transport; 0 picks one.")
    path: str = Field("/mcp", pattern=r"^/[\w./-]*$", description="Path of the MCP endpoint.")
    auth_token: SecretStr | None = Field(
        None, description="Bearer token that HTTP clients must send; at least 16 characters."
    )
    insecure: bool = Field(
        False, description="Allow binding to an address that is not loopback without a token."
    )
    allowed_hosts: Names = Field(
        (),
        description="Further Host headers that HTTP accepts, separated by commas "
        "(a name behind a reverse proxy).",
    )
    allowed_origins: Names = Field(
        (), description="Further browser origins that HTTP accepts, separated by commas."
    )
    public_url: str | None = Field(
        None,
        pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$",
        description="Address by which clients reach the HTTP transport, without the path of the "
        "MCP endpoint, such as https://ai.example.com; its host is accepted too.",
    )
    jwt_issuer: str | None = Field(
        None,
        pattern=r"^https?://[^?#\s]+$",
        description="Authorization server whose access tokens (JWTs) open HTTP, as their `iss` "
        "says it; needs OLLAMA_MCP_JWT_JWKS_URI and OLLAMA_MCP_PUBLIC_URL.",
    )
    jwt_jwks_uri: str | None = Field(
        None, pattern=r"^https?://\S+$", description="Where that server's public keys are."
    )
    jwt_audience: Names = Field(
        (),
        description="What a token's `aud` must name, one of these, separated by commas (default "
        "the address of the MCP endpoint).",
    )
    jwt_algorithm: Literal[
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
    ] = Field("RS256", description="How tokens must be signed.")
    jwt_required_scopes: Names = Field(
        (), description="Scopes that a token must have to come in, separated by commas."
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that serve HTTP on the one port; more than one keep no sessions.",
    )
    request_state_key: SecretStr | None = Field(
        None,
        description="Secret of at least 32 characters that seals questions to the user; servers "
        "behind one balancer share it (default: a new one at each start, for all processes).",
    )
    tasks: bool = Field(
        False,
        description="Let clients of MCP 2026-07-28 that ask for it have long calls (pull, create, "
        "push, batch, agent) as tasks; needs the extra tasks.",
    )
    gateway: bool = Field(
        False,
        description="With --transport http: also serve OpenAI's, Anthropic's and Ollama's own "
        "APIs, with tools, to applications that speak no MCP.",
    )
    keys: SecretStr | None = Field(
        None, description="API keys for HTTP, hashed, as JSON; overrides the file of keys."
    )
    keys_file: Path | None = Field(
        None,
        description="File of API keys (default ~/.config/ollama-mcp-server/keys.json); "
        "`ollama-mcp-server keys add NAME` makes them.",
    )
    parallel: int = Field(
        4, ge=1, le=1024, description="Requests that the gateway has at the daemon at once."
    )
    queue: int = Field(
        64, ge=0, le=100_000, description="Requests that may wait for that; more are refused."
    )
    shutdown_seconds: float = Field(
        10, ge=0, le=3600, description="How long HTTP lets running answers end at a signal."
    )
    log_prompts: bool = Field(
        False,
        description="With the gateway: log what is asked and answered, whole, for anybody who "
        "reads the log; keys and tokens are left out.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "warning",
        validation_alias=AliasChoices("OLLAMA_MCP_LOG_LEVEL", "OLLAMA_DEBUG", "log_level"),
        description="How much is logged to stderr; OLLAMA_DEBUG counts too.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return flags, environment and file, in this order; no `.env` is read."""
        file = config_file()
        if not (file.is_absolute() and file.is_file()):
            return init_settings, env_settings
        try:
            return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, file)
        except (OSError, ValueError) as error:
            raise ValueError(f"{file}: {error}") from error

    @field_validator(
        "toolsets",
        "allowed_hosts",
        "allowed_origins",
        "jwt_audience",
        "jwt_required_scopes",
        mode="before",
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(name for name in (part.strip() for part in value.split(",")) if name)
        return value

    @field_validator("roots", mode="before")
    @classmethod
    def _folders(cls, value: Any) -> Any:
        given = [value] if isinstance(value, str) else value
        paths = [part for item in given for part in str(item).split(os.pathsep) if part.strip()]
        return tuple(Path(os.path.expanduser(path)) for path in paths)  # noqa: PTH111

    @field_validator("servers_file", "keys_file", mode="after")
    @classmethod
    def _expanded(cls, value: Path | None) -> Path | None:
        return Path(os.path.abspath(os.path.expanduser(value))) if value else None  # noqa: PTH100, PTH111

    @field_validator("aliases", mode="before")
    @classmethod
    def _pairs(cls, value: Any) -> Any:
        if not isinstance(value, str) or value.lstrip().startswith("{"):
            return _from_json(value)
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        if not all(name.strip() and model.strip() for name, _, model in pairs):
            raise ValueError("must be name=model pairs, such as fast=qwen3:1.7b,code=codellama")
        return {name.strip(): model.strip() for name, _, model in pairs}

    @field_validator("headers", "profiles", mode="before")
    @classmethod
    def _object(cls, value: Any) -> Any:
        return _from_json(value)

    @field_validator("public_url", mode="after")
    @classmethod
    def _bare(cls, value: str | None) -> str | None:
        return value.rstrip("/") if value else None

    @field_validator("hosts", mode="before")
    @classmethod
    def _hosts(cls, value: Any) -> Any:
        if isinstance(value, str) and not value.lstrip().startswith("{"):
            pairs = [part.partition("=") for part in value.split(",") if part.strip()]
            if not all(name.strip() and url.strip() for name, _, url in pairs):
                raise ValueError("must be name=URL pairs, such as desk=127.0.0.1,gpu=http://gpu")
            value = {name.strip(): url.strip() for name, _, url in pairs}
        told = _from_json(value)
        if not isinstance(told, dict):
            raise ValueError('must be a JSON object, such as {"gpu": {"url": "http://gpu"}}')
        return {name: {"url": v} if isinstance(v, str) else v for name, v in told.items()}

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        # the spellings that Ollama's own OLLAMA_DEBUG takes
        return _DEBUG.get(value.lower(), value.lower())

    @model_validator(mode="after")
    def _check(self) -> "Settings":
        # What is wrong is said at start, and not at the first call.
        self._check_hosts()
        _ = self.address
        parse_address(self.cloud_url, "OLLAMA_CLOUD_BASE_URL")
        if self.proxy and not re.match(r"https?://[^/]", self.proxy):
            raise ValueError("OLLAMA_MCP_PROXY must be an address such as http://proxy:3128")
        if self.ca_file and not self.ca_file.is_file():
            raise ValueError(f"OLLAMA_MCP_CA_FILE: there is no file {self.ca_file}")
        if self.openai_base_url:
            parse_endpoint(self.openai_base_url)
        if self.jwt_issuer and not (self.jwt_jwks_uri and self.public_url):
            raise ValueError(
                "OLLAMA_MCP_JWT_ISSUER needs OLLAMA_MCP_JWT_JWKS_URI and OLLAMA_MCP_PUBLIC_URL too"
            )
        url = self.state_url.get_secret_value() if self.state_url else "memory"
        key = self.request_state_key
        if not re.match(r"(memory|disk|file:///.+|(redis|valkey)s?://.+)$", url):
            raise ValueError(
                "OLLAMA_MCP_STATE_URL must be memory, disk, file:///FOLDER, redis://… or valkey://…"
            )
        is_shared = re.match(r"(redis|valkey)", url) is not None
        if self.tasks and self.workers > 1 and not is_shared:
            raise ValueError(
                "OLLAMA_MCP_TASKS with several workers needs a Valkey or Redis in "
                "OLLAMA_MCP_STATE_URL: a task would be known to one of them only"
            )
        if self.tasks and is_shared and not key:
            raise ValueError(
                "OLLAMA_MCP_TASKS with a Valkey or Redis needs OLLAMA_MCP_REQUEST_STATE_KEY, which "
                "seals who called; make one with `openssl rand -hex 32`"
            )
        for root in self.roots:
            if not root.is_dir():
                raise ValueError(f"OLLAMA_MCP_ROOTS: there is no folder {root}")
        if self.auth_token and len(self.auth_token.get_secret_value()) < 16:
            raise ValueError(
                "OLLAMA_MCP_AUTH_TOKEN: a token of fewer than 16 characters can be guessed; "
                "make one with `openssl rand -hex 32`"
            )
        if key and len(key.get_secret_value().encode()) < 32:  # what the SDK asks for
            raise ValueError(
                "OLLAMA_MCP_REQUEST_STATE_KEY: 32 characters at least; "
                "make one with `openssl rand -hex 32`"
            )
        return self

    def _check_hosts(self) -> None:
        addresses: dict[str, str] = {}
        for name, host in self.hosts.items():
            if not re.fullmatch(r"[\w.-]{1,40}", name):
                raise ValueError(
                    f"OLLAMA_MCP_HOSTS: {name[:40]!r} is no name: letters, digits, ._-"
                )
            url = parse_address(host.url, f"OLLAMA_MCP_HOSTS, {name}").url
            if url in addresses:
                raise ValueError(f"OLLAMA_MCP_HOSTS: {addresses[url]} and {name} are the same host")
            addresses[url] = name

    @property
    def keeps_state(self) -> bool:
        """Whether what is kept outlives this process, and others may share it."""
        return self.state_url is not None and self.state_url.get_secret_value().strip() != "memory"

    @property
    def address(self) -> Address:
        """The daemon's address, parsed; of several hosts the first one's."""
        first = next(iter(self.hosts.values()), None)
        return parse_address(first.url if first else self.ollama_host)


def _from_json(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError('must be JSON, such as {"name": "value"}') from None


def variable(field: str) -> str:
    """Return the environment variable of a setting."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"OLLAMA_MCP_{field.upper()}"


def is_secret(field: str) -> bool:
    """Return whether a setting must not stand on a command line."""
    return "SecretStr" in str(Settings.model_fields[field].annotation)


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
