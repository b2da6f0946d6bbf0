"""Ask for a program to be registered: checked first, all faults at once, then written down."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common.settings import settings
from providers.siplatih.program import Checked, checked
from providers.siplatih.program_file import Entry
from providers.siplatih.wire import Fault
from records import program
from records.program import Asked, Refused

# Our own words in a request, beside the program's members.
CHANGE, NEW_NUMBER = "change", "new_lpk_number"
_ONE_FILE = 0x70726F67  # any number that nobody else locks


@dataclass
class Wish:
    """A program that somebody wants registered. change: though another content of it is registered;
    new_number: though its LPK is known under another registration number."""

    members: Any
    change: bool = False
    new_number: bool = False


class Faulty(Exception):
    """A program that cannot be sent as it is; nothing was written down."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"{len(self.faults)} faults")


@dataclass
class FileAsked:
    """What came of a file: what was asked for each program, or what is wrong; with faults nothing is."""

    asked: list[tuple[Entry, Asked]] = field(default_factory=list)
    faults: list[tuple[Entry, Fault]] = field(default_factory=list)

    @property
    def new(self) -> list[Asked]:
        """Those that were not asked for before."""
        return [one for _, one in self.asked if one.is_new]


def wish_of(body: Any) -> tuple[Wish, list[Fault]]:
    """A request's body as a wish, its own words taken out of the program's members."""
    if not isinstance(body, dict):
        return Wish(body), []
    faults = [
        Fault(word, "it has to be true or false")
        for word in (CHANGE, NEW_NUMBER)
        if not isinstance(body.get(word, False), bool)
    ]
    members = {name: value for name, value in body.items() if name not in (CHANGE, NEW_NUMBER)}
    return Wish(members, body.get(CHANGE) is True, body.get(NEW_NUMBER) is True), faults


def ask_for(
    session: Session, wish: Wish, *, by: str, also: Sequence[Fault] = (), flow_run_id: UUID | None = None
) -> Asked:
    """Check a program and write it down with its process; the same again finds the same.

    also: faults that were found before. by: an actor. Raises Faulty with every fault, and Refused.
    """
    found = checked(wish.members, settings().siplatih)
    found.faults[:0] = also
    _look_at_number(session, wish, found)
    if found.faults:
        raise Faulty(found.faults)
    warnings = [{"where": one.path, "reason": one.reason} for one in found.warnings]
    return program.ask_for(
        session, found.program, by=by, change=wish.change, warnings=warnings, flow_run_id=flow_run_id
    )


def ask_for_file(session: Session, entries: Sequence[Entry], *, by: str, change: bool) -> FileAsked:
    """Ask for every program of a file in this transaction, which the caller commits only without faults.

    In the file's order, in which they will be sent; so two files go one after the other."""
    session.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_FILE)))
    result = FileAsked()
    seen: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        wish, faults = wish_of(entry.members)
        wish.change = wish.change or change
        try:
            made = ask_for(session, wish, by=by, also=faults)
        except Faulty as faulty:
            result.faults += [(entry, one) for one in faulty.faults]
            continue
        except Refused as refused:
            result.faults.append((entry, Fault("program_code", str(refused))))
            continue
        key = made.program.lpk_registration_number, made.program.program_code
        first = seen.setdefault(key, entry)
        if first is not entry:
            reason = f"{first.where} has this program of this LPK already"
            result.faults.append((entry, Fault("program_code", reason)))
            continue
        result.asked.append((entry, made))
    return result


def _look_at_number(session: Session, wish: Wish, found: Checked) -> None:
    """The number of an LPK is that of its earlier programs: a slip would register for somebody else."""
    name, number = found.program.get("lpk_name"), found.program.get("lpk_registration_number")
    if not name or not number or program.is_lpk_known(session, name, number):
        return
    if not program.is_lpk_known(session, name):
        return
    if wish.new_number:
        found.warn("lpk_registration_number", "earlier programs of this LPK bear another number")
        return
    found.fault(
        "lpk_registration_number",
        f'earlier programs of this LPK bear another number; say "{NEW_NUMBER}": true if it has changed',
    )
