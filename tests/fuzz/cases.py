"""How many cases there are, and which."""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings

#: Cases of each test: as many as are wanted, else few.
WANTED = int(os.environ.get("FUZZ_CASES", "0"))
SEED = int(os.environ.get("FUZZ_SEED") or secrets.randbits(32))


def cases(few: int, share: float = 1.0) -> Callable[[Any], Any]:
    """Run a test with `few` cases; where more are wanted, with that share of them."""
    most = max(few, round(WANTED * share))
    chosen = settings(
        max_examples=most,
        derandomize=not WANTED,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),  # a case that fails is told as it is: each costs a real call
    )
    return lambda test: chosen(seed(SEED)(test) if WANTED else test)


class Tally:
    """What came of the cases of one test."""

    def __init__(self) -> None:
        self.ends: Counter[str] = Counter()
        self._began = time.monotonic()

    def count(self, end: str) -> None:
        """Count one case by its end: answered, refused, error."""
        self.ends[end] += 1

    def record(self, record_property: Callable[[str, object], None]) -> None:
        """Write the figures where the report of the run has them."""
        figures = {
            "seed": SEED if WANTED else "fixed",
            "cases": sum(self.ends.values()),
            **{name: self.ends[name] for name in ("answered", "refused", "error")},
            "seconds": round(time.monotonic() - self._began, 2),
        }
        sys.stderr.write(f"{figures}\n")
        for name, figure in figures.items():
            record_property(f"fuzz.{name}", figure)
