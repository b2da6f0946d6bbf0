"""The journal of the live charges: a file of JSON lines to which every change is added, read at the start."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import Any

from sandbox.live import Charge, LiveRefund

_MOMENTS = ("created_at", "expires_at", "settled_at", "closed_at", "confirmed_at")


class Journal:
    """One file, readable for its owner only. The last line of a charge is what it is.

    A line that was cut off when the sandbox was killed is passed over: its change was never answered.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: FileIO = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", 0)
        if _is_cut_off(path):
            self._file.write(b"\n")

    def read(self) -> Iterable[Charge]:
        """Every charge as it was written last, in the order in which they were made."""
        last: dict[str, dict[str, Any]] = {}
        with self.path.open("rb") as lines:
            for line in lines:
                try:
                    members = json.loads(line)
                except ValueError:
                    continue
                last[members["id"]] = members
        return [_charge(members) for members in last.values()]

    def write(self, charge: Charge) -> None:
        """Add the charge as it is now."""
        self._file.write(
            json.dumps(asdict(charge), separators=(",", ":"), default=datetime.isoformat).encode() + b"\n"
        )


def _charge(members: dict[str, Any]) -> Charge:
    refunds = [LiveRefund(**_with_moments(one)) for one in members.pop("refunds")]
    return Charge(**_with_moments(members), refunds=refunds)


def _with_moments(members: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if value and name in _MOMENTS else value
        for name, value in members.items()
    }


def _is_cut_off(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"
