"""What is judged of an installation: each thing well, doubtful or broken, and what mends it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..daemon.catalog import capable, nearest
from ..daemon.wire import Part
from ..delegation.recommended import fitting
from ..errors import OllamaMCPError
from ._words import count, failure

if TYPE_CHECKING:
    from ..settings import Settings
    from .servers import Row

Status: TypeAlias = Literal["ok", "warn", "fail"]

#: The oldest Ollama that this server is tested with.
OLDEST = (0, 34, 0)
#: Models that are named in a line.
NAMED = 5
FIX = "ollama-mcp-server doctor --fix"


@dataclass(frozen=True)
class Check:
    """What was found of one thing."""

    name: str
    status: Status
    found: str
    #: The command that mends it, or what to do.
    mend: str = ""


def installed(program: str | None, install: str, *, is_local: bool, runs: bool) -> Check:
    """Judge whether Ollama is installed; `install` says how that is done here."""
    if program is not None:
        return Check("ollama", "ok", program)
    if not is_local or runs:
        return Check("ollama", "ok", "not installed here, and not needed: it runs elsewhere")
    return Check("ollama", "fail", "not installed", install)


def reached(url: str, version: str) -> Check:
    """Judge the version of a daemon that answers."""
    found = f"Ollama {version} at {url}"
    if numbers(version) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        return Check("daemon", "warn", found, f"update Ollama: this server wants {oldest} or newer")
    return Check("daemon", "ok", found)


def numbers(version: str) -> tuple[int, ...]:
    """Return a version's numbers; those of a daemon that was built by hand count as new."""
    found = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(map(int, found.groups())) if found and found[0] != "0.0.0" else OLDEST


def broken(name: str, error: OllamaMCPError, mend: str = "") -> Check:
    """Judge something that failed; the error's own hint mends it, if nothing is said."""
    told = failure(OllamaMCPError(error.message)).removeprefix("Error: ").rstrip(".")
    hint = failure(OllamaMCPError(error.hint)).removeprefix("Error: ").rstrip(".")
    return Check(name, "fail", told, mend or hint)


def models(rows: Sequence[Part], memory: int | None) -> Check:
    """Judge what is installed, with what each model can do; `memory` is this computer's, in bytes.

    Where nothing installed calls tools, a model is named that does, and that fits.
    """
    told = [f"{row.get('name')} ({', '.join(row.get('capabilities') or ['?'])})" for row in rows]
    more = f", and {len(told) - NAMED} more" if len(told) > NAMED else ""
    found = f"{count(len(rows), 'model')}: {', '.join(told[:NAMED])}{more}" if rows else "no model"
    if capable(rows, "tools") and capable(rows, "completion"):
        return Check("models", "ok", found)
    best = fitting(memory)[0]
    fits = f"{best.name} does, a download of {best.download:g} GB that takes {best.memory:g} GB"
    if capable(rows, "completion"):
        return Check(
            "models", "warn", f"{found}; none calls tools: {fits}", f"ollama pull {best.name}"
        )
    return Check("models", "fail", f"{found}; none chats: {fits}", f"ollama pull {best.name}")


def missing(model: str, rows: Sequence[Part]) -> Check:
    """Judge a model that was named and is not installed."""
    near = nearest(model, [str(row.get("name")) for row in rows])
    told = f"{model} is not installed" + (f"; there is {' and '.join(near)}" if near else "")
    return Check("chat", "fail", told, f"ollama pull {model}")


def chat(final: Part, text: str) -> Check:
    """Judge an answer by its last part."""
    tokens, seconds = final.get("eval_count") or 0, (final.get("eval_duration") or 0) / 1e9
    load = (final.get("load_duration") or 0) / 1e9
    rate = f", {tokens / seconds:.1f} tokens/s" if seconds else ""
    found = f"{final.get('model')} answered: {count(tokens, 'token')}{rate}, loaded in {load:.1f} s"
    if not (tokens and text.strip()):
        return Check("chat", "warn", f"{found}, with nothing", "another model: --model M")
    return Check("chat", "ok", found)


def placement(row: Part | None) -> Check:
    """Judge where a loaded model runs, by its row of `/api/ps`."""
    mend = "`ollama ps` and the daemon's log tell why; drivers, or another program on the GPU"
    size, on_gpu = (row or {}).get("size") or 0, (row or {}).get("size_vram") or 0
    if row is None:
        return Check("gpu", "warn", "not known: the model was unloaded at once", "ollama ps")
    if not on_gpu:  # size is 0 then too, where the runner does not tell it
        return Check("gpu", "warn", f"{row.get('name')} runs on the CPU", mend)
    if on_gpu < size:
        told = f"{row.get('name')} runs with {100 * on_gpu / size:.0f} % on the GPU"
        return Check("gpu", "warn", told, "a smaller model, or a smaller window (num_ctx)")
    return Check("gpu", "ok", f"{row.get('name')} runs on the GPU")


def servers(rows: Sequence[Row]) -> list[Check]:
    """Judge the MCP servers of agents, each that was started."""
    if not rows:
        return [Check("servers", "ok", "no MCP servers are configured for agents")]
    found = []
    for row in rows:
        name = f"server {row.definition.name}"
        if row.error is not None:
            mend = f"the entry in {row.definition.source}; ollama-mcp-server servers --connect"
            found.append(Check(name, "fail", row.error, mend))
        elif row.tools is None:
            found.append(Check(name, "ok", f"not started: {row.why}"))
        else:
            found.append(Check(name, "ok", count(len(row.tools), "tool")))
    return found


def port(settings: Settings, holder: Literal["free", "ours", "other"]) -> Check:
    """Judge the port of the HTTP transport."""
    where = f"{settings.host}:{settings.port}"
    if holder == "other":
        return Check(
            "port",
            "fail" if settings.transport == "http" else "warn",
            f"another program holds {where}, where --transport http would listen",
            f"ollama-mcp-server --transport http --port {settings.port + 1}",
        )
    told = "this server answers there" if holder == "ours" else "free for --transport http"
    return Check("port", "ok", f"{where}: {told}")


def token(settings: Settings, refusal: str | None, *, asks: bool) -> Check:
    """Judge who may call over HTTP; `refusal` is why the server would not bind."""
    if refusal is not None:
        mend = "export OLLAMA_MCP_AUTH_TOKEN=$(openssl rand -hex 32)"
        return Check("token", "fail", f"none, and {settings.host} is not loopback", mend)
    if asks:
        return Check("token", "ok", "HTTP asks for a token or a key")
    return Check("token", "ok", f"none, and none is needed on {settings.host}")


def worst(checks: Sequence[Check]) -> Status:
    """Return the worst status of some checks."""
    found = {check.status for check in checks}
    return "fail" if "fail" in found else "warn" if "warn" in found else "ok"


def summary(checks: Sequence[Check]) -> str:
    """Return what the checks mean, in a line."""
    failed = sum(check.status == "fail" for check in checks)
    doubtful = sum(check.status == "warn" for check in checks)
    if not failed and not doubtful:
        return "All is well."
    return f"{count(len(checks), 'check')}: {failed} failed, {doubtful} to be looked at."


def as_data(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Return checks as `--json` prints them."""
    return [asdict(check) for check in checks]
