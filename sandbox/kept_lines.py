"""A file of JSON lines that keeps a counterpart's books over a restart of the sandbox."""

import json
import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any


class KeptLines:
    """One file, readable for its owner only; without a path nothing is kept.

    A line that was cut off when the sandbox was killed is passed over: what it told of was never answered.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._file: FileIO | None = None
        if path:
            self._file = self._opened(os.O_APPEND)
            if path.stat().st_size and not path.read_bytes().endswith(b"\n"):
                self._file.write(b"\n")

    def read(self) -> Iterator[dict[str, Any]]:
        """Every whole line, oldest first."""
        if not self._path:
            return
        with self._path.open("rb") as lines:
            for line in lines:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue

    def add(self, **members: Any) -> None:
        """Keep one line."""
        if self._file:
            self._file.write(json.dumps(members, separators=(",", ":")).encode() + b"\n")

    def clear(self) -> None:
        """Keep nothing of what was."""
        if self._file:
            self._file.close()
            self._file = self._opened(os.O_TRUNC)

    def _opened(self, how: int) -> FileIO:
        assert self._path
        return os.fdopen(os.open(self._path, os.O_WRONLY | os.O_CREAT | how, 0o600), "ab", 0)
