"""The prompts that people pick from a host's menu. Drop a module in, and its prompts are there.

Each makes the host's own model use our tools well. What one of them takes as `model` is completed.
MCP has only texts as arguments; one that may be left out is "" then.
"""
