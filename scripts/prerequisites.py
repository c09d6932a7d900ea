"""What the machine must have before anything is downloaded; run by `make setup`."""

import importlib.util
import sys

NEEDED = (3, 10)


def missing() -> list[str]:
    """Return what is missing, each with the command that brings it."""
    faults = []
    if sys.version_info < NEEDED:
        found = ".".join(map(str, sys.version_info[:2]))
        faults.append(f"Python 3.10 or newer, this is {found}: make PYTHON=python3.11 …")
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        faults.append("Python's venv: sudo apt-get install python3-venv (Debian, Ubuntu)")
    return faults


if __name__ == "__main__":
    for fault in missing():
        print(f"missing: {fault}", file=sys.stderr)
    sys.exit(1 if missing() else 0)
