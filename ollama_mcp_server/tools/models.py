"""What is installed, what it can do, what is loaded."""

from typing import Annotated, Any, Literal

from fastmcp import Context
from fastmcp.tools import ToolResult
from pydantic import BeforeValidator, Field

from ..app import App
from ..daemon.hosts.survey import line_of as line_of_host
from ..daemon.hosts.survey import silent
from ..daemon.inventory import line_of, model_list, running, shown, size_of, told
from ..daemon.options import Options, is_zero
from ..daemon.results import Loaded, ModelInfo, ModelList, Running, meta, timings
from ..delegation.deadline import deadline
from ..tool import tool
from ._answers import ask_model, option_warnings, result
from ._arguments import HIDDEN, KeepAlive, LoadOptions, Model, Timeout
from ._hints import LOADS, MEMORY, READS
from ._jobs import line, summary
from ._reading import from_json


@tool(
    title="List installed models",
    annotations=READS,
    tags={"models"},
    returns=ModelList,
)
async def ollama_list(
    ctx: Context,
    name: Annotated[
        str | None, Field(description="Only models whose name holds this text: qwen.")
    ] = None,
    capability: Annotated[
        Literal["completion", "tools", "vision", "thinking", "insert", "embedding"] | None,
        Field(description="Only models that can do this."),
    ] = None,
    limit: Annotated[
        int, Field(ge=1, le=200, description="Models a page, 1 to 200; default 50.")
    ] = 50,
    offset: Annotated[
        int, Field(ge=0, description="Models to skip; next_offset of the page before.")
    ] = 0,
) -> ToolResult:
    """List the models installed in Ollama, newest first, with what each can do.

    Use it first, to choose a model for the other tools; for one model's parameters use
    ollama_show, for what is in memory ollama_ps. Reads only, in milliseconds. Returns models with
    name, capabilities, size in bytes and details (context_length, parameter_size); remote_host
    marks a model that runs elsewhere, where prompts leave this machine.
    """
    rows = [
        row
        for row in await App.of(ctx).catalog.installed()
        if (not name or name.lower() in str(row.get("name")).lower())
        and (not capability or capability in (row.get("capabilities") or ()))
    ]
    page = rows[offset : offset + limit]
    following = offset + limit if offset + limit < len(rows) else None
    said = model_list(page, len(rows), following)
    if notes := silent(App.of(ctx).client.hosts):
        said = said.model_copy(update={"warnings": notes})
    lines = [f"{row.get('name')}: {line_of(row)}" for row in page] or [
        "no model matches"
        if name or capability or offset
        else "no model is installed; get one with ollama_pull, such as qwen3:4b"
    ]
    if following:
        lines.append(f"[{len(rows) - following} more: offset {following}]")
    return result(said, "\n".join(lines))


@tool(title="Show one model", annotations=READS, tags={"models"}, returns=ModelInfo)
async def ollama_show(
    ctx: Context,
    model: Model,
    verbose: Annotated[
        bool,
        Field(
            description="true adds licence, template, Modelfile, messages and tensors: tens of "
            "kilobytes. Default false."
        ),
    ] = False,
    system: Annotated[
        str | None,
        Field(description="System prompt to show the Modelfile with.", json_schema_extra=HIDDEN),
    ] = None,
    options: Annotated[
        Options | None,
        BeforeValidator(from_json),
        Field(description="Options to show the Modelfile with.", json_schema_extra=HIDDEN),
    ] = None,
) -> ToolResult:
    """Show what one installed model is: capabilities, context length, parameters, system prompt.

    Use before a call that needs a capability or a long context, or to see a model's defaults; for
    all models in short use ollama_list. Reads only, in milliseconds. Returns capabilities,
    details, parameters (the Modelfile's, as text) and model_info, whose
    <architecture>.context_length is the longest window. Long texts are left out unless verbose.
    """
    more: dict[str, Any] = {"system": system} if system is not None else {}
    if options:
        more["options"] = options.sent()
    fields = await shown(App.of(ctx).client, model, verbose=verbose, **more)
    said = told(ModelInfo, {"model": model, **fields})
    lines = [f"{model}: {', '.join(said.capabilities or ())}"]
    lines += [f"{key}: {value}" for key, value in (fields.get("details") or {}).items() if value]
    lines += [
        f"{key}: {value}"
        for key, value in fields.items()
        if key not in ("capabilities", "details", "model_info", "warnings") and value
    ]
    lines += [f"{key}: {value}" for key, value in fields["model_info"].items()]
    return result(said, "\n".join(lines))


