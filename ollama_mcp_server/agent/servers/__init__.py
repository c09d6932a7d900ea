"""MCP servers in use: started, connected, shared among runs, ended."""
