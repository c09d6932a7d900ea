"""What the official conformance suite calls, on this project's own server.

The suite's scored scenarios ask for tools, prompts and resources of fixed names, which no real
server has. They are mounted here on the real one, so that its middleware, its settings and its
HTTP are what the suite meets. Run: python -m tests.clients.conformance_fixtures
"""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import mcp_types as types
from fastmcp import Context, FastMCP
from fastmcp.exceptions import ToolError
from fastmcp.prompts import Message
from fastmcp.resources import ResourceContent, ResourceResult
from fastmcp.tools import ToolResult
from mcp import MCPError

from ollama_mcp_server.app import App
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from ollama_mcp_server.transport.serving import serve_http

fixtures: FastMCP[Any] = FastMCP("fixtures", mask_error_details=True)

#: One red pixel, and a WAV file without samples.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5E"
    "rkJggg=="
)
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="


def text_at(uri: str, text: str) -> types.EmbeddedResource:
    return types.EmbeddedResource(
        type="resource",
        resource=types.TextResourceContents(uri=uri, mime_type="text/plain", text=text),
    )


def picture() -> types.ImageContent:
    return types.ImageContent(type="image", data=PNG, mime_type="image/png")


# Content of each kind


@fixtures.tool
async def test_simple_text() -> ToolResult:
    """Answer a text."""
    return ToolResult("This is a simple text response for testing.")


@fixtures.tool
async def test_image_content() -> ToolResult:
    """Answer a picture."""
    return ToolResult([picture()])


@fixtures.tool
async def test_audio_content() -> ToolResult:
    """Answer a sound."""
    return ToolResult([types.AudioContent(type="audio", data=WAV, mime_type="audio/wav")])


@fixtures.tool
async def test_embedded_resource() -> ToolResult:
    """Answer a resource."""
    return ToolResult([text_at("test://embedded-resource", "An embedded resource.")])


@fixtures.tool
async def test_multiple_content_types() -> ToolResult:
    """Answer a text, a picture and a resource."""
    text = types.TextContent(type="text", text="Several kinds:")
    return ToolResult([text, picture(), text_at("test://mixed-content-resource", "And a text.")])


@fixtures.tool
async def test_error_handling() -> ToolResult:
    """Fail."""
    raise ToolError("This tool intentionally returns an error for testing")


# Notifications while a call runs


@fixtures.tool
async def test_tool_with_progress(ctx: Context) -> ToolResult:
    """Report progress three times."""
    for progress in (0, 50, 100):
        await ctx.report_progress(progress, 100)
        await asyncio.sleep(0.02)
    return ToolResult("done")


@fixtures.tool
async def test_tool_with_logging(ctx: Context) -> ToolResult:
    """Log three times."""
    for what in ("started", "processing data", "completed"):
        await ctx.info(f"Tool execution {what}")
    return ToolResult("done")


@fixtures.tool
async def test_logging_tool(ctx: Context) -> ToolResult:
    """Log, which a client of 2026-07-28 that asked for no log must not receive."""
    await ctx.info("for those who asked for a log level")
    return ToolResult("done")


# The handshake era: the server asks the client while a call runs


@fixtures.tool
async def test_sampling(prompt: str, ctx: Context) -> ToolResult:
    """Have the client's model answer."""
    said = await ctx.session.create_message(
        messages=[message(prompt)], max_tokens=100, related_request_id=ctx.request_id
    )
    return ToolResult(f"LLM response: {said.content.text}")


@fixtures.tool
async def test_elicitation(message: str, ctx: Context) -> ToolResult:
    """Ask the user for one text."""
    return await ask(ctx, message, {"response": {"type": "string"}})


@fixtures.tool
async def test_elicitation_sep1034_defaults(ctx: Context) -> ToolResult:
    """Ask the user with a default for each primitive type."""
    return await ask(
        ctx,
        "Please review the defaults",
        {
            "name": {"type": "string", "default": "John Doe"},
            "age": {"type": "integer", "default": 30},
            "score": {"type": "number", "default": 95.5},
            "status": {
                "type": "string",
                "enum": ["active", "inactive", "pending"],
                "default": "active",
            },
            "verified": {"type": "boolean", "default": True},
        },
    )


@fixtures.tool
async def test_elicitation_sep1330_enums(ctx: Context) -> ToolResult:
    """Ask the user with each kind of enumeration."""
    options = ["option1", "option2", "option3"]
    titled = [{"const": f"value{n}", "title": f"Option {n}"} for n in (1, 2, 3)]
    return await ask(
        ctx,
        "Please choose",
        {
            "untitledSingle": {"type": "string", "enum": options},
            "titledSingle": {"type": "string", "oneOf": titled},
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
            "titledMulti": {"type": "array", "items": {"anyOf": titled}},
        },
    )


async def ask(ctx: Context, question: str, properties: dict[str, Any]) -> ToolResult:
    said = await ctx.session.elicit_form(
        question, {"type": "object", "properties": properties}, related_request_id=ctx.request_id
    )
    return ToolResult(f"Elicitation completed: {said.action}, {json.dumps(said.content)}")


# 2026-07-28: the server answers that it needs input, and the client calls again

Needs = types.InputRequiredResult


def needs(state: str | None = None, **requests: Any) -> Needs:
    return Needs(result_type="input_required", input_requests=requests, request_state=state)


def form(question: str, field: str, kind: str = "string") -> types.ElicitRequest:
    schema = {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}
    return types.ElicitRequest(
        method="elicitation/create",
        params=types.ElicitRequestFormParams(message=question, requested_schema=schema),
    )


def message(text: str) -> types.SamplingMessage:
    return types.SamplingMessage(role="user", content=types.TextContent(type="text", text=text))