@tool(
    title="Show what is running",
    annotations=READS,
    tags={"models"},
    returns=Running,
)
async def ollama_ps(ctx: Context) -> ToolResult:
    """Show the models loaded in memory, and the daemon's version and address.

    Use to see what holds memory, how large its context is and when it unloads, or whether the
    daemon answers at all; for what is on disk use ollama_list. Reads only, in milliseconds; a
    model that is still loading is not shown. Returns models (name, size in bytes, context_length,
    expires_at), version, host.
    """
    app = App.of(ctx)
    said = await running(app.client, app.catalog)
    hosts = [line_of_host(host) for host in getattr(said, "hosts", None) or ()]
    lines = hosts or [f"Ollama {said.version} at {said.host}"]
    lines += [
        f"{row.name}: {size_of(row.size)} in memory, context {row.context_length}, until "
        f"{row.expires_at}{f', on {row.host}' if hasattr(row, 'host') else ''}"
        for row in said.models
    ]
    lines += [] if said.models else ["no model is loaded"]
    jobs = [summary(job) for job in app.jobs.of(app.owner(ctx)) if job.status == "running"]
    said.jobs = jobs or None
    return result(said, "\n".join([*lines, *(line(job) for job in jobs)]))


@tool(
    title="Load, keep or unload a model",
    annotations=LOADS,
    tags={"models", MEMORY},
    returns=Loaded,
)
async def ollama_load(
    ctx: Context,
    model: Model,
    keep_alive: KeepAlive = None,
    options: LoadOptions = None,
    timeout: Timeout = None,
) -> ToolResult:
    """Load a model into memory ahead of use, keep it there longer, or unload it.

    Use before a series of calls, to spare the first one the load (seconds to a minute), or with
    keep_alive 0 to free memory at once (ollama_ps shows what holds it); a single call loads by
    itself. May push out another model when memory is short, and warns then. Changes
    nothing on disk. Returns done_reason load or unload.
    """
    app = App.of(ctx)
    before = {row["name"] for row in await app.catalog.running()}
    row = await app.catalog.find(model)
    body: dict[str, Any] = {"model": model, "keep_alive": keep_alive}
    if row is not None and "embedding" in (row.get("capabilities") or ()):
        if options:
            body["options"] = options.sent()
        body = {name: value for name, value in body.items() if value is not None}
        # /api/generate loads no such model, but unloads any; /api/embed may answer while it goes
        unloads = is_zero(keep_alive)
        path = "/api/generate" if unloads else "/api/embed"
        rest: dict[str, Any] = {"stream": False} if unloads else {"input": []}
        with deadline(timeout):
            answer = await app.client.request("POST", path, {**body, **rest})
        reason, warnings = answer.get("done_reason", "load"), option_warnings(options)
    else:
        said = await ask_model(ctx, "/api/generate", body, options, timeout)
        answer, reason, warnings = said.final, said.done_reason, said.warnings
    after = {row["name"] for row in await app.catalog.running()}
    gone = sorted(before - after - {model})
    warnings += [f"{name} was unloaded to make room" for name in gone if reason == "load"]
    loaded = Loaded(
        model=model,
        done_reason=reason,
        load_seconds=timings(answer).get("load"),
        warnings=warnings or None,
    )
    return result(loaded, f"{model} is {reason}ed", meta(answer))
