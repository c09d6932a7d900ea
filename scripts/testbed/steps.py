"""One step of the setup: tell it, carry it out, fail with words that help."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_STARTED = time.monotonic()


class SetupError(Exception):
    """The test bed cannot be set up; the text says why and what to do."""


def tell(text: str) -> None:
    """Write one line of progress to stderr, with the seconds since the start."""
    seconds = time.monotonic() - _STARTED
    print(f"testbed {seconds:5.1f} s  {text}", file=sys.stderr, flush=True)


def execute(
    command: Sequence[str | Path], *, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run a command quietly and return its stdout.

    Raises SetupError with the end of the output when it fails or is not there.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise SetupError(f"{words[0]} is not installed") from None
    if done.returncode:
        output = (done.stdout + done.stderr).strip()[-3000:]
        raise SetupError(f"`{' '.join(words)}` failed with {done.returncode}:\n{output}")
    return done.stdout
