"""How old the open exceptions are: a chart for each wallet, all on one scale, and the same as a table."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from api import words
from api.chart import Chart, chart
from common.money import rupiah
from records import exception_list
from records.exception_list import Age


@dataclass(frozen=True)
class GatewayAges:
    """One wallet's open exceptions by age. chart: None where they put no money at risk."""

    gateway: str
    ages: list[Age]
    chart: Chart | None

    @property
    def count(self) -> int:
        """How many are open."""
        return sum(one.count for one in self.ages)

    @property
    def at_risk_minor(self) -> int:
        """Their money at risk."""
        return sum(one.at_risk_minor for one in self.ages)


def ageing(session: Session) -> list[GatewayAges]:
    """The wallets that have open exceptions."""
    found: dict[str, list[Age]] = {}
    for one in exception_list.ageing(session):
        found.setdefault(one.gateway, []).append(one)
    most = max((one.at_risk_minor for ages in found.values() for one in ages), default=0)
    return [GatewayAges(gateway, ages, _chart(gateway, ages, most)) for gateway, ages in found.items()]


def _chart(gateway: str, ages: list[Age], most: int) -> Chart | None:
    rows = [(words.AGES[one.bucket], one.at_risk_minor, one.at_risk_minor, _value(one)) for one in ages]
    return chart(f"ageing-{gateway}", words.gateway(gateway), rows, most)


def _value(one: Age) -> str:
    return f"{one.count:,} · {rupiah(one.at_risk_minor)}" if one.count else "none"
