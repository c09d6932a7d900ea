"""Look for secrets in every commit, and in what is not committed yet: `make secrets`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scripts.testbed import cache, golang
from scripts.testbed.steps import SetupError

ROOT = Path(__file__).parent.parent
#: What is looked at: every commit; what differs from the last one; what is about to be committed.
LOOKS = (("git", "."), ("git", ".", "--pre-commit"), ("git", ".", "--pre-commit", "--staged"))
#: Where there is no repository, such as in an archive: the folders that it would have.
FOLDERS = ("ollama_mcp_server", "docs", "scripts", "tests", "bench", "deploy", ".github")
#: Git may look into a repository of another user's, as a container has it.
AROUND = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


def main() -> int:
    """Run gitleaks, which `.gitleaks.toml` tells what to pass over; return the exit status."""
    try:
        gitleaks = golang.installed("gitleaks", cache.folder())
    except SetupError as error:
        print(error, file=sys.stderr)
        return 1
    looks = LOOKS if (ROOT / ".git").exists() else [("dir", folder) for folder in FOLDERS]
    words = [
        "--config",
        ".gitleaks.toml",
        "--no-banner",
        "--redact",
        "--verbose",
        "--log-level=error",
    ]
    around = {**os.environ, **AROUND}
    ran = [
        subprocess.run([str(gitleaks), *look, *words], cwd=ROOT, env=around, check=False)
        for look in looks
    ]
    return max(one.returncode for one in ran)


if __name__ == "__main__":
    sys.exit(main())
