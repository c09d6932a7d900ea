"""Plain HTTP for applications that speak no MCP: the same tools and models, behind keys."""
