"""The installed models, all of them and each one."""

from urllib.parse import quote

from fastmcp import Context
from fastmcp.resources import Resource, ResourceSecurity, resource
from mcp_types import Annotations

from ..app import App
from ..daemon.inventory import line_of, model_list, shown
from ..daemon.results import ModelInfo
from ._json import JSON, text_of

#: Where the list is; a model's own resource is below it.
MODELS = "ollama://models"


@resource(
    MODELS,
    name="models",
    title="Installed models",
    mime_type=JSON,
    annotations=Annotations(priority=0.8),
)
async def models(ctx: Context) -> str:
    """List the models installed in Ollama, newest first, with what each can do: as ollama_list."""
    app = App.of(ctx)
    app.catalog.forget()  # what others have changed shows at once
    rows = await app.catalog.installed()
    return text_of(model_list(rows, len(rows)))


@resource(
    MODELS + "/{name*}",
    name="model",
    title="One installed model",
    mime_type=JSON,
    annotations=Annotations(priority=0.5),
    # A name goes to the daemon as JSON and never becomes a path; x:7b would look like a drive.
    security=ResourceSecurity(exempt_params={"name"}),
)
async def model(ctx: Context, name: str) -> str:
    """Show what one installed model is, as ollama_show: capabilities, details, parameters.

    The name may be written with its slashes and colon, or percent-encoded.
    """
    told = await shown(App.of(ctx).client, name)
    return text_of(ModelInfo.model_validate({"model": name, **told}))


def uri_of(name: str) -> str:
    """Return where a model's resource is; a name without a tag means the tag latest."""
    tagged = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
    return f"{MODELS}/{quote(tagged, safe='/:@')}"


async def instances(ctx: Context) -> list[Resource]:
    """Return a resource for each installed model."""
    app = App.of(ctx)
    app.catalog.forget()  # what others have changed shows at once
    return [
        Resource(
            uri=uri_of(str(row["name"])),
            name=str(row["name"]),
            title=str(row["name"]),
            description=line_of(row),
            mime_type=JSON,
            annotations=Annotations(priority=0.2, last_modified=row.get("modified_at")),
        )
        for row in await app.catalog.installed()
    ]
