"""A real Ollama daemon with real tiny models, made from package registries alone.

Run it from the repository root with ``python -m scripts.testbed`` (README.md tells more). For tests
there are the modules ``daemon``, ``models``, ``registry``, ``valkey``, ``recorder``, ``wire`` and
``runner``.
"""
