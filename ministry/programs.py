"""Ask for a program to be registered: checked first, all faults at once, then written down."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from common.settings import settings
from providers.siplatih.program import Checked, checked
from providers.siplatih.program_file import Entry
from providers.siplatih.wire import Fault
from records import program, program_request
from records.program import Refused
from records.program_request import Asked, Held, Wanted

# Our own words in a request, beside the program's members.
CHANGE, NEW_NUMBER = "change", "new_lpk_number"


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
    """What came of a file of so many programs: what was asked for each, or what is wrong. With faults there
    are only those that were asked for before."""

    programs: int
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
    found = _checked(wish, also)
    _look_at_numbers(session, [(wish, found)])
    if found.faults:
        raise Faulty(found.faults)
    return program_request.ask_for(session, _wanted(wish, found), by=by, flow_run_id=flow_run_id)


def ask_for_file(session: Session, entries: Sequence[Entry], *, by: str, change: bool) -> FileAsked:
    """Ask for every program of a file in this transaction, or for none where anything is wrong with one.

    In the file's order, in which they will be sent."""
    tried: list[tuple[Wish, Checked]] = []
    for entry in entries:
        wish, faults = wish_of(entry.members)
        wish.change = wish.change or change
        tried.append((wish, _checked(wish, faults)))
    _look_at_numbers(session, tried)
    _look_for_repeats(entries, [found for _, found in tried])
    good = [at for at, (_, found) in enumerate(tried) if not found.faults]
    held = program_request.hold(session, [_wanted(*tried[at]) for at in good])
    for at, one in zip(good, held, strict=True):
        if isinstance(one, Refused):
            tried[at][1].fault("program_code", str(one))
    result = FileAsked(len(entries))
    result.faults = [
        (entry, fault) for entry, (_, found) in zip(entries, tried, strict=True) for fault in found.faults
    ]
    known = {at: one for at, one in zip(good, held, strict=True) if isinstance(one, Asked)}
    if not result.faults:
        new = {at: one for at, one in zip(good, held, strict=True) if isinstance(one, Held)}
        known |= zip(new, program_request.write(session, list(new.values()), by=by), strict=True)
    result.asked = [(entries[at], known[at]) for at in sorted(known)]
    return result


def _checked(wish: Wish, also: Sequence[Fault]) -> Checked:
    found = checked(wish.members, settings().siplatih)
    found.faults[:0] = also
    return found


def _wanted(wish: Wish, found: Checked) -> Wanted:
    warnings = [{"where": one.path, "reason": one.reason} for one in found.warnings]
    return Wanted(found.program, wish.change, warnings)


def _look_for_repeats(entries: Sequence[Entry], tried: Sequence[Checked]) -> None:
    """A file has each program of an LPK once."""
    seen: dict[tuple[str, str], Entry] = {}
    for entry, found in zip(entries, tried, strict=True):
        number, code = found.program.get("lpk_registration_number"), found.program.get("program_code")
        if number and code and (first := seen.setdefault((number, code), entry)) is not entry:
            found.fault("program_code", f"{first.where} has this program of this LPK already")


def _look_at_numbers(session: Session, tried: Sequence[tuple[Wish, Checked]]) -> None:
    """The number of an LPK is that of its earlier programs: a slip would register for somebody else."""
    lpks = [_lpk(found) for _, found in tried]
    known = program_request.known_lpks(session, {one for one in lpks if one is not None})
    names = {name for name, _ in known}
    same = {lpk for lpk, is_same in known.items() if is_same}
    for (wish, found), lpk in zip(tried, lpks, strict=True):
        if lpk is None:
            continue
        if lpk[0] in names and lpk not in same:
            if wish.new_number:
                found.warn("lpk_registration_number", "earlier programs of this LPK bear another number")
            else:
                found.fault(
                    "lpk_registration_number",
                    "earlier programs of this LPK bear another number; say "
                    f'"{NEW_NUMBER}": true if it has changed',
                )
        if not found.faults:  # for those after it in the same file
            names.add(lpk[0])
            same.add(lpk)


def _lpk(found: Checked) -> tuple[str, str] | None:
    """Name (as a key) and number of a program's LPK, where both can be read."""
    name, number = found.program.get("lpk_name"), found.program.get("lpk_registration_number")
    return (program.name_key(name), number) if name and number else None
