"""One statement as the finance officer reads it: head, verdict, proof, classes, exceptions."""

from dataclasses import dataclass
from datetime import date
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.orm import Session

from api import figures, words
from api.chart import Chart, chart
from api.figures import Figures
from api.items import Item, items
from common.money import rupiah
from records import exceptions
from records.classes import CLASSES, MISMATCHES, NO_EXCEPTION
from records.reconciliation import Reconciliation

PER_CLASS = 500  # exceptions on the page; all of them are in the CSV
_REPORT_PARTS = ("malformed_line", "duplicate_at_gateway", "missing_in_ledger")
EXCEPTION_CLASSES = tuple(name for name in CLASSES if name not in NO_EXCEPTION)


@dataclass(frozen=True)
class Amounts:
    """A line of a calculation: rows and money."""

    label: str
    rows: int
    minor: int


@dataclass(frozen=True)
class ProofSide:
    """One side of the proof: parts that add up to `summed`, which must equal what was `counted` elsewhere."""

    title: str
    counted_where: str
    parts: list[Amounts]
    summed: Amounts
    counted: Amounts

    @property
    def holds_rows(self) -> bool:
        """Whether the rows add up, and to what was counted."""
        return self.summed.rows == self.counted.rows == sum(part.rows for part in self.parts)

    @property
    def holds_money(self) -> bool:
        """Whether the money does."""
        return self.summed.minor == self.counted.minor == sum(part.minor for part in self.parts)


@dataclass(frozen=True)
class ClassRow:
    """A class with its totals, and the difference report minus ledger."""

    name: str
    words: words.ClassWords
    count: int
    ledger_minor: int
    report_minor: int

    @property
    def difference_minor(self) -> int:
        """By how much the report is above the ledger."""
        return self.report_minor - self.ledger_minor


@dataclass(frozen=True)
class Group:
    """The exceptions of one class: those on the page, and how many there are."""

    row: ClassRow
    figures: Figures
    items: list[Item]


@dataclass(frozen=True)
class Neighbour:
    """Another statement to go to."""

    id: UUID
    business_date: date
    version: int


@dataclass(frozen=True)
class Statement:
    """Everything on the page of one run."""

    run: Reconciliation
    versions: list[Neighbour]
    newer: Neighbour | None
    before: Neighbour | None
    after: Neighbour | None
    proof: list[ProofSide]
    classes: list[ClassRow]
    groups: list[Group]
    awaited: Group | None
    elsewhere: int
    open: int
    at_risk_minor: int
    charts: list[Chart]

    @property
    def has_cents(self) -> bool:
        """Whether an amount in the tables has decimals: then all of them leave room for two."""
        minor = [part.minor for side in self.proof for part in (*side.parts, side.summed, side.counted)]
        return any(value % 100 for value in minor)

    @property
    def verdict(self) -> str:
        """`balanced`, `unbalanced`, or `unproven` while the proof is not made yet."""
        if self.run.is_balanced is None:
            return "unproven"
        is_whole = all(side.holds_rows and side.holds_money for side in self.proof)
        return "balanced" if self.run.is_balanced and is_whole else "unbalanced"


def statement(session: Session, run_id: UUID) -> Statement | None:
    """The page of that run; None where there is no such run."""
    run = session.get(Reconciliation, run_id)
    if run is None:
        return None
    by_class = figures.by_class(session, run_id)
    rows = [_class_row(run, name) for name in CLASSES]
    groups = {row.name: _group(session, run_id, row, by_class) for row in rows if row.name in by_class}
    awaited = groups.pop("timing", None)
    versions = _versions(session, run)
    now = [figure for name, figure in by_class.items() if name != "timing"]
    listed = sum(figure.listed for figure in by_class.values())
    return Statement(
        run=run,
        versions=versions,
        newer=versions[-1] if not run.is_current else None,
        before=_neighbour(session, run, earlier=True),
        after=_neighbour(session, run, earlier=False),
        proof=_proof(run),
        classes=rows,
        groups=list(groups.values()),
        awaited=awaited,
        elsewhere=0 if run.is_current else max(run.count(*EXCEPTION_CLASSES, "timing") - listed, 0),
        open=sum(figure.open for figure in now),
        at_risk_minor=sum(figure.at_risk_minor for figure in now),
        charts=_charts(run, rows, by_class),
    )


