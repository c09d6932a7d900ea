"""An MCP server for a local Ollama daemon."""

__version__ = "0.1.0"
