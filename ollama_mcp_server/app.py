"""What one running server holds. Made by the command line, handed down to everything else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from .address import parse_address
from .delegation.jobs import current
from .errors import START_IT
from .progress import Look, Progress, Report
from .settings import Settings, environment, state_folder

if TYPE_CHECKING:
    from fastmcp import Context

    from .agent.agent import Agent
    from .agent.paused import Paused
    from .agent.servers.hub import Hub
    from .daemon.catalog import Catalog
    from .daemon.client import Client
    from .delegation.batch.kept import Kept
    from .delegation.delegate import Delegate
    from .delegation.inputs.roots import Roots
    from .delegation.jobs import Jobs
    from .delegation.memory.board import Board
    from .delegation.memory.conversations import Conversations
    from .delegation.memory.state import State
    from .delegation.search.vectors import Vectors
    from .delegation.upstream import Upstream

#: Under this key the server's lifespan context holds the App.
KEY = "app"


@dataclass
class App:
    """One server's state. Not a context manager, since FastMCP would close it after a call."""

    settings: Settings
    #: Tools left out of the list, and the words that say how to get them.
    hidden: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, ctx: Context) -> App:
        """Return the App of the server that a call came to."""
        app = ctx.lifespan_context[KEY]
        assert isinstance(app, cls)  # noqa: S101 - for the type checker
        return app

    # Made at first use: importing ollama costs 100 ms, which tools/list need not wait for.
    @cached_property
    def client(self) -> Client:
        """The daemon's client, one for the process; no key goes to a loopback daemon."""
        if self.settings.hosts:
            return self._several()
        from .daemon.client import Client
        from .daemon.installed import in_container, reason_not_to_start
        from .daemon.starting import Starting

        settings = self.settings
        headers = {
            name.lower(): value.get_secret_value() for name, value in settings.headers.items()
        }
        if settings.api_key and not settings.address.is_loopback:
            headers.setdefault("authorization", bearer(settings.api_key))
        address, around, folder = settings.address, environment(), state_folder() / "daemon"
        contained = in_container(around)
        why_not = reason_not_to_start(settings.start_daemon, address, contained=contained)
        may_start = not why_not and folder.is_absolute()
        return Client(
            address,
            headers,
            proxy=settings.proxy,
            ca_file=settings.ca_file,
            unreachable=why_not or START_IT,
            starting=Starting(address.url, around, folder) if may_start else None,
        )

    def _several(self) -> Client:
        """Return the client of several hosts; each has its own headers beside those of all."""
        from .daemon.client import Client
        from .daemon.hosts.host import Host
        from .daemon.hosts.hosts import Hosts

        settings, hosts = self.settings, []
        for name, told in settings.hosts.items():
            address = parse_address(told.url)
            headers = {
                key.lower(): value.get_secret_value()
                for key, value in (*settings.headers.items(), *told.headers.items())
            }
            if settings.api_key and not address.is_loopback:
                headers.setdefault("authorization", bearer(settings.api_key))
            client = Client(
                address,
                headers,
                proxy=settings.proxy,
                ca_file=settings.ca_file,
                unreachable=f"Start Ollama on the host {name}, or mend its URL in OLLAMA_MCP_HOSTS",
            )
            hosts.append(Host(name, client, told.limit))
        return Hosts(hosts)

    @cached_property
    def cloud(self) -> Client:
        """The client for Ollama's hosted services, which want the key wherever they are."""
        from .daemon.client import Client

        key = self.settings.api_key
        return Client(
            parse_address(self.settings.cloud_url, "OLLAMA_CLOUD_BASE_URL"),
            {"authorization": bearer(key)} if key else {},
            proxy=self.settings.proxy,
            unreachable="Check the network; web search and fetch need ollama.com",
        )

    @cached_property
    def catalog(self) -> Catalog:
        """The daemon's models."""
        if self.settings.hosts:
            from .daemon.hosts.directory import Directory
            from .daemon.hosts.hosts import Hosts

            assert isinstance(self.client, Hosts)  # noqa: S101 - for the type checker
            return Directory(self.client)
        from .daemon.catalog import Catalog

        return Catalog(self.client)

    @cached_property
    def delegate(self) -> Delegate:
        """Who asks the models, with all that makes it dependable."""
        from .delegation.delegate import Delegate

        return Delegate(self.client, self.catalog, self.settings)

    @cached_property
    def jobs(self) -> Jobs:
        """The calls whose work goes on."""
        from .delegation.jobs import Jobs

        return Jobs(self._board("jobs"))

    @cached_property
    def kept(self) -> Kept:
        """Results that were too long for an answer, for a while."""
        from .delegation.batch.kept import Kept

        return Kept(self._board("results"))

    @cached_property
    def vectors(self) -> Vectors:
        """Vectors of passages that were embedded before."""
        from .delegation.search.vectors import Vectors

        return Vectors()

    @cached_property
    def roots(self) -> Roots:
        """The folders whose files may be read and written."""
        from .delegation.inputs.roots import Roots

        return Roots(self.settings.roots)

    @cached_property
    def conversations(self) -> Conversations:
        """The conversations that callers left in our keeping."""
        from .delegation.memory.conversations import Conversations

        return Conversations(self.state)

    @cached_property
    def state(self) -> State:
        """What outlives a call, and a process where it is not kept in memory."""
        from .delegation.memory.stores import open_store

        return open_store(self.settings.state_url, state_folder())

    def _board(self, name: str, *, is_listed: bool = True) -> Board | None:
        """Return where processes tell of their work; None where they share no state."""
        if not self.settings.keeps_state:
            return None
        from .delegation.memory.board import Board

        return Board(lambda: self.state, name, is_listed=is_listed)

    def owner(self, ctx: Context) -> str:
        """Return whose jobs and conversations a call is about; "" where no token is asked for."""
        from fastmcp.server.dependencies import get_access_token

        if (key := get_access_token()) is not None:  # each key of the gateway is somebody else
            return hashlib.sha256(key.client_id.encode()).hexdigest()[:16]
        token = self.settings.auth_token
        return hashlib.sha256(token.get_secret_value().encode()).hexdigest()[:16] if token else ""

    def progress(self, ctx: Context, phase: str, look: Look | None = None) -> Progress:
        """Return the progress of a call, silent where the client asked for none."""
        return self.watched(ctx, Progress(None, phase, look))

    def watched(self, ctx: Context, progress: Progress) -> Progress:
        """Return a progress that tells the client of this call from now on."""
        if (job := current.get()) is not None:
            job.progress = progress
        return progress.direct(reporter(ctx))

    @cached_property
    def upstream(self) -> Upstream | None:
        """The endpoint that agents ask in place of the daemon, if one is set."""
        if self.settings.openai_base_url is None:
            return None
        from .delegation.upstream import Upstream

        settings = self.settings
        return Upstream(
            self.settings.openai_base_url,
            settings.openai_api_key,
            proxy=settings.proxy,
            ca_file=settings.ca_file,
        )

    @cached_property
    def hub(self) -> Hub:
        """The connections to other MCP servers."""
        from .agent.servers.hub import Hub

        return Hub(environment())

    @cached_property
    def agent(self) -> Agent:
        """Who lets models work with those servers' tools."""
        from .agent.agent import Agent

        return Agent(self.delegate, self.hub, self.settings, self.upstream)

    @cached_property
    def paused(self) -> Paused:
        """Runs of agents that wait for a person's answer."""
        from .agent.paused import Paused

        return Paused(self._board("runs", is_listed=False))

    async def aclose(self) -> None:
        """Close what was opened."""
        # first those who use the others
        self.__dict__.pop("conversations", None)
        for name in ("jobs", "paused", "hub", "upstream", "state", "client", "cloud"):
            if (opened := self.__dict__.pop(name, None)) is not None:
                await opened.aclose()


def bearer(key: SecretStr) -> str:
    """Return the Authorization header for a key."""
    return f"Bearer {key.get_secret_value()}"


def reporter(ctx: Context) -> Report | None:
    """Return what sends a progress note to the client, or None if it gave no token."""
    request: Any = ctx.request_context
    meta = request.meta if request is not None else None
    if not meta or meta.get("progressToken") is None:
        return None

    async def report(value: float, total: float | None, message: str) -> None:
        await ctx.report_progress(value, total, message)

    return report