def _class_row(run: Reconciliation, name: str) -> ClassRow:
    kept = run.classes[name]
    return ClassRow(
        name, words.CLASSES[name], kept["count"], int(kept["ledger_minor"]), int(kept["report_minor"])
    )


def _group(session: Session, run_id: UUID, row: ClassRow, by_class: dict[str, Figures]) -> Group:
    kept = exceptions.search(session, run_id=run_id, class_=row.name, state=None, limit=PER_CLASS)
    return Group(row, by_class[row.name], items(session, kept))


def _versions(session: Session, run: Reconciliation) -> list[Neighbour]:
    found = sa.select(Reconciliation.id, Reconciliation.business_date, Reconciliation.version)
    found = found.filter_by(gateway=run.gateway, business_date=run.business_date)
    return [Neighbour(*row) for row in session.execute(found.order_by(Reconciliation.version))]


def _neighbour(session: Session, run: Reconciliation, *, earlier: bool) -> Neighbour | None:
    """The statement of the gateway's nearest day before or after."""
    day = Reconciliation.business_date
    query = sa.select(Reconciliation.id, day, Reconciliation.version).filter_by(
        gateway=run.gateway, is_current=True
    )
    query = query.where(day < run.business_date) if earlier else query.where(day > run.business_date)
    row = session.execute(query.order_by(day.desc() if earlier else day).limit(1)).first()
    return Neighbour(*row) if row else None


def _proof(run: Reconciliation) -> list[ProofSide]:
    """Both sides; what was summed comes from the proof, or before it is made from the classes."""
    kept = run.proof or {}

    def part(side: str, label: str, *names: str) -> Amounts:
        minor = sum(int(run.classes[name][f"{side}_minor"]) for name in names)
        return Amounts(label, run.count(*names), minor)

    def side(name: str, title: str, where: str, parts: list[Amounts]) -> ProofSide:
        def figure(how: str, otherwise: Amounts) -> Amounts:
            return Amounts(
                how,
                int(kept.get(f"{name}_rows_{how}", otherwise.rows)),
                int(kept.get(f"{name}_minor_{how}", otherwise.minor)),
            )

        total = Amounts("", sum(one.rows for one in parts), sum(one.minor for one in parts))
        return ProofSide(title, where, parts, figure("summed", total), figure("counted", total))

    title = {name: words.CLASSES[name].title for name in CLASSES}
    mismatches = words.MISMATCHES
    return [
        side(
            "report",
            words.REPORT_SIDE,
            words.COUNTED_IN_REPORT,
            [
                *(part("report", title[name], name) for name in _REPORT_PARTS),
                part("report", mismatches, *MISMATCHES),
                part("report", title["matched"], "matched"),
            ],
        ),
        side(
            "ledger",
            words.LEDGER_SIDE,
            words.COUNTED_IN_LEDGER,
            [
                part("ledger", mismatches, *MISMATCHES),
                part("ledger", title["timing"], "timing"),
                part("ledger", title["missing_at_gateway"], "missing_at_gateway"),
                part("ledger", title["matched"], "matched"),
            ],
        ),
    ]


def _charts(run: Reconciliation, rows: list[ClassRow], by_class: dict[str, Figures]) -> list[Chart]:
    """How many of each class, and, for the current version, how much money the open ones speak of."""
    shown = [row for row in rows if row.name in EXCEPTION_CLASSES]
    figure = {row.name: by_class.get(row.name, Figures()) for row in shown}
    counts, money = [], []
    for row in shown:
        is_open, risk = figure[row.name].open, figure[row.name].at_risk_minor
        solid = is_open if run.is_current else row.count
        counts.append((row.words.title, row.count, solid, _how_many(row.count, is_open, run.is_current)))
        money.append((row.words.title, risk, risk, rupiah(risk)))
    found = [chart("chart-count", words.CHART_COUNT, counts)]
    if run.is_current:
        found.append(chart("chart-money", words.CHART_MONEY, money))
    return [one for one in found if one is not None]


def _how_many(count: int, is_open: int, is_current: bool) -> str:
    if not is_current or not count:
        return f"{count:,}"
    return words.open_of(is_open, count)
