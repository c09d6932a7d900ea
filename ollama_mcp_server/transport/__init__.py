"""Serving: stdio for a host that starts us, Streamable HTTP for everyone else, and ending well."""
