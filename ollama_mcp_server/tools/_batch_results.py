"""How the results of a batch are shown."""

import json
from typing import Any

from fastmcp import Context
from fastmcp.tools import ToolResult
from pydantic import Field

from ..app import App
from ..daemon.results import Json, Result, Usage
from ..daemon.wire import Part
from ..delegation.batch.ledger import Ledger, fitting
from ..errors import OllamaMCPError, TooLarge
from ._answers import result

#: The resource of a batch's results is below it.
BATCHES = "ollama://batches/"
#: Of a line of the file, what is answered.
SHOWN = ("index", "name", "model", "content", "data", "error", "done_reason")


class BatchResult(Result):
    """One item's result."""

    index: int = Field(description="Of the item, from 0.")
    name: str | None = Field(None, description="Of the file.")
    model: str | None = Field(None, description="Where several were asked.")
    content: str | None = None
    data: Json = Field(None, description="The answer by a format.")
    error: dict[str, Any] | None = Field(None, description="code, message, hint.")
    done_reason: str | None = Field(None, description="length: it was cut.")


class Batch(Result):
    """What a batch came to."""

    results: list[BatchResult] = Field(description="In the order of the items; not all, if cut.")
    done: int
    failed: int
    total: int = Field(description="Items times models.")
    models: list[str]
    output: str | None = Field(None, description="File of all results, as JSON Lines.")
    resource: str | None = Field(None, description="All results, as JSON Lines, for 30 minutes.")
    usage: Usage
    warnings: list[str] | None = None


def answered(ledger: Ledger, characters: int) -> tuple[list[Part], bool]:
    """Return the results that are answered: as many as fit, without what the caller knows."""
    hidden = {"model"} if len(ledger.models) == 1 else set()
    lines = [
        {name: line[name] for name in SHOWN if name in line and name not in hidden}
        for line in ledger.lines()
    ]
    return fitting(lines, characters)


def text_of(lines: list[Part]) -> str:
    """Return results as JSON Lines."""
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)


async def batch_result(
    app: App,
    ctx: Context,
    ledger: Ledger,
    file: str | None,
    characters: int,
    warnings: list[str],
) -> ToolResult:
    """Return the result of a batch, all of which is in `file` if one was given.

    Results of more than `characters` are cut, and kept behind a resource if they are in no file.
    """
    lines, whole = answered(ledger, characters)
    resource = None
    if file is None and not whole:
        try:
            resource = BATCHES + await app.kept.put(text_of(ledger.lines()), app.owner(ctx))
        except TooLarge as error:
            warnings.append(
                f"the results that are not here are lost: {error.message}. {error.hint}"
            )
    where = f"all are in {file or resource}" if file or resource else ""
    said = Batch(
        results=[BatchResult(**line) for line in lines],
        done=ledger.done,
        failed=ledger.failed,
        total=ledger.total,
        models=list(ledger.models),
        output=file,
        resource=resource,
        usage=Usage(prompt_tokens=ledger.prompt_tokens, completion_tokens=ledger.completion_tokens),
        warnings=warnings or None,
    )
    counts = f"{ledger.done} done, {ledger.failed} failed of {ledger.total}"
    told = ", ".join([counts, *([where] if where else [])])
    return result(said, "\n".join(part for part in (text_of(lines), f"[{told}]") if part))


def batch_warnings(ledger: Ledger, errors: list[OllamaMCPError], file: str | None) -> list[str]:
    """Return what a reader must know of the batch as a whole."""
    told = [f"{error.message}: the rest was not tried. {error.hint}" for error in errors]
    if ledger.earlier:
        told.append(f"{ledger.earlier} were done by an earlier call")
    if ledger.failed:
        codes = ", ".join(f"{code} {count}" for code, count in ledger.codes.most_common())
        again = "; the same call tries them again" if file else ""
        told.append(f"{ledger.failed} failed ({codes}){again}")
    told += [f"{remark} ({count} of {ledger.total})" for remark, count in ledger.remarks.items()]
    return told
