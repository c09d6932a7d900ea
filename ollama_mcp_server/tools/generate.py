"""Complete a prompt."""

from typing import Annotated, Any

from fastmcp import Context
from fastmcp.tools import ToolResult
from pydantic import Field

from ..daemon.results import ChatAnswer
from ..tool import tool
from ._answers import ask_model, chat_result
from ._arguments import (
    HIDDEN,
    DebugRenderOnly,
    Files,
    Format,
    Images,
    Logprobs,
    ModelOptions,
    OptionalModel,
    QuietKeepAlive,
    Retries,
    Shift,
    Think,
    Timeout,
    TopLogprobs,
    Truncate,
)
from ._hints import ASKS, LONG


@tool(
    title="Complete a prompt with a local model",
    annotations=ASKS,
    tags={"chat", LONG},
    returns=ChatAnswer,
)
async def ollama_generate(
    ctx: Context,
    prompt: Annotated[str, Field(description="The task or text; empty loads the model.")],
    model: OptionalModel = None,
    system: Annotated[
        str | None,
        Field(
            description="System prompt in place of the model's "
            'own, such as "Answer in one sentence."'
        ),
    ] = None,
    suffix: Annotated[
        str | None,
        Field(
            description="Text after the gap: the model fills in "
            "between prompt and suffix (insert models)."
        ),
    ] = None,
    files: Files = None,
    images: Images = None,
    format: Format = None,
    options: ModelOptions = None,
    think: Think = None,
    keep_alive: QuietKeepAlive = None,
    raw: Annotated[
        bool | None,
        Field(description="true sends the prompt without the model's template; not with system."),
    ] = None,
    template: Annotated[
        str | None,
        Field(description="Go template in place of the model's own.", json_schema_extra=HIDDEN),
    ] = None,
    context: Annotated[
        list[int] | None,
        Field(
            description="Tokens of an earlier call (deprecated by Ollama); [] asks for this "
            "call's, in _meta.",
            json_schema_extra=HIDDEN,
        ),
    ] = None,
    logprobs: Logprobs = None,
    top_logprobs: TopLogprobs = None,
    truncate: Truncate = None,
    shift: Shift = None,
    timeout: Timeout = None,
    retries: Retries = 2,
    debug_render_only: DebugRenderOnly = None,
) -> ToolResult:
    """Run one prompt through a local model and return the text.

    Use for a single task without history: summarise, classify, translate, extract (with format),
    describe a picture, fill in code between prompt and suffix. For roles, history or tools use
    ollama_chat. Private and free: prompts stay at the daemon, but for remote models. The first
    call loads the model (seconds); long answers take minutes, show
    progress, and stop at the daemon when cancelled. Returns content, done_reason, usage.
    """
    body: dict[str, Any] = {
        "model": model,
        "prompt": prompt,
        "system": system,
        "suffix": suffix,
        "images": images,
        "format": format,
        "think": think,
        "keep_alive": keep_alive,
        "raw": raw,
        "template": template,
        "context": context,
        "logprobs": logprobs,
        "top_logprobs": top_logprobs,
        "truncate": truncate,
        "shift": shift,
        "_debug_render_only": debug_render_only,
    }
    answer = await ask_model(
        ctx, "/api/generate", body, options, timeout, files=files, retries=retries
    )
    extra = {} if context is None else {"context": answer.final.get("context")}
    return chat_result(answer, **extra)
