"""What Prefect's worker starts for a flow run: lives as long as the run, which is a fork of the nursery's.

Signals that it gets go to the run, its end is the run's end, and if it is killed the run is too: to whoever
holds its process id it is the run. It imports nothing but a few modules of the library, and no site
(`python -I -S start.py`), as it has to be there at once.
"""

import json
import os
import signal
import socket
import sys
from types import FrameType

ADDRESS = "JEMBATAN_NURSERY"
BEGINS = b"begins\n"  # what the nursery says before the run is there: from now on none is to be started here
LENGTH = 8  # bytes that tell how long the order is
COLD = ("-m", "prefect.engine")  # what a worker starts without us
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def main() -> None:
    """Be a flow run: one of the nursery's, or where there is none a Python that loads everything itself."""
    address = os.environ.get(ADDRESS)
    if address:
        status = _of_nursery(address)
        if status is not None:
            _end_as(status)
        print("The nursery does not answer: this run loads everything itself.", file=sys.stderr, flush=True)
    os.execv(sys.executable, [sys.executable, *COLD])  # noqa: S606 - our own program, no shell


def _of_nursery(address: str) -> int | None:
    """The wait status of the nursery's run, once it has ended; None where none has begun."""
    order = json.dumps({"environment": dict(os.environ), "folder": os.getcwd()}).encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as nursery:
        try:
            nursery.connect(address)
            socket.send_fds(nursery, [len(order).to_bytes(LENGTH, "big")], [0, 1, 2])
            nursery.sendall(order)
            said = heard(nursery, len(BEGINS))
        except OSError:
            return None
        if said != BEGINS:
            return None

        def pass_on(number: int, _frame: FrameType | None) -> None:
            nursery.send(bytes([number]))

        for one in _PASSED_ON:
            signal.signal(one, pass_on)
        try:
            told = heard(nursery, 64)
        except OSError:
            told = b""
        for one in _PASSED_ON:
            signal.signal(one, signal.SIG_DFL)
    # Nobody tells: whoever watched over the run was killed, and the run with it.
    return int(told) if told else int(signal.SIGKILL)


def heard(nursery: socket.socket, most: int) -> bytes:
    """What it says, until it has said that much or is gone."""
    said = b""
    while len(said) < most and (part := nursery.recv(most - len(said))):
        said += part
    return said


def _end_as(status: int) -> None:
    """End as the run has ended, by its exit code or by its signal."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == "__main__":
    main()
