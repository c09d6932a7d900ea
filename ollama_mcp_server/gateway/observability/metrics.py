"""What is counted, for Prometheus: requests, tokens, speed, the line, tools and servers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder

from . import tracing
from .live import Live, Turn

if TYPE_CHECKING:
    from ...agent.servers.hub import Status
    from ...app import App
    from ...daemon.watched import End
    from ...errors import OllamaMCPError
    from ..access.caller import Caller
    from ..traffic.line import Line

#: A model that took less was in memory already, in seconds.
LOADED_ANEW = 0.05
#: Tools and models that have a row of their own; whoever comes later is counted together.
ROWS = 500
OTHER = "other"

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)
_SPEEDS = (1, 2, 5, 10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 1000)


class Metrics:
    """The figures of one server, in a registry of its own; and what goes on at this moment."""

    def __init__(self, mcp: str = "/mcp") -> None:
        """Count from now on; `mcp` is the path of the MCP endpoint."""
        self.live = Live(self._ended, mcp)
        self.registry = registry = CollectorRegistry(auto_describe=True)
        ProcessCollector(registry=registry)
        registry.register(_Now(self))
        #: Where they can be asked: the line in front of the daemon, and the MCP servers.
        self.line: Line | None = None
        self.servers: Callable[[], Sequence[Status]] = tuple
        self._models: set[str] = set()
        self._tools: set[tuple[str, str]] = set()

        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"ollama_mcp_{name}", words, labels, registry=registry)

        def histogram(
            name: str, words: str, *labels: str, buckets: Sequence[float] = _SECONDS
        ) -> Histogram:
            return Histogram(
                f"ollama_mcp_{name}", words, labels, registry=registry, buckets=buckets
            )

        self._requests = counter("requests", "Requests answered.", "method", "route", "status")
        self._seconds = histogram("request_seconds", "From a request to its answer's end.", "route")
        self._refusals = counter("refusals", "Requests that got no place at the daemon.", "code")
        self._waits = histogram("queue_seconds", "Time waited for a place at the daemon.")
        self._tokens = counter("tokens", "Tokens read (in) and written (out).", "model", "kind")
        self._firsts = histogram(
            "time_to_first_token_seconds", "From asking a model to its first token.", "model"
        )
        self._speeds = histogram(
            "tokens_per_second", "How fast a model wrote an answer.", "model", buckets=_SPEEDS
        )
        self._breaks = counter("broken_answers", "Askings of models without an end.", "model")
        self._loads = counter("model_loads", "Models loaded for a request.", "model")
        self._load_seconds = histogram("model_load_seconds", "What a load took.", "model")
        self._calls = counter(
            "tool_calls", "Calls of MCP servers' tools, and their outcome.",
            "server", "tool", "outcome",
        )  # fmt: skip
        self._call_seconds = histogram("tool_call_seconds", "What a call took.", "server")

    def follow(self, app: App, line: Line) -> None:
        """Look at an app's servers and at the line in front of its daemon from now on."""
        self.line = line
        self.servers = app.hub.statuses
        app.hub.watch = self.called

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """Return all figures as text, and its content type, in the form that is asked for."""
        encode, kind = choose_encoder(accept)
        return encode(self.registry), kind

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request over HTTP."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def called(self, server: str, tool: str, outcome: str, seconds: float | None = None) -> None:
        """Count a call of a server's tool.

        Args:
            server: its name as configured.
            tool: its name as the server has it.
            outcome: ok, failed (the tool says so), or the code of an error of ours.
            seconds: what it took, where it was made.
        """
        name = (server, tool)
        if name not in self._tools:
            if len(self._tools) >= ROWS:
                name = (server, OTHER)
            self._tools.add(name)
        self._calls.labels(*name, outcome).inc()
        if seconds is not None:
            self._call_seconds.labels(server).observe(seconds)

    # What the limits tell

    def admitted(self, caller: Caller, model: str | None, waited: float) -> None:
        """Note that a request has its place, after so many seconds."""
        self._waits.observe(waited)

    def refused(self, caller: Caller, model: str | None, error: OllamaMCPError) -> None:
        """Note that a request was refused."""
        self._refusals.labels(error.code).inc()

    def left(self, caller: Caller, model: str | None, held: float, tokens: int) -> None:
        """Note nothing: what a request took is known more closely from the daemon's answer."""

    # What the daemon's client tells

    def begin(self, path: str, model: str | None) -> Turn:
        """Watch an asking of a model."""
        turn = self.live.begin(path, model)
        turn.span = tracing.asking(path, turn.model)
        return turn

    def _ended(self, turn: Turn, end: End | None) -> None:
        tracing.asked(turn, end)
        if turn.status not in (0, 200):
            return  # the name may be anything
        model = self._model(turn)
        if end is None:
            self._breaks.labels(model).inc()
            return
        if end.prompt_tokens:
            self._tokens.labels(model, "in").inc(end.prompt_tokens)
        if end.load_seconds > LOADED_ANEW:
            self._loads.labels(model).inc()
            self._load_seconds.labels(model).observe(end.load_seconds)
        if not end.tokens:
            return
        if not turn.tokens:  # it came whole
            self.live.written += end.tokens
        self._tokens.labels(model, "out").inc(end.tokens)
        before = turn.first - turn.since if turn.first else end.load_seconds + end.prompt_seconds
        if before:
            self._firsts.labels(model).observe(before)
        if end.tokens > 1 and (speed := end.answer_seconds and end.tokens / end.answer_seconds):
            self._speeds.labels(model).observe(speed)
        elif end.tokens > 1 and turn.rate:
            self._speeds.labels(model).observe(turn.rate)

    def _model(self, turn: Turn) -> str:
        model = turn.model or OTHER
        if turn.status == 200 and len(self._models) < ROWS:
            self._models.add(model)
        return model if model in self._models else OTHER


class _Now:
    """What is looked at when the figures are asked for, so that it is never out of date."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> Iterable[Metric]:
        """Name them without looking."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Look."""
        line, live = self._metrics.line, self._metrics.live
        yield GaugeMetricFamily("ollama_mcp_queue_length", "Requests that wait for a place at the "
                                "daemon.", line.waiting if line else 0)  # fmt: skip
        yield GaugeMetricFamily("ollama_mcp_running", "Requests that have one.",
                                line.running if line else 0)  # fmt: skip
        yield GaugeMetricFamily("ollama_mcp_asking", "Models' answers under way.", len(live.turns))
        up = GaugeMetricFamily(
            "ollama_mcp_server_up", "Whether an MCP server can be used; idle ones can.",
            labels=["server"],
        )  # fmt: skip
        since = GaugeMetricFamily(
            "ollama_mcp_server_since_seconds", "Since when it is so, in seconds of the epoch.",
            labels=["server", "state"],
        )  # fmt: skip
        for name, status in latest(self._metrics.servers()).items():
            up.add_metric([name], float(status.state != "down"))
            since.add_metric([name, status.state], status.since)
        yield from (up, since)


def latest(statuses: Iterable[Status]) -> dict[str, Status]:
    """Return one status for each server: of its connections with several paths, the newest."""
    return {status.name: status for status in sorted(statuses, key=lambda one: one.since)}
