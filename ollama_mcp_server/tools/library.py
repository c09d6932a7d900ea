"""Change the library: pull, create, delete."""

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

from fastmcp import Context
from fastmcp.tools import ToolResult
from mcp_types import InputRequiredResult
from pydantic import BeforeValidator, Field

from ..app import App
from ..daemon.hosts.choice import check_one
from ..daemon.options import Options
from ..daemon.results import Done
from ..delegation.transfer import transfer
from ..errors import InvalidArgument, OllamaMCPError
from ..tool import tool
from ._answers import given, moved_result, result
from ._arguments import HIDDEN, OBJECTS, OPEN_OBJECT, Insecure, Message, Model, Timeout, shown
from ._changes import library_changed
from ._confirm import confirmed
from ._hints import DESTROYS, FETCHES, LONG, REPLACES
from ._reading import from_json

Digests = Annotated[dict[str, str] | None, BeforeValidator(from_json)]
BuiltInOptions = Annotated[
    Options | None,
    BeforeValidator(from_json),
    shown(OPEN_OBJECT, 'Built-in options: {"temperature": 0.2, "num_ctx": 8192}.'),
]


@tool(
    title="Pull a model from a registry",
    annotations=FETCHES,
    tags={"models", LONG},
    returns=Done,
)
async def ollama_pull(
    ctx: Context,
    model: Annotated[
        str,
        Field(min_length=1, description="Name in the registry: qwen3:4b, hf.co/USER/REPO:Q4_K_M."),
    ],
    insecure: Insecure = None,
    timeout: Timeout = None,
) -> ToolResult:
    """Download a model from the Ollama registry (or hf.co/…, or your own) to this machine.

    Use when a model is not installed yet (see ollama_list) or to update it; pulling what is there
    costs nothing. Needs the network and disk: often 1 to 40 GB, minutes to hours, with progress.
    A local disk without room is told before the bulk. Cancelling stops it and keeps what came;
    the next call resumes. Returns status success and the bytes of its layers.
    """
    app = App.of(ctx)
    disk = await models_folder(app)
    async with app.progress(ctx, f"asking the registry for {model}") as progress:
        moved = await transfer(
            app.client,
            "/api/pull",
            given(model=model, insecure=insecure),
            progress=progress,
            disk=disk,
            timeout_ms=timeout,
        )
    await library_changed(ctx, model)
    return moved_result(model, moved, f"{model} is installed")


