"""Answers in the form of a JSON Schema: asked for, held, checked."""
