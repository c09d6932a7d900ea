"""A scripted stand-in for the Ollama daemon (0.34.4), at the wire.

`FakeOllama` is the server: it records requests, plays scripted answers and notices clients that
leave. What has no script is answered by `Library`, a small, deterministic, offline daemon;
tests/live/test_fake_is_true.py holds its status codes, words and shapes to a real daemon's.
"""

from .library import Library
from .models import CATALOGUE, ELSEWHERE, Model
from .server import FakeOllama
from .wire import JSON, Answer, Part, Refused, Request

__all__ = [
    "CATALOGUE",
    "ELSEWHERE",
    "JSON",
    "Answer",
    "FakeOllama",
    "Library",
    "Model",
    "Part",
    "Refused",
    "Request",
]
