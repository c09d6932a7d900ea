"""The caller's patience, in milliseconds."""

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from ..errors import TimedOut

#: What to do about a model that took too long.
LESS_WORK = "Give more timeout, or less work: a smaller model, a shorter prompt or answer"


@contextmanager
def deadline(timeout_ms: int | None, hint: str = LESS_WORK) -> Iterator[None]:
    """Stop what is inside after so many milliseconds; None waits for ever.

    Raises:
        TimedOut: the time is up; `hint` says what to do.
    """
    try:
        with anyio.fail_after(None if timeout_ms is None else timeout_ms / 1000):
            yield
    except TimeoutError as late:
        raise TimedOut(f"the work took more than {timeout_ms} ms and was stopped", hint) from late
