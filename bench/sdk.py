"""The yardstick below: a server of the MCP SDK alone with one trivial tool."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("hello")


@server.tool()
def hello(name: str) -> str:
    """Say hello."""
    return f"Hello, {name}"


if __name__ == "__main__":
    server.run()
