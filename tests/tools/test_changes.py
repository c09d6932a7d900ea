"""Whoever changes the library is told that the list of resources has changed, and who listens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import mcp_types
import pytest
from fastmcp import FastMCP
from mcp import MCPError
from mcp.client.subscriptions import ListenNotSupportedError, Subscription, listen
from mcp.shared.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    ResourcesListChanged,
    ResourceUpdated,
)

from ollama_mcp_server.server import build_server
from tests.conftest import CHAT, Caller, MakeApp
from tests.fake_ollama import FakeOllama

CHANGES: Sequence[tuple[str, dict[str, Any], str]] = [
    ("ollama_pull", {"model": "gemma3:1b"}, "gemma3:1b"),
    ("ollama_create", {"model": "mine", "from": CHAT}, "mine:latest"),
    ("ollama_copy", {"source": CHAT, "destination": "me/chat:1"}, "me/chat:1"),
    ("ollama_delete", {"model": CHAT}, CHAT),
]
NOTE = "notifications/resources/list_changed"


class Notes:
    """The notifications that a client has got, but those of progress and of its subscriptions."""

    def __init__(self) -> None:
        self.methods: list[str] = []

    async def __call__(self, message: Any) -> None:
        subscribed = SUBSCRIPTION_ID_META_KEY in ((message.params and message.params.meta) or {})
        if not isinstance(message, mcp_types.ProgressNotification) and not subscribed:
            self.methods.append(message.method)


async def events(subscription: Subscription, count: int) -> set[Any]:
    found: set[Any] = set()
    with anyio.fail_after(10):
        async for event in subscription:
            found.add(event)
            if len(found) == count:
                break
    return found


@pytest.mark.parametrize(("tool", "arguments", "model"), CHANGES, ids=lambda value: str(value)[:15])
async def test_an_older_client_is_told_within_its_call(
    server: FastMCP[Any], tool: str, arguments: dict[str, Any], model: str
) -> None:
    notes = Notes()
    async with Caller(server, mode="legacy", message_handler=notes) as client:
        assert not (await client.call(tool, **arguments)).is_error
        assert notes.methods == [NOTE]
        listed = [str(each.uri) for each in await client.list_resources()]
    assert (f"ollama://models/{model}" in listed) is (tool != "ollama_delete")


@pytest.mark.parametrize(("tool", "arguments", "model"), CHANGES, ids=lambda value: str(value)[:15])
async def test_who_listens_is_told(
    server: FastMCP[Any], tool: str, arguments: dict[str, Any], model: str
) -> None:
    notes, uri = Notes(), f"ollama://models/{model}"
    watched = ["ollama://models", uri, "ollama://models/someone-elses:1b"]
    async with (
        Caller(server, message_handler=notes) as client,
        listen(
            client.session, resources_list_changed=True, resource_subscriptions=watched
        ) as subscription,
    ):
        assert subscription.honored.resources_list_changed
        assert not (await client.call(tool, **arguments)).is_error
        assert await events(subscription, 3) == {
            ResourcesListChanged(), ResourceUpdated("ollama://models"), ResourceUpdated(uri)
        }  # fmt: skip
        assert notes.methods == [], "a call of this era carries no such notification"


async def test_one_clients_change_is_told_to_another(server: FastMCP[Any]) -> None:
    async with (
        Caller(server, mode="legacy") as older,
        Caller(server) as newer,
        listen(newer.session, resources_list_changed=True) as subscription,
    ):
        await older.call("ollama_delete", model=CHAT)
        assert await events(subscription, 1) == {ResourcesListChanged()}


async def test_what_fails_or_changes_nothing_is_not_told(
    server: FastMCP[Any], daemon: FakeOllama
) -> None:
    notes = Notes()
    async with Caller(server, mode="legacy", message_handler=notes) as client:
        daemon.reply("/api/pull", {"status": "pulling manifest"}, error="digest mismatch")
        await client.error("ollama_pull", model="m")
        await client.error("ollama_delete", model="nobody")
        await client.call("ollama_list")
        await client.call("ollama_load", model=CHAT)
    assert notes.methods == []


@pytest.mark.parametrize("era", ["legacy", "auto"])
async def test_work_that_goes_on_after_its_call_tells_at_its_end(
    make_app: MakeApp, daemon: FakeOllama, era: str
) -> None:
    notes = Notes()
    server = build_server(make_app(wait=0.1))
    async with (
        Caller(server, mode=era, message_handler=notes) as client,
        Caller(server) as other,
        listen(other.session, resources_list_changed=True) as subscription,
    ):
        daemon.hold("/api/pull")
        job = (await client.call("ollama_pull", model="gemma3:1b")).structured_content
        assert job["status"] == "running"
        assert notes.methods == []
        daemon.release("/api/pull")
        assert await events(subscription, 1) == {ResourcesListChanged()}
        ended = await client.call("ollama_job", job=job["job"])
        assert ended.structured_content["status"] == "success"
        assert notes.methods == ([NOTE] if era == "legacy" else [])


async def test_what_is_promised_is_what_changes(server: FastMCP[Any]) -> None:
    async with Caller(server, mode="legacy") as client:
        told = client.server_capabilities
        assert told is not None
        assert (told.tools.list_changed, told.prompts.list_changed) == (False, False)
        assert (told.resources.list_changed, told.resources.subscribe) == (True, False)
        assert told.completions is not None
        with pytest.raises(ListenNotSupportedError):
            async with listen(client.session, resources_list_changed=True):
                pass
    async with Caller(server) as client:
        told = client.server_capabilities
        assert told is not None
        assert (told.tools.list_changed, told.prompts.list_changed) == (False, False)
        assert (told.resources.list_changed, told.resources.subscribe) == (True, True)
        async with listen(
            client.session, tools_list_changed=True, resources_list_changed=True
        ) as subscription:
            assert subscription.honored.tools_list_changed is None
            assert subscription.honored.resources_list_changed is True


async def test_the_older_wire_knows_no_listening(server: FastMCP[Any]) -> None:
    params = mcp_types.SubscriptionsListenRequestParams(
        notifications=mcp_types.SubscriptionFilter(resources_list_changed=True)
    )
    async with Caller(server, mode="legacy") as client:
        with pytest.raises(MCPError) as caught:
            await client.session.send_request(
                mcp_types.SubscriptionsListenRequest(params=params), mcp_types.EmptyResult
            )
    assert caught.value.error.code == mcp_types.METHOD_NOT_FOUND


async def test_the_end_of_the_server_ends_the_streams(server: FastMCP[Any]) -> None:
    async with (
        Caller(server) as client,
        listen(client.session, resources_list_changed=True) as subscription,
    ):
        middleware: Any = server.middleware[0]
        middleware.close()
        assert [event async for event in subscription] == []
