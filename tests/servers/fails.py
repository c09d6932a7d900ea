"""Exits at once, with a message."""

import os
import sys

sys.stderr.write("\n".join(f"trace {number}" for number in range(100)))
sys.stderr.write(f"\ncannot log in with {os.environ.get('SECRET_KEY')}\n")
sys.exit(3)
