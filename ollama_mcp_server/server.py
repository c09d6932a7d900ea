"""From an App to an MCP server."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastmcp import FastMCP
from fastmcp.prompts import Prompt
from fastmcp.resources import Resource, ResourceTemplate
from fastmcp.tools import Tool

from . import __version__, prompts, resources, tools
from .app import KEY, App
from .completion import complete
from .discovery import discover
from .frame import Frame
from .middleware import Arguments, Calls
from .patience import LongCalls
from .placement import Placement, takes_host, with_host
from .reading import Reading
from .settings import Settings, servers_file
from .subscriptions import Subscriptions
from .tools._changes import BUS
from .tools._hints import HEEDS, LONG, MEMORY

if TYPE_CHECKING:
    from mcp.server.request_state import RequestStateSecurity

    from .tasks import Tasks

logger = logging.getLogger(__name__)

#: Toolsets, in the order of the documentation; a tool names its own by a tag.
TOOLSETS = ("chat", "models", "agent", "conversations", "publish", "web")

#: What a page of a list holds: all of it, as a rule. Without pages a cursor that nobody gave would
#: be passed over, where the protocol wants an error (MCP, pagination: -32602).
PAGE = 1_000

#: Seconds after the start when the servers of agents are looked at.
AFTER_THE_LIST = 2.0

INSTRUCTIONS = """\
Use these tools to run local language models with Ollama: private, free inference on the user's \
own machine, for chat, summaries, translation, extraction to JSON, vision, embeddings, and to \
manage the models; and ollama_agent to let one work with the tools of other MCP servers.
Start with ollama_list: it names the installed models with what each can do (capabilities: \
completion, tools, vision, thinking, insert, embedding). Then ollama_generate for one prompt, \
ollama_chat for a conversation or tool calling, ollama_batch for one prompt over many items or \
files, ollama_embed with query to search files, or for vectors; ollama_agent for an errand of \
many steps (ollama_verify_tools tells whether a model is fit for it). ollama_pull installs a \
model; that takes minutes and gigabytes.
To save your own context, name files instead of reading them: the model reads them, and you get \
its answer. Local models are small: give one clear task at a time, and ask for JSON by a JSON \
Schema in `format`, which is checked. A prompt that does not fit is refused with the numbers, \
never cut in silence. A call that takes long answers with a job: ollama_job gets the rest. Errors \
say what to do next.
"""


def build_server(app: App) -> FastMCP[Any]:
    """Return the MCP server for `app`; it asks the daemon nothing until a tool is called.

    Raises:
        ValueError: the settings name a toolset or tool that there is not.
    """
    subscriptions = Subscriptions()

    @asynccontextmanager
    async def lifespan(_: FastMCP[Any]) -> AsyncIterator[dict[str, Any]]:
        checking = asyncio.create_task(_check_servers(app))
        try:
            yield {KEY: app, BUS: subscriptions.bus}
        finally:
            checking.cancel()
            subscriptions.close()
            await app.aclose()

    arguments: dict[str, Arguments] = {}
    long: set[str] = set()
    hosts, placed = tuple(app.settings.hosts), set[str]()
    server = Frame(
        "ollama-mcp-server",
        INSTRUCTIONS,
        version=__version__,
        lifespan=lifespan,
        middleware=[
            subscriptions,
            Reading(app),
            LongCalls(app, long),
            Calls(app, arguments),
            *([Placement(hosts, placed)] if hosts else []),
        ],
        mask_error_details=True,
        dereference_schemas=False,  # done once, by discover
        list_page_size=PAGE,
        request_state_security=sealing(app.settings),
        on_duplicate="error",
    )
    tasks = tasks_of(server, app.settings)
    schemas = {}
    found = discover(tools, app.settings.tools_dir, logger.error, more=[resources, prompts])
    for component in found:
        if isinstance(component, Tool):
            if reason := left_out(component, app.settings):
                app.hidden[component.name] = reason
                continue
            if LONG in component.tags:
                long.add(component.name)
            if hosts and takes_host(component):
                placed.add(component.name)
                component.parameters = with_host(component, hosts)
            schemas[component.name] = component.parameters
            arguments[component.name] = Arguments.of(component)
            server.add_tool(tasks.offer(component) if tasks else component)
        elif isinstance(component, Resource):
            server.add_resource(component)
        elif isinstance(component, ResourceTemplate):
            server.add_template(component)
        elif isinstance(component, Prompt):
            server.add_prompt(component)
    known = {"all", *TOOLSETS, *schemas, *app.hidden}
    if wrong := [name for name in app.settings.toolsets if name not in known]:
        raise ValueError(
            f"OLLAMA_MCP_TOOLSETS: there is no toolset or tool {', '.join(wrong)}; "
            f"toolsets are {', '.join(TOOLSETS)} and all"
        )
    server.add_completion_handler(complete)
    subscriptions.serve(server)
    server.skip_the_list_before_each_call(schemas)
    return server


def sealing(settings: Settings) -> "RequestStateSecurity | None":
    """Return how questions to the user are sealed; None is a key of this process's own."""
    key = settings.request_state_key
    if key is None:
        return None
    from mcp.server.request_state import RequestStateSecurity

    return RequestStateSecurity(keys=[key.get_secret_value()])


def tasks_of(server: FastMCP[Any], settings: Settings) -> "Tasks | None":
    """Return what lets a server's long calls be tasks; None where that is off.

    Raises:
        ValueError: it is on, and its extra is not installed.
    """
    if not settings.tasks:
        return None
    try:
        from .tasks import add_tasks  # which takes its time
    except ModuleNotFoundError as error:
        raise ValueError(
            f"OLLAMA_MCP_TASKS needs the package {error.name}, which is not installed: "
            "pip install 'ollama-mcp-server[tasks]'"
        ) from error
    return add_tasks(server, settings)


async def _check_servers(app: App) -> None:
    """Tell the log what is wrong with the configured MCP servers, once the host's list is there."""
    settings = app.settings
    file = settings.servers_file or servers_file()
    if settings.disable_servers or not (settings.servers or file.exists()):
        return
    await asyncio.sleep(AFTER_THE_LIST)
    from .agent.definitions.configuration import faults

    for fault in await asyncio.to_thread(faults, settings):
        logger.warning("MCP servers for agents: %s", fault)


def left_out(tool: Tool, settings: Settings) -> str:
    """Return why a tool is not offered, in words that say how to get it; "" if it is."""
    reads = tool.annotations is not None and tool.annotations.read_only_hint
    changes = not reads and not tool.tags & {MEMORY, HEEDS}
    if settings.read_only and changes:
        return "It can change the library, and this server is read-only (OLLAMA_MCP_READ_ONLY)"
    own = tool.tags & set(TOOLSETS)
    if "web" in own and settings.api_key is None:
        return "It needs a key: set OLLAMA_API_KEY"
    chosen = set(settings.toolsets)
    if own and not chosen & {"all", tool.name, *own}:
        return (
            f"It is in the toolset {', '.join(sorted(own))}: "
            f"set OLLAMA_MCP_TOOLSETS={','.join([*settings.toolsets, *sorted(own)])}"
        )
    return ""
