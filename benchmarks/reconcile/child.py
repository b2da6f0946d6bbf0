"""One piece of work in a process of its own, so that memory and imports are its own.

`python -m benchmarks.reconcile.child MODULE DATABASE_URL FILE [--profile]`; the last line that it prints
has its seconds and its peak memory as JSON.
"""

import importlib
import json
import resource
import sys
import time
from pathlib import Path

from benchmarks.reconcile.contenders import Job


def main() -> None:
    """Import first, then work with the clock running."""
    module = importlib.import_module(f"benchmarks.reconcile.contenders.{sys.argv[1]}")
    job = Job(sys.argv[2], Path(sys.argv[3]))
    if "--profile" in sys.argv:
        from benchmarks.reconcile import profile

        profile.watch(module.tasks, module.STEPS)
    start = time.perf_counter()
    module.run(job)
    seconds = time.perf_counter() - start
    sys.stdout.write("\n" + json.dumps({"seconds": seconds, "peak_mb": _peak_mb()}) + "\n")


def _peak_mb() -> float:
    """Most memory that this process held at one time."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:  # no Linux; there the figure below would count the parent's memory in
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