def sample(prompt: str) -> types.CreateMessageRequest:
    return types.CreateMessageRequest(
        method="sampling/createMessage",
        params=types.CreateMessageRequestParams(messages=[message(prompt)], max_tokens=100),
    )


def roots() -> types.ListRootsRequest:
    return types.ListRootsRequest(method="roots/list")


@fixtures.tool
async def test_input_required_result_elicitation(ctx: Context) -> str | Needs:
    """Greet the user, once the name is known."""
    said = (ctx.input_responses or {}).get("user_name")
    if not isinstance(said, types.ElicitResult):
        return needs(user_name=form("What is your name?", "name"))
    return f"Hello, {(said.content or {}).get('name')}!"


@fixtures.tool
async def test_streaming_elicitation(ctx: Context) -> str | Needs:
    """Ask; the stream of the answer must hold no request of its own."""
    return await test_input_required_result_elicitation(ctx)


@fixtures.tool
async def test_input_required_result_sampling(ctx: Context) -> str | Needs:
    """Answer what the client's model says."""
    if not ctx.input_responses:
        return needs(capital_question=sample("What is the capital of France?"))
    return str(ctx.input_responses["capital_question"])


@fixtures.tool
async def test_input_required_result_list_roots(ctx: Context) -> str | Needs:
    """Answer the client's roots."""
    if not ctx.input_responses:
        return needs(client_roots=roots())
    return str(ctx.input_responses["client_roots"])


@fixtures.tool
async def test_input_required_result_request_state(ctx: Context) -> str | Needs:
    """Get back the state that went out."""
    if not ctx.input_responses:
        return needs("round one", confirm=form("Please confirm", "ok", "boolean"))
    if ctx.request_state != "round one":
        raise ToolError(f"the state came back as {ctx.request_state!r}")
    return "state-ok"


@fixtures.tool
async def test_input_required_result_tampered_state(ctx: Context) -> str | Needs:
    """Get back the state that went out; a changed one never reaches this function."""
    return await test_input_required_result_request_state(ctx)


@fixtures.tool
async def test_input_required_result_multiple_inputs(ctx: Context) -> str | Needs:
    """Ask three things at once."""
    asked = {
        "user_name": form("What is your name?", "name"),
        "greeting": sample("Generate a greeting"),
        "client_roots": roots(),
    }
    missing = asked.keys() - (ctx.input_responses or {}).keys()
    return needs("all three", **asked) if missing else "thanks"


@fixtures.tool
async def test_input_required_result_multi_round(ctx: Context) -> str | Needs:
    """Ask one thing after the other."""
    said = ctx.input_responses or {}
    if ctx.request_state is None:
        return needs("1", step1=form("Step 1: What is your name?", "name"))
    if "step2" not in said:
        return needs("2", step2=form("Step 2: What is your favorite color?", "color"))
    return "thanks"


@fixtures.tool
async def test_input_required_result_capabilities(ctx: Context) -> str | Needs:
    """Ask only what the client says that it can answer."""
    can = ctx.session.client_capabilities
    asked: dict[str, Any] = {}
    if can and can.sampling is not None:
        asked["capital_question"] = sample("What is the capital of France?")
    if can and can.elicitation is not None:
        asked["user_name"] = form("What is your name?", "name")
    return needs(**asked) if asked else "nothing to ask with"


@fixtures.tool
async def test_missing_capability(ctx: Context) -> str:
    """Refuse a client that cannot sample."""
    can = ctx.session.client_capabilities
    if not can or can.sampling is None:
        raise MCPError(-32021, "sampling is needed", {"requiredCapabilities": {"sampling": {}}})
    return "it can"


# Prompts


@fixtures.prompt
async def test_simple_prompt() -> str:
    """Say something simple."""
    return "This is a simple prompt for testing."


@fixtures.prompt
async def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """Repeat two arguments."""
    return f"arg1={arg1}, arg2={arg2}"


@fixtures.prompt(name="test_prompt_with_embedded_resource")
async def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803
    """Hold a resource."""
    return [Message(text_at(resourceUri, "Embedded.")), Message("Please process the resource.")]


@fixtures.prompt
async def test_prompt_with_image() -> list[Message]:
    """Hold a picture."""
    return [Message(picture()), Message("Please look at the picture.")]


@fixtures.prompt
async def test_input_required_result_prompt(ctx: Context) -> str | Needs:
    """Ask before it answers."""
    if not ctx.input_responses:
        return needs(user_context=form("What context should the prompt use?", "context"))
    return f"Prompt with {ctx.input_responses['user_context']}"


async def complete(ref: Any, argument: Any, context: Any) -> list[str]:
    """Complete every argument in the same way."""
    return [argument.value + "Value"]


# Resources


@fixtures.resource("test://static-text", mime_type="text/plain")
async def static_text() -> str:
    """Hold a text."""
    return "This is the content of the static text resource."


@fixtures.resource("test://static-binary", mime_type="image/png")
async def static_binary() -> ResourceResult:
    """Hold bytes."""
    return ResourceResult([ResourceContent(base64.b64decode(PNG), mime_type="image/png")])


@fixtures.resource("test://watched-resource", mime_type="text/plain")
async def watched_resource() -> str:
    """Hold what a client might subscribe to."""
    return "Watched resource content"


@fixtures.resource("test://template/{id}/data", mime_type="application/json")
async def template(id: str) -> str:
    """Hold what its address says."""
    return json.dumps({"id": id, "templateTest": True})


def main() -> None:
    """Serve the real server with the fixtures mounted, on a free port."""
    app = App(Settings(transport="http", port=0))
    server = build_server(app)
    server.mount(fixtures)
    server.completion(complete)
    serve_http(server, app)


if __name__ == "__main__":
    main()
