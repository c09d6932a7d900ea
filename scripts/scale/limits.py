"""The limits of a key, counted of both servers together."""

from __future__ import annotations

from .fates import Verdict, limited
from .load import at_once
from .stage import AT_A_TIME, MINUTE, Stage


async def limits_hold(stage: Stage) -> list[Verdict]:
    """Ask three times as much as a key may, at once, through both servers."""
    minute = await at_once(stage, "minute", 3 * MINUTE)
    time = await at_once(stage, "at-a-time", 4 * AT_A_TIME, tokens=48)
    return [
        limited(
            f"a key's {MINUTE} requests a minute, of both servers together",
            minute, MINUTE - 1, MINUTE + 1,
        ),
        limited(
            f"a key's {AT_A_TIME} requests at a time, of both servers together",
            time, AT_A_TIME - 1, AT_A_TIME + 1,
        ),
    ]  # fmt: skip
