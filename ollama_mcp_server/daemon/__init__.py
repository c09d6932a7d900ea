"""Ollama: the only folder that knows its wire format."""
