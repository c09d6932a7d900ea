"""The yardstick: a FastMCP server with one trivial tool, as its tutorial shows it."""

from fastmcp import FastMCP

server = FastMCP("hello")


@server.tool
def hello(name: str) -> str:
    """Say hello."""
    return f"Hello, {name}"


if __name__ == "__main__":
    server.run(show_banner=False)
