"""The MCP clients that the server can be installed in, and their files.

A table of clients, an editor for each format that changes nothing but the entry, the command that
a client is told, and a trial of it.
"""
