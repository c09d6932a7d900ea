"""Look for secrets in every commit, and in what is not committed yet: `make secrets`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from scripts.testbed import cache, golang
from scripts.testbed.steps import SetupError

ROOT = Path(__file__).parent.parent
#: What is looked at: every commit; what differs from the last one; what is about to be committed.
LOOKS = ((), ("--pre-commit",), ("--pre-commit", "--staged"))


def main() -> int:
    """Run gitleaks, which `.gitleaks.toml` tells what to pass over; return the exit status."""
    try:
        gitleaks = golang.installed("gitleaks", cache.folder())
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    words = [str(gitleaks), "git", ".", "--no-banner", "--redact", "--verbose", "--log-level=error"]
    looks = [subprocess.run([*words, *look], cwd=ROOT, check=False) for look in LOOKS]
    return max(look.returncode for look in looks)


if __name__ == "__main__":
    sys.exit(main())
