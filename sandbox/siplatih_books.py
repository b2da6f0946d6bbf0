"""What SIPLatih has on its books: programs, and who completed them. No NIK, no name is kept in the clear."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sandbox import nik
from sandbox.kept_lines import KeptLines
from sandbox.siplatih_checks import CompletionRequest, Entry, ProgramRequest


@dataclass
class Participant:
    """One person in one program. person: what stands for the NIK; values: digest of all that was reported.

    times_told: in how many reports the person stood, refused repeats included. versions: corrections + 1.
    """

    person: str
    masked_nik: str
    certificate: str
    status: str
    values: str
    report_id: str
    number: int
    times_told: int = 1
    versions: int = 1


@dataclass
class Program:
    """One program. number: which one it was of all; content: digest of all that was sent."""

    id: str
    number: int
    code: str
    name: str
    lpk: str
    lpk_name: str
    skkni_code: str
    start: str
    content: str
    registered_at: str
    versions: int = 1
    reports: int = 0
    participants: dict[str, Participant] = field(default_factory=dict)  # by person

    @property
    def starts(self) -> date:
        """First day."""
        return date.fromisoformat(self.start)


@dataclass(frozen=True, slots=True)
class Refused:
    """A participant who was not taken, by place in the report."""

    index: int
    certificate: str
    code: str
    message: str


class Books:
    """All programs, by id and by code. Used on the event loop only."""

    def __init__(self, kept: KeptLines) -> None:
        self._kept = kept
        self.refusals: dict[str, tuple[str, str]] = {}  # by certificate number: code and message
        self._empty()
        for line in kept.read():
            self._replay(line)

    def _empty(self) -> None:
        self.programs: dict[str, Program] = {}
        self._by_code: dict[str, Program] = {}
        self._by_person: dict[str, list[Program]] = {}
        self._certificates: dict[str, str] = {}  # number: person
        self._numbers = 0
        self._people = 0
        self._reports = 0

    def of_code(self, code: str) -> Program | None:
        """The program of a code."""
        return self._by_code.get(code)

    def register(self, wanted: ProgramRequest, content: str) -> Program:
        """Enter a program that is not there yet."""
        moment = datetime.now(UTC)
        program = Program(
            f"SIPLATIH-{moment.year}-{self._numbers + 1:06d}",
            self._numbers + 1,
            wanted.code,
            wanted.name,
            wanted.lpk,
            wanted.lpk_name,
            wanted.skkni_code,
            wanted.start.isoformat(),
            content,
            _printed(moment),
        )
        self._enter(program)
        self._keep(program)
        return program

    def change(self, program: Program, wanted: ProgramRequest, content: str) -> None:
        """Put another version in the place of a program, under the same id."""
        program.skkni_code, program.start = wanted.skkni_code, wanted.start.isoformat()
        program.content = content
        program.versions += 1
        self._keep(program)

    def forget(self, program: Program) -> None:
        """Lose a program, as a register sometimes does."""
        self._remove(program)
        self._kept.add(kind="forget", id=program.id)

    def report(
        self, program: Program, report: CompletionRequest, *, corrections: bool
    ) -> tuple[str, int, list[Refused]]:
        """Enter the participants of a report; its number, how many were taken, who was not.

        corrections: whether other values for somebody who is there already are taken.
        """
        self._reports += 1
        report_id = f"SIPLATIH-RPT-{self._reports:08d}"
        refused: list[Refused] = []
        taken: list[Participant] = []
        seen: set[str] = set()
        told_again: list[str] = []
        for index, entry in enumerate(report.entries):
            who = nik.person(entry.nik)
            known = program.participants.get(who)
            if known:
                known.times_told += 1
                told_again.append(who)
            no = self._no(entry, who, known, seen, corrections=corrections)
            if no:
                refused.append(Refused(index, *no))
                continue
            seen.add(who)
            taken.append(self._take(program, entry, who, known, report_id))
        program.reports += 1
        people = [asdict(one) for one in taken]
        self._kept.add(kind="report", id=program.id, participants=people, told_again=told_again)
        return report_id, len(taken), refused

    def known_in(self, program: Program, report: CompletionRequest) -> list[Refused]:
        """Those of a report who are on the program's books already."""
        found = []
        for index, entry in enumerate(report.entries):
            who = nik.person(entry.nik)
            if known := program.participants.get(who):
                no = self._no(entry, who, known, set(), corrections=False)
                assert no
                found.append(Refused(index, *no))
        return found

    def programs_of(self, number: str) -> list[tuple[Program, Participant]]:
        """Where the person with this NIK stands."""
        who = nik.person(number)
        return [(one, one.participants[who]) for one in self._by_person.get(who, [])]

    def clear(self) -> None:
        """Begin with empty books."""
        self._empty()
        self.refusals.clear()
        self._kept.clear()

    def _no(
        self, entry: Entry, who: str, known: Participant | None, seen: set[str], *, corrections: bool
    ) -> tuple[str, str, str] | None:
        """Why a participant is not taken: certificate number, code, message."""
        sent = entry.certificate
        if fault := nik.fault(entry.nik):
            return sent, "NIK_NOT_PLAUSIBLE", f"NIK {entry.nik} {fault}"
        if sent in self.refusals:
            return sent, *self.refusals[sent]
        if who in seen:
            return sent, "REPEATED_IN_REPORT", "The participant stands twice in the report"
        if known and known.values == _values(entry):
            return known.certificate, "ALREADY_REPORTED", "The participant was reported before"
        if known and not corrections:
            return known.certificate, "REPORTED_OTHERWISE", "The participant was reported with other values"
        if sent and self._certificates.get(sent, who) != who:
            return sent, "CERTIFICATE_NUMBER_USED", f"The certificate number {sent} is somebody else's"
        return None

    def _take(
        self, program: Program, entry: Entry, who: str, known: Participant | None, report_id: str
    ) -> Participant:
        if known:
            known.certificate, known.status = entry.certificate, entry.status
            known.values, known.report_id = _values(entry), report_id
            known.versions += 1
        else:
            self._people += 1
            known = Participant(
                who,
                nik.masked(entry.nik),
                entry.certificate,
                entry.status,
                _values(entry),
                report_id,
                self._people,
            )
        self._place(program, known)
        return known

    def _place(self, program: Program, who: Participant) -> None:
        if who.person not in program.participants:
            self._by_person.setdefault(who.person, []).append(program)
        program.participants[who.person] = who
        if who.certificate:
            self._certificates[who.certificate] = who.person

    def _enter(self, program: Program) -> None:
        self.programs[program.id] = program
        self._by_code[program.code] = program
        self._numbers = max(self._numbers, program.number)

    def _remove(self, program: Program) -> None:
        del self.programs[program.id], self._by_code[program.code]
        for who in program.participants.values():
            self._by_person[who.person].remove(program)

    def _keep(self, program: Program) -> None:
        members = {name: value for name, value in vars(program).items() if name != "participants"}
        self._kept.add(kind="program", **members)

    def _replay(self, line: dict[str, Any]) -> None:
        match line.pop("kind"):
            case "program":
                known = self.programs.get(line["id"])
                self._enter(Program(**line, participants=known.participants if known else {}))
            case "forget":
                self._remove(self.programs[line["id"]])
            case "report":
                program = self.programs[line["id"]]
                program.reports += 1
                self._reports += 1
                for person in line["told_again"]:
                    program.participants[person].times_told += 1
                for members in line["participants"]:
                    self._place(program, who := Participant(**members))
                    self._people = max(self._people, who.number)

    def __iter__(self) -> Iterator[Program]:
        return iter(self.programs.values())


def digest(members: dict[str, Any]) -> str:
    """What stands for the content of a call, whatever the order of its members."""
    return hashlib.sha256(json.dumps(members, sort_keys=True, default=str).encode()).hexdigest()


def _values(entry: Entry) -> str:
    score = None if entry.score is None else str(entry.score.normalize())
    return digest(
        {"name": entry.name, "status": entry.status, "score": score, "certificate": entry.certificate}
    )


def _printed(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
