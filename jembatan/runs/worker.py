"""Prefect's worker with a nursery beside it: `python -m jembatan.runs.worker --pool jembatan --type process`.

What follows goes to `prefect worker start`, which this process then becomes.
"""

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from jembatan.runs.start import ADDRESS


def main(arguments: Sequence[str]) -> None:
    """Begin the nursery, where the system can have one, and become the worker."""
    if hasattr(socket, "send_fds"):
        os.environ[ADDRESS] = _begin_nursery()
    os.execv(sys.executable, [sys.executable, "-m", "prefect", "worker", "start", *arguments])  # noqa: S606


def _begin_nursery() -> str:
    """Have it started; tells where it answers: in a folder that nobody else may enter."""
    folder = Path(tempfile.mkdtemp(prefix="jembatan-"))
    address = str(folder / "nursery")
    ends_with_us, ours = os.pipe()
    subprocess.Popen([sys.executable, "-m", "jembatan.runs.nursery", address], stdin=ends_with_us)
    os.close(ends_with_us)
    os.set_inheritable(ours, True)  # held open by the worker, and by nothing that it starts
    return address


if __name__ == "__main__":
    main(sys.argv[1:])
