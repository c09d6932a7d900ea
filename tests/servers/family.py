"""Starts children that ignore SIGTERM, and so does it itself; tells their ids."""

import os
import signal
import subprocess
import sys

from _lines import reader, serve, text

SLEEP = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(1000)"
signal.signal(signal.SIGTERM, signal.SIG_IGN)
children = [subprocess.Popen([sys.executable, "-c", SLEEP]) for _ in range(2)]


def call(name, arguments, message):
    if name == "exit":
        os._exit(0)
    return text(" ".join(str(one) for one in (os.getpid(), *(child.pid for child in children))))


serve([reader("ids"), reader("exit")], call)
for child in children:  # the end of its input ends it no more than SIGTERM does
    child.wait()
