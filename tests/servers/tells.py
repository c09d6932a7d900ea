"""Tells what it was started with: arguments, environment, folder, session."""

import json
import os
import sys
from pathlib import Path

from _lines import reader, serve, text


def call(name, arguments, message):
    return text(
        json.dumps(
            {
                "args": sys.argv[1:],
                "env": dict(os.environ),
                "cwd": str(Path.cwd()),
                "session": os.getsid(0),
                "group": os.getpgid(0),
                "pid": os.getpid(),
                "descriptors": sorted(path.name for path in Path("/proc/self/fd").iterdir()),
            }
        )
    )


serve([reader("tell")], call)
