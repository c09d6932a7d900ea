"""The tables of README.md and docs/, written from the code: `python -m scripts.reference`.

With --check nothing is written; a table that differs ends it with status 1.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

from ollama_mcp_server.delegation.recommended import AS_OF, MODELS, fitting
from ollama_mcp_server.settings import Settings, is_secret, quiet_the_frame, variable

ROOT = Path(__file__).parent.parent
#: GB of memory that computers come with, and the bytes of each that their systems tell of.
COMPUTERS, TOLD = (4, 8, 16, 24, 32, 48, 64, 96, 128, 192), int(0.97 * 2**30)


def main() -> int:
    """Write or check every generated part, and return the exit status."""
    quiet_the_frame()
    tools, resources, prompts = asyncio.run(listed())
    parts = {
        ROOT / "README.md": {"tools": tools_table(tools), "settings": settings_table()},
        ROOT / "docs" / "tools.md": {
            "reference": tools_reference(tools),
            "resources": resources_table(resources),
            "prompts": prompts_table(prompts),
        },
        ROOT / "docs" / "settings.md": {"reference": settings_table()},
        ROOT / "docs" / "models.md": {"models": models_table()},
    }
    stale = []
    for path, blocks in parts.items():
        now = path.read_text()
        new = now
        for name, block in blocks.items():
            new = filled(new, name, block)
        if new != now:
            stale.append(path.relative_to(ROOT))
            if "--check" not in sys.argv:
                path.write_text(new)
    if stale and "--check" in sys.argv:
        print(f"not what the code says: {', '.join(map(str, stale))}; run `make docs`")
        return 1
    return 0


def filled(text: str, name: str, block: str) -> str:
    """Return a text with the part between the markers of `name` replaced."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, _, rest = text.partition(begin)
    _, found, after = rest.partition(end)
    if not found:
        raise SystemExit(f"the markers {begin} … {end} are missing")
    return f"{before}{begin}\n{block}\n{end}{after}"


async def listed() -> tuple[list[Any], list[Any], list[Any]]:
    """Return every tool, resource and prompt of the server, with the types behind them."""
    from ollama_mcp_server.app import App
    from ollama_mcp_server.server import build_server

    app = App(Settings(toolsets=("all",), api_key="generating-docs"))
    server = build_server(app)
    resources = [
        *await server.list_resources(run_middleware=False),  # without what the daemon has
        *await server.list_resource_templates(),
    ]
    return list(await server.list_tools()), resources, list(await server.list_prompts())


def tools_table(tools: list[Any]) -> str:
    """Return a row for each tool: what it does, its toolset, what it may change."""
    rows = ["| tool | what it does | toolset | changes |", "|---|---|---|---|"]
    for tool in tools:
        hints = tool.annotations
        changes = "nothing" if hints.read_only_hint else "memory"
        if not hints.read_only_hint and "memory" not in tool.tags:
            changes = "**library**" if hints.destructive_hint else "library"
        if "heeds" in tool.tags:
            changes = "what the servers' tools do"
        first = (tool.description or "").splitlines()[0]
        rows.append(f"| `{tool.name}` | {first} | {toolset(tool)} | {changes} |")
    return "\n".join(rows)


def tools_reference(tools: list[Any]) -> str:
    """Return a section for each tool, with every argument that it accepts, listed or not."""
    sections = []
    for tool in tools:
        lines = [
            f"## {tool.name}",
            "",
            tool.description,
            "",
            "| argument | type | |",
            "|---|---|---|",
        ]
        required = tool.parameters.get("required", [])
        for name, schema in tool.parameters["properties"].items():
            need = " (required)" if name in required else ""
            lines.append(f"| `{name}` | {kind(schema)}{need} | {told(schema)} |")
        for name, schema in unlisted(tool).items():
            lines.append(f"| `{name}` | {kind(schema)}, not listed | {told(schema)} |")
        sections.append("\n".join(lines))
    return "\n\n".join(sections)


def unlisted(tool: Any) -> dict[str, dict[str, Any]]:
    """Return the arguments that a tool accepts and does not list."""
    from fastmcp.tools import Tool

    whole = Tool.from_function(tool.fn).parameters["properties"]
    return {name: schema for name, schema in whole.items() if schema.get("hidden")}


def kind(schema: dict[str, Any]) -> str:
    """Return a schema's type in a word or two."""
    arms = [arm for arm in schema.get("anyOf", [schema]) if arm.get("type") != "null"]
    names = [str(arm["type"]) for arm in arms if "type" in arm]
    return " or ".join(dict.fromkeys(names)) or "any"


def told(schema: dict[str, Any]) -> str:
    """Return a schema's description, as a cell of a table."""
    return str(schema.get("description", "")).replace("|", "\\|").replace("\n", " ")


def toolset(tool: Any) -> str:
    """Return the toolset that a tool is in."""
    from ollama_mcp_server.server import TOOLSETS

    return ", ".join(name for name in TOOLSETS if name in tool.tags)


def resources_table(resources: list[Any]) -> str:
    """Return a row for each resource and template: its address, what it shows, its type."""
    rows = ["| resource | what it shows | type |", "|---|---|---|"]
    for each in resources:
        address = getattr(each, "uri_template", None) or each.uri
        text = told({"description": " ".join(each.description.split())})
        rows.append(f"| `{address}` | {text} | {each.mime_type} |")
    return "\n".join(rows)


def prompts_table(prompts: list[Any]) -> str:
    """Return a row for each argument of each prompt, after what the prompt is for."""
    rows = ["| prompt | argument | |", "|---|---|---|"]
    for prompt in prompts:
        rows.append(f"| `{prompt.name}` | | {prompt.description} |")
        for each in prompt.arguments or ():
            need = " (required)" if each.required else ""
            rows.append(f"| | `{each.name}`{need} | {told({'description': each.description})} |")
    return "\n".join(rows)


def models_table() -> str:
    """Return a row for each recommended model: what it needs, what it does, its licence."""
    rows = [
        f"| model, as of {AS_OF} | parameters | download | memory | named from | also | licence |",
        "|---|---|---|---|---|---|---|",
    ]
    for model in MODELS:
        computer = next(size for size in COMPUTERS if model in fitting(size * TOLD))
        rows.append(
            f"| `{model.name}` | {model.parameters} | {model.download:g} GB | {model.memory:g} GB "
            f"| {computer} GB | {', '.join(model.also)} | {model.licence} |"
        )
    return "\n".join(rows)


def settings_table() -> str:
    """Return a row for each setting: variable, flag, default, what it does."""
    rows = ["| variable | flag | default | |", "|---|---|---|---|"]
    for name, field in Settings.model_fields.items():
        long = "root" if name == "roots" else name.replace("_", "-")
        flag = "" if is_secret(name) else f"`--{long}`"
        default = field.get_default(call_default_factory=True)
        if isinstance(default, tuple):
            default = ",".join(default)
        shown = f"`{default}`" if default not in (None, "", {}) else ""
        text = told({"description": field.description})
        text = told({"description": field.description})
        rows.append(f"| `{variable(name)}` | {flag} | {shown} | {text} |")
    return "\n".join(rows)


if __name__ == "__main__":
    sys.exit(main())
