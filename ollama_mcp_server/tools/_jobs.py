"""How a job is shown."""

from typing import Any

from fastmcp.tools import ToolResult

from ..delegation.jobs import Elsewhere, Job

#: Characters of an unfinished answer that are shown, from its end.
SHOWN = 20_000


def summary(job: Job | Elsewhere) -> dict[str, Any]:
    """Return how far a job is, without its text."""
    said: dict[str, Any] = {"job": job.handle, "status": job.status, "tool": job.tool}
    if job.progress is not None and job.progress.message:
        said["progress"] = job.progress.message
    return said | {"seconds": round(job.seconds, 1)}


def line(said: dict[str, Any]) -> str:
    """Return a job's summary as a line of text."""
    told = f"{said['job']}: {said['tool']} {said['status']}, {said['seconds']} s"
    return told + (f", {said['progress']}" if "progress" in said else "")


def state_of(job: Job | Elsewhere, *, text: bool) -> ToolResult:
    """Return how far a job is; with its `text`, what there is of the answer so far."""
    content = job.progress.so_far()[-SHOWN:] if job.progress is not None and text else ""
    said = summary(job)
    notes = [f"[{line(said)}]"]
    if job.status == "running":
        said["next"] = f"the work goes on; call ollama_job with job: {job.handle} for the rest"
        notes.append(f"[{said['next']}]")
    if content:
        said = {"content": content, **said}
        notes.insert(0, content)
    return ToolResult(content="\n".join(notes), structured_content=said)
