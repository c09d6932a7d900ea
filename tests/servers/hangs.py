"""Says nothing to anybody, not even to `initialize`; complains on stderr."""

import signal
import sys
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stderr.write("still waiting for the database\n")
sys.stderr.flush()
time.sleep(1000)
