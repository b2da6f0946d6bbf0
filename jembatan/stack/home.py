"""What lies where in JEMBATAN_HOME."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from common.settings import settings
from jembatan.stack.errors import StackError

LOG_LIMIT = 10 * 1024**2  # bytes; of what is put aside the latest is kept


@dataclass(frozen=True)
class Home:
    """The folder that holds everything the local stack keeps; delete it and nothing is left."""

    path: Path

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data directory, and its socket unless the path is too long for one."""
        return self.path / "postgres"

    @property
    def prefect(self) -> Path:
        """PREFECT_HOME of the stack, with its own profiles.toml."""
        return self.path / "prefect"

    @property
    def keys(self) -> Path:
        """Key pairs made here: files that only the owner reads."""
        return self.path / "keys"

    @property
    def logs(self) -> Path:
        """One log per part of the stack."""
        return self.path / "logs"

    @property
    def reports(self) -> Path:
        """Settlement reports, kept as they came."""
        return self.path / "reports"

    @property
    def sandbox_journal(self) -> Path:
        """The sandbox's live charges, so that they outlast a restart of it."""
        return self.path / "sandbox-journal.jsonl"

    @property
    def record(self) -> Path:
        """Who runs: written by `jembatan up`, read by every other command."""
        return self.path / "stack.json"

    def lock(self, name: str) -> Path:
        """The file behind one lock; it stays when the lock is free."""
        return self.path / "locks" / f"{name}.lock"

    def log(self, name: str) -> Path:
        """The log of one part."""
        return self.logs / f"{name}.log"

    def open_log(self, name: str) -> IO[bytes]:
        """The log of one part, to add to; a long one is put aside first."""
        path = self.log(name)
        with suppress(FileNotFoundError):
            if path.stat().st_size > LOG_LIMIT:
                path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    def prepare(self) -> None:
        """Make what is missing, for the owner's eyes only. A folder that was there keeps its mode:
        JEMBATAN_HOME may name one that others use too, so what lies in it is closed one by one."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                self.path.mkdir(mode=0o700)
            for folder in (self.prefect, self.keys, self.logs, self.reports, self.path / "locks"):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            reason = error.strerror or error
            raise StackError(f"Cannot use the home {self.path} ({reason}); set JEMBATAN_HOME.") from error
        if not os.access(self.path, os.W_OK | os.X_OK):
            raise StackError(
                f"The home {self.path} cannot be written to; set JEMBATAN_HOME to another folder."
            )


def current() -> Home:
    """The home of this configuration, by its real path: two spellings of one folder are one home."""
    return Home(settings().home.resolve())
