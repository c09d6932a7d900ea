"""The rows of the tables, and how a time is taken."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

OURS = [sys.executable, "-m", "ollama_mcp_server"]


def row(what: str, ours: str, against: str, ratio: float | None, budget: str) -> None:
    """Print a row of the table."""
    shown = "" if ratio is None else f"{ratio:.2f}"
    print(f"| {what} | {ours} | {against} | {shown} | {budget} |", flush=True)


def median(values: list[float]) -> float:
    """Return the middle of the values."""
    return statistics.median(values)


def timed(work: Callable[[], Any]) -> float:
    """Return the milliseconds that some work takes."""
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000
