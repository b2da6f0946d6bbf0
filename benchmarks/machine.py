"""What the numbers were measured on."""

import os
import platform
import time
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import psycopg

GIB = 1024**3


def describe(server_url: str | None, libraries: Iterable[str]) -> dict[str, str]:
    """Machine and versions, by name; of the named libraries too. server_url: None where no database works."""
    row = None
    if server_url is not None:
        with psycopg.connect(server_url) as db:
            row = db.execute("SHOW server_version").fetchone()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return {
        "machine": f"{os.cpu_count()} cores, {_processor()}, {memory:.0f} GiB, {platform.system()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "ten million additions": f"{_additions():.2f} s",
        **({"PostgreSQL": row[0]} if row else {}),
        "Python": platform.python_version(),
        **{name: version(name) for name in dict.fromkeys(("prefect", *libraries))},
    }


def _additions() -> float:
    """Seconds for a plain loop of this Python, best of three: machines of one name differ threefold."""
    times = []
    for _ in range(3):
        start, total = time.perf_counter(), 0
        for number in range(10_000_000):
            total += number
        times.append(time.perf_counter() - start)
    return min(times)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
