"""Completion of what a person types into a prompt's or a template's field."""

from urllib.parse import unquote

from fastmcp.server.dependencies import get_context
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from .app import App
from .daemon.catalog import capable, full_name
from .delegation.choice import resolve
from .glance import glance
from .reading import instances

#: Values in an answer, at most (MCP, completion).
MOST = 100


async def complete(
    ref: PromptReference | ResourceTemplateReference,
    argument: CompletionArgument,
    _: CompletionContext | None,
) -> Completion:
    """Return what the typed text may become: models for a prompt, what there is for a template."""
    ctx = get_context()
    if isinstance(ref, ResourceTemplateReference):
        before = ref.uri.partition("{")[0]
        uris = [str(resource.uri) for resource in await instances(ctx)]
        known = [unquote(uri[len(before) :]) for uri in uris if uri.startswith(before)]
    elif argument.name == "model":
        known = await _talkers(App.of(ctx))
    else:
        known = []
    found = matching(known, argument.value)
    return Completion(values=found[:MOST], total=len(found), has_more=len(found) > MOST)


async def _talkers(app: App) -> list[str]:
    """Return what may be given as model: every prompt needs one that can complete a text.

    Names of the user's own, for aliases and profiles, come first.
    """
    able = capable(await glance(app), "completion")
    whole = {full_name(name) for name in able}
    own = [*app.settings.aliases, *app.settings.profiles]
    usable = [name for name in own if full_name(resolve(name, app.settings).model) in whole]
    return [*usable, *able]


def matching(names: list[str], typed: str) -> list[str]:
    """Return the names that begin with what is typed, then those that hold it."""
    wanted = typed.strip().lower()
    begin = [name for name in names if name.lower().startswith(wanted)]
    hold = [name for name in names if wanted in name.lower()]
    return list(dict.fromkeys([*begin, *hold]))
