"""`python -m ollama_mcp_server` is the command `ollama-mcp-server`."""

from .cli import main

main()
