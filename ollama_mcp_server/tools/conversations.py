"""The conversations that the server keeps: see them, and have them forgotten."""

from typing import Annotated

from fastmcp import Context
from fastmcp.tools import ToolResult
from pydantic import Field

from ..app import App
from ..daemon.results import Result
from ..tool import tool
from ._answers import result
from ._hints import DESTROYS, MEMORY

#: Conversations in one answer; the newest stand first.
PAGE = 40


class KeptConversation(Result):
    """One line of the list."""

    handle: str
    title: str = Field(description="How its first user message begins.")
    model: str | None = Field(None, description="The model that answered last.")
    turns: int = Field(description="User messages in it.")
    bytes: int
    updated: str = Field(description="Its last turn; it expires a week later.")


class ConversationList(Result):
    """The caller's conversations."""

    conversations: list[KeptConversation]
    total: int = Field(description="How many there are, on all pages.")
    next_offset: int | None = Field(None, description="offset of the next page, if there is one.")
    forgotten: int | None = Field(None, description="How many were forgotten by this call.")


@tool(
    title="List or forget kept conversations",
    annotations=DESTROYS,
    tags={"conversations", MEMORY},
    returns=ConversationList,
)
async def ollama_conversations(
    ctx: Context,
    forget: Annotated[
        str | None,
        Field(
            min_length=1,
            description="Handle of the conversation to forget, or all. Default: none, only list.",
        ),
    ] = None,
    offset: Annotated[
        int, Field(ge=0, description="Conversations to skip; next_offset of the page before.")
    ] = 0,
) -> ToolResult:
    """List the conversations that this server keeps for you, or forget them for good.

    Use to find the handle of an earlier conversation, or to make room; to begin or go on with one
    use ollama_chat with conversation. Without forget it only reads, in milliseconds; what is
    forgotten cannot be had back. Each expires a week after its last turn. Returns conversations,
    the last used first, with handle, title, model, turns, bytes and updated; 40 at a time.
    """
    app = App.of(ctx)
    owner, forgotten = app.owner(ctx), None
    if forget == "all":
        forgotten = await app.conversations.forget_all(owner)
    elif forget:
        await app.conversations.forget(forget, owner)
        forgotten = 1
    found = await app.conversations.listed(owner)
    following = offset + PAGE if offset + PAGE < len(found) else None
    page = [
        KeptConversation(
            handle=line.handle,
            title=line.title,
            model=line.model or None,
            turns=line.turns,
            bytes=line.bytes,
            updated=line.updated,
        )
        for line in found[offset : offset + PAGE]
    ]
    said = ConversationList(
        conversations=page, total=len(found), next_offset=following, forgotten=forgotten
    )
    lines = [f"{forgotten} forgotten, {len(found)} left"] if forget else []
    lines += [
        f"{row.handle}: {row.title or 'without text'} (turns: {row.turns}, bytes: {row.bytes:,}, "
        f"model: {row.model or 'none'}, {row.updated})"
        for row in page
    ] or ([] if forget else ["no conversation is kept"])
    if following:
        lines.append(f"[{len(found) - following} more: offset {following}]")
    return result(said, "\n".join(lines))
