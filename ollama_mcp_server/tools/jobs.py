"""Work that goes on after its call was answered."""

from typing import Annotated, Literal

from fastmcp import Context
from fastmcp.tools import ToolResult
from pydantic import Field

from ..app import App, reporter
from ..delegation.jobs import Elsewhere, Job, Jobs
from ..errors import InvalidArgument, OllamaMCPError
from ..tool import tool
from ._hints import RESUMES
from ._jobs import line, state_of, summary

#: Seconds that a call waits where it is not told how long: less than any client's patience.
WAIT = 45.0


@tool(
    title="Wait for work that goes on",
    annotations=RESUMES,
    tags={"chat", "models"},
    returns=None,
)
async def ollama_job(
    ctx: Context,
    job: Annotated[str | None, Field(description="The handle: job_…. Not for list.")] = None,
    action: Annotated[
        Literal["wait", "read", "cancel", "list"],
        Field(
            description="wait (default) for the result, read what there is now, cancel the "
            "work, or list the jobs."
        ),
    ] = "wait",
    wait: Annotated[
        float | None,
        Field(ge=0, le=3600, description="Seconds to wait at most; default 45."),
    ] = None,
) -> ToolResult:
    """Get the result of a call that answered with a job handle because it takes long.

    Use when ollama_generate, ollama_pull or another tool returned job: the work goes on meanwhile;
    call again until its status is no longer running. Results are kept for 30 minutes. Returns the
    tool's own result once it is there, else status, progress and seconds.
    """
    app = App.of(ctx)
    jobs, owner = app.jobs, app.owner(ctx)
    if action == "list":
        return await _listed(jobs, owner)
    if job is None:
        raise InvalidArgument("job is missing", "Give the handle, or action: list")
    found = await jobs.found(job, owner)
    if action == "cancel":
        await found.stop()
    elif action == "wait" and found.status == "running":
        progress = found.progress
        if progress is not None:
            progress.attach(reporter(ctx))
        try:
            await found.wait(app.settings.wait or WAIT if wait is None else wait)
        finally:
            if progress is not None:
                progress.detach()
    if found.status == "done":
        result: ToolResult = found.result()
        return result
    return state_of(found, text=action != "wait")


async def _listed(jobs: Jobs, owner: str) -> ToolResult:
    """Return the jobs of all servers that share a state, the newest first."""
    found: list[Job | Elsewhere] = [*jobs.of(owner)]
    warnings = []
    try:
        found += await jobs.elsewhere(owner)
    except OllamaMCPError as error:
        warnings.append(f"jobs of other servers are not listed: {error.message}. {error.hint}")
    found.sort(key=lambda job: job.since, reverse=True)
    rows = [summary(job) for job in found]
    lines = [line(row) for row in rows] or ["no jobs"]
    said = {"jobs": rows, **({"warnings": warnings} if warnings else {})}
    shown = "\n".join([*lines, *(f"[{warning}]" for warning in warnings)])
    return ToolResult(content=shown, structured_content=said)