@tool(
    title="Create a model",
    annotations=REPLACES,
    tags={"models", LONG},
    returns=Done,
)
async def ollama_create(
    ctx: Context,
    model: Annotated[str, Field(min_length=1, description="Name of the new model: my-reviewer.")],
    # Not None by default: Python 3.10 would take that for an Optional, and lose the alias.
    from_: Annotated[
        str,
        Field(
            alias="from",
            description="Model it is based on: qwen3:8b; pulled if it is not installed.",
        ),
    ] = "",
    system: Annotated[str | None, Field(description="System prompt built in.")] = None,
    parameters: BuiltInOptions = None,
    template: Annotated[str | None, Field(description="Prompt template (Go).")] = None,
    messages: Annotated[
        list[Message] | None,
        BeforeValidator(from_json),
        shown(OBJECTS, 'Examples before each chat: [{"role": "user", "content": "Hi"}, …].'),
    ] = None,
    timeout: Timeout = None,
    files: Annotated[
        Digests,
        Field(
            description="Weights instead of from: file name to sha256:… of a blob that was "
            "uploaded over Ollama's API.",
            json_schema_extra=HIDDEN,
        ),
    ] = None,
    license: Annotated[
        Any,
        BeforeValidator(from_json),
        Field(description="Licence text or texts.", json_schema_extra=HIDDEN),
    ] = None,
    quantize: Annotated[
        str | None,
        Field(description="For safetensors: q4_K_M, q8_0.", json_schema_extra=HIDDEN),
    ] = None,
    renderer: Annotated[
        str | None, Field(description="Built-in renderer.", json_schema_extra=HIDDEN)
    ] = None,
    parser: Annotated[
        str | None, Field(description="Built-in parser.", json_schema_extra=HIDDEN)
    ] = None,
    requires: Annotated[
        str | None, Field(description="Least Ollama version.", json_schema_extra=HIDDEN)
    ] = None,
    info: Annotated[
        dict[str, Any] | None,
        BeforeValidator(from_json),
        Field(description="Further facts: capabilities, …", json_schema_extra=HIDDEN),
    ] = None,
    adapters: Annotated[
        Digests, Field(description="LoRA adapters (before 0.34.4).", json_schema_extra=HIDDEN)
    ] = None,
    remote_host: Annotated[
        str | None,
        Field(description="Where a remote model runs.", json_schema_extra=HIDDEN),
    ] = None,
    draft_files: Annotated[
        Digests, Field(description="Weights of a draft model.", json_schema_extra=HIDDEN)
    ] = None,
    draft_quantize: Annotated[
        str | None, Field(description="Format of a draft model.", json_schema_extra=HIDDEN)
    ] = None,
) -> ToolResult:
    """Create a model from an installed one, with its own system prompt, parameters or template.

    Use to keep a role or settings under a name; for a single call pass system and options to
    ollama_generate instead. Weights are shared with `from`, so it takes seconds and almost no disk.
    A model of the same name is replaced. Returns status success.
    """
    app = App.of(ctx)
    body = given(
        model=model,
        system=system,
        template=template,
        license=license,
        files=files,
        quantize=quantize,
        parameters=parameters.sent() if parameters else None,
        messages=[message.sent() for message in messages] if messages else None,
        renderer=renderer,
        parser=parser,
        requires=requires,
        info=info,
        adapters=adapters,
        remote_host=remote_host,
        draft_files=draft_files,
        draft_quantize=draft_quantize,
        **{"from": from_ or None},
    )
    if parameters and parameters.unknown:
        raise InvalidArgument(
            f"parameters: Ollama does not know {', '.join(parameters.unknown)}",
            "A model with them would ignore them; see ollama_show of another",
        )
    async with app.progress(ctx, f"creating {model}") as progress:
        moved = await transfer(
            app.client, "/api/create", body, progress=progress, timeout_ms=timeout
        )
    await library_changed(ctx, model)
    return moved_result(model, moved, f"{model} is created")


@tool(title="Delete a model", annotations=DESTROYS, tags={"models"}, returns=Done)
async def ollama_delete(ctx: Context, model: Model) -> ToolResult | InputRequiredResult:
    """Delete an installed model from this machine's disk.

    Use only when the user wants it gone; to free memory and keep the model use ollama_load with
    keep_alive 0. Cannot be undone but by another ollama_pull, or ollama_create for one's own.
    Asks the user first where the host can ask. Layers that other models share stay.
    Returns status success, or declined.
    """
    app = App.of(ctx)
    row = await app.catalog.find(model)
    size = f" ({(row.get('size') or 0) / 1e9:.2f} GB)" if row else ""
    hosts = (row or {}).get("hosts") or ()
    check_one(hosts, model)  # before a person is asked
    where = f", host {hosts[0]}" if hosts else ""
    answer = await confirmed(ctx, f"Delete the model {model}{size} from disk{where}?")
    if isinstance(answer, InputRequiredResult):
        return answer
    if not answer:
        said = Done(model=model, status="declined")
        return result(said, f"{model} was not deleted: the user declined")
    await app.client.request("DELETE", "/api/delete", {"model": model})
    await library_changed(ctx, model)
    return result(Done(model=model, status="success"), f"{model} is deleted")


async def models_folder(app: App) -> Path | None:
    """Return the folder where a local daemon keeps its models, or None where it cannot be known.

    The Modelfile of an installed model names the path of its weights (`/api/show`, modelfile).
    """
    if not app.client.address.is_loopback:
        return None
    # Whatever keeps the daemon from telling, the pull itself will say it, or does not need it.
    with suppress(OllamaMCPError):
        own = [row for row in await app.catalog.installed() if not row.get("remote_host")]
        for row in own[:1]:
            shown = await app.client.request("POST", "/api/show", {"model": row["name"]})
            for line in str(shown.get("modelfile")).splitlines():
                folder = Path(line.removeprefix("FROM ")).parent
                if line.startswith("FROM /") and folder.is_dir():
                    return folder
    return None
