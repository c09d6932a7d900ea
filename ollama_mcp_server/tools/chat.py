"""Chat with a model."""

from typing import Any

from fastmcp import Context
from fastmcp.tools import ToolResult, tool

from ..daemon.results import ChatAnswer
from ..schemas import published
from ._answers import ask_model, chat_result
from ._arguments import (
    ChatTools,
    DebugRenderOnly,
    Format,
    KeepAlive,
    Logprobs,
    Messages,
    ModelOptions,
    OptionalModel,
    Shift,
    Think,
    Timeout,
    TopLogprobs,
    Truncate,
)
from ._hints import ASKS


@tool(
    title="Chat with a local model",
    annotations=ASKS,
    tags={"chat"},
    output_schema=published(ChatAnswer),
)
async def ollama_chat(
    ctx: Context,
    messages: Messages,
    model: OptionalModel = None,
    tools: ChatTools = None,
    format: Format = None,
    options: ModelOptions = None,
    think: Think = None,
    keep_alive: KeepAlive = None,
    logprobs: Logprobs = None,
    top_logprobs: TopLogprobs = None,
    truncate: Truncate = None,
    shift: Shift = None,
    timeout: Timeout = None,
    debug_render_only: DebugRenderOnly = None,
) -> ToolResult:
    """Send a conversation to a local model and return its next message.

    Use for roles, history, pictures or tool calling; for one plain prompt use ollama_generate,
    for OpenAI's request and response shapes chat_completion. Private and free: nothing leaves the
    daemon, but for models marked remote in ollama_list. The first call loads the model (seconds);
    a long answer takes minutes, shows progress, and stops at the daemon when cancelled.
    Returns content (with tool_calls instead, if the model wants tools), done_reason, usage.
    """
    body: dict[str, Any] = {
        "model": model,
        "messages": [message.sent() for message in messages],
        "tools": tools,
        "format": format,
        "think": think,
        "keep_alive": keep_alive,
        "logprobs": logprobs,
        "top_logprobs": top_logprobs,
        "truncate": truncate,
        "shift": shift,
        "_debug_render_only": debug_render_only,
    }
    answer, warnings = await ask_model(ctx, "/api/chat", body, options, timeout)
    return chat_result(answer, warnings)
