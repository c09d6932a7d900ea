"""What is deployed and published, looked at by the tools that will read it; and the MCP bundle."""
