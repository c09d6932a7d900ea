"""Choose a model among those that are installed."""

from fastmcp import Context
from fastmcp.prompts import prompt

from ..app import App
from ..daemon.inventory import line_of
from ..delegation.choice import physical_memory
from ..delegation.recommended import fitting
from ..errors import OllamaMCPError
from ..glance import look
from ._words import quoted

#: More models than these are told by number.
MOST = 60
#: Models that are proposed, of those that are not installed.
PROPOSED = 3


@prompt(title="Choose a local model")
async def choose_model(ctx: Context, purpose: str) -> str:  # noqa: D417 - people give no ctx
    """Find which installed model suits a purpose, from what each can do.

    Args:
        purpose: What it is for: translate contracts, describe photos, call tools.
    """
    app = App.of(ctx)
    try:
        rows = await look(app, fresh=True)
    except OllamaMCPError as error:
        return f"""\
I wanted to choose a local model for this:

{quoted("purpose", purpose)}

The models cannot be listed. {error}
Tell me so in a sentence and what to do; once it is done, ollama_list has the models."""
    lines = [f"- {row.get('name')}: {line_of(row)}" for row in rows[:MOST]]
    if len(rows) > MOST:
        lines.append(f"- and {len(rows) - MOST} more: ollama_list")
    memory = physical_memory() if app.client.address.is_loopback else None
    proposed = "; ".join(
        f"{model.name} ({', '.join(('tools', *model.also))}: {model.download:g} GB to download)"
        for model in fitting(memory)[:PROPOSED]
    )
    room = f"This machine has {memory / 1e9:.0f} GB of memory. " if memory else ""
    return f"""\
Choose one of my local models for this:

{quoted("purpose", purpose)}

Installed, newest first, with capabilities, size on disk, parameters and longest context:
{chr(10).join(lines) or "- none"}

It must have the capability: completion for text, tools to call functions, vision for pictures, \
thinking for hard reasoning, insert to fill in code, embedding for vectors (such a model does not \
chat). Among those that do, more parameters answer better and slower, and need a fifth more memory \
than their size on disk. {room}A model marked remote sees what is sent to it: choose it only if I \
agree.

Answer with the name to pass as model and the reason in a sentence, and the second best. If none \
suits, name one from ollama.com/library with its size, and offer to get it with ollama_pull. These \
fit this machine, as far as its memory is known: {proposed}."""
