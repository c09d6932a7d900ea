"""Models behind any endpoint that speaks OpenAI's chat.completions."""

from .client import Upstream

__all__ = ["Upstream"]
