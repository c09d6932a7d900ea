"""Local models that use other MCP servers' tools until a task is done."""
