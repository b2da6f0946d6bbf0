"""Runs a command on a leash: when the process that started it dies, however it dies, it is told to end.

A program of its own, and not a hook between fork and exec, because the parent has threads. The wish
survives exec; it follows the *thread* that started us, so parts are started from the main thread.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """`python leash.py PARENT PROGRAM ARGUMENT…`"""
    parent = int(sys.argv[1])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died before we asked
            sys.exit(1)
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - our own program, no shell


if __name__ == "__main__":
    main()
