"""What leads the process group of a server; run as a program, with nothing of ours imported.

Called as `supervisor.py LIFELINE PROGRAM ARGUMENT…`, where LIFELINE is the reading end of a pipe
whose other end our process alone holds: it closes when that process ends, in whatever way.
"""

import os
import select
import signal
import sys
import time

#: Signals that are meant for the server; Python itself ignores the last two.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ)
#: Hundredths of a second between the polite request to end and the other.
GRACE = 100


def main(lifeline: int, argv: list[str]) -> None:
    """Run a server, and end as it ends; when our process is gone, end the whole group."""
    os.set_inheritable(lifeline, False)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    child = os.fork()
    if not child:
        _become(argv)
    for descriptor in (0, 1, 2):  # they are the server's, and must close when it closes them
        os.close(descriptor)
    while lifeline not in select.select([lifeline, woken], [], [])[0]:
        os.read(woken, 512)
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            os._exit(code if code >= 0 else 128 - code)
    os.killpg(0, signal.SIGTERM)
    for _ in range(GRACE):
        time.sleep(0.01)
        if os.waitpid(child, os.WNOHANG)[0]:
            break
    os.killpg(0, signal.SIGKILL)


def _become(argv: list[str]) -> None:
    """Be the server from now on."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execv(argv[0], argv)  # noqa: S606 - a program and its arguments, and no shell
    except OSError as error:
        os.write(2, f"cannot run {argv[0]}: {error.strerror}\n".encode())
    os._exit(126)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
