"""Tell the clients when a call of theirs has changed the library."""

from fastmcp import Context
from mcp.server.subscriptions import ResourcesListChanged, ResourceUpdated, SubscriptionBus
from mcp_types import ResourceListChangedNotification
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from ..app import App
from ..delegation.jobs import current
from ..resources.models import MODELS, uri_of

#: Under this key the server's lifespan context holds the bus on which changes are told.
BUS = "changes"


async def library_changed(ctx: Context, model: str) -> None:
    """Forget what was known of the library, and tell that `model` has come, changed or gone.

    Clients of 2026-07-28 learn it where they listen (subscriptions/listen); the caller, if it is
    older, by a notification within its call. Work that goes on after its call sends it outside.
    """
    app = App.of(ctx)
    app.catalog.forget()
    bus: SubscriptionBus = ctx.lifespan_context[BUS]
    for event in (ResourcesListChanged(), ResourceUpdated(MODELS), ResourceUpdated(uri_of(model))):
        await bus.publish(event)
    request = ctx.request_context
    if request is None or request.protocol_version in MODERN_PROTOCOL_VERSIONS:
        return
    goes_on = any(job is current.get() for job in app.jobs.of(app.owner(ctx)))
    # What goes with a request that has been answered is dropped; the connection may still stand.
    await ctx.session.send_notification(
        ResourceListChangedNotification(),
        related_request_id=None if goes_on else ctx.request_id,
    )
