"""Every knob there is: its name, its default, and what it does, as the documentation has it."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ..address import Address, parse_address
from .checks import check
from .environment import config_file
from .forms import Aliases, Base, File, Folders, Headers, Hosts, Level, Names, Profiles

#: Toolsets offered when none is named.
DEFAULT_TOOLSETS = ("chat", "models", "agent")


def _env(name: str, field: str) -> AliasChoices:
    """Let one of Ollama's own variables, or the field's name in the file and as a flag, set it."""
    return AliasChoices(name, field)


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
    hosts: Hosts = Field(
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
    headers: Headers = Field(
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
    aliases: Aliases = Field(
        default_factory=dict,
        description="Other names for models: fast=qwen3:1.7b,code=qwen2.5-coder:7b.",
    )
    profiles: Profiles = Field(
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
    roots: Folders = Field(
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
    servers_file: File = Field(
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
    public_url: Annotated[str | None, Base] = Field(
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
    keys_file: File = Field(
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
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Level] = Field(
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

    @model_validator(mode="after")
    def _check(self) -> "Settings":
        check(self)
        return self

    @property
    def keeps_state(self) -> bool:
        """Whether what is kept outlives this process, and others may share it."""
        return self.state_url is not None and self.state_url.get_secret_value().strip() != "memory"

    @property
    def address(self) -> Address:
        """The daemon's address, parsed; of several hosts the first one's."""
        first = next(iter(self.hosts.values()), None)
        return parse_address(first.url if first else self.ollama_host)


def variable(field: str) -> str:
    """Return the environment variable of a setting."""
    alias = Settings.model_fields[field].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return f"OLLAMA_MCP_{field.upper()}"


def is_secret(field: str) -> bool:
    """Return whether a setting must not stand on a command line."""
    return "SecretStr" in str(Settings.model_fields[field].annotation)
