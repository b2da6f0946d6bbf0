"""Where the time of a run goes: each task and each statement that takes a hundredth of a second."""

import sys
import time
from collections.abc import Callable
from typing import Any

import psycopg

NOTABLE = 0.01
SHOWN = 110


def watch(tasks: Any, names: tuple[str, ...]) -> None:
    """Have this process print its times: of these tasks, and inside them of the statements."""
    psycopg.Connection.execute = _timed(psycopg.Connection.execute, _statement)  # type: ignore[method-assign]  # to time it
    for name in names:
        task = getattr(tasks, name)
        task.fn = _timed(task.fn, lambda *_, name=name, **__: name)


def _timed(work: Callable[..., Any], title: Callable[..., str]) -> Callable[..., Any]:
    def timed(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return work(*args, **kwargs)
        finally:
            seconds = time.perf_counter() - start
            if seconds >= NOTABLE:
                sys.stdout.write(f"{seconds:7.3f} s  {title(*args, **kwargs)}\n")

    return timed


def _statement(db: psycopg.Connection, query: Any, *_: Any, **__: Any) -> str:
    text = query if isinstance(query, str) else query.as_string(db)
    return "    " + " ".join(text.split())[:SHOWN]
