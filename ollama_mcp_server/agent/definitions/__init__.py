"""The MCP servers that agents may use: as they are written down, read and chosen."""
