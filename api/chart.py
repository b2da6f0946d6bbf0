"""The chart of a statement: bars that are drawn here, so that a page needs no script and prints in grey."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH = 380
ROW = 38
_BAR = 10
_LEAST = 1.5  # a bar that stands for something can be seen


@dataclass(frozen=True)
class Bar:
    """One row: its label and value in words, where it is drawn, and how much of it is open."""

    label: str
    value: str
    y: int
    bar_y: int
    height: int
    width: float
    open_width: float


@dataclass(frozen=True)
class Chart:
    """Bars of one scale. description: the same in words, for those who do not see them."""

    id: str
    title: str
    description: str
    bars: list[Bar]

    width = WIDTH

    @property
    def height(self) -> int:
        """Height in the chart's own units."""
        return ROW * len(self.bars)


def chart(
    id: str, title: str, rows: Sequence[tuple[str, int, int, str]], longest: int | None = None
) -> Chart | None:
    """A chart of rows (label, whole, open part, value in words); None where every row is zero.

    longest: what the whole width stands for, where several charts share a scale; else the largest row.
    """
    largest = max((whole for _, whole, _, _ in rows), default=0)
    most = longest or largest
    if not largest:
        return None

    def length(value: int) -> float:
        return round(max(value / most * WIDTH, _LEAST), 1) if value else 0.0

    bars = [
        Bar(label, value, ROW * place + 13, ROW * place + 19, _BAR, length(whole), length(is_open))
        for place, (label, whole, is_open, value) in enumerate(rows)
    ]
    said = "; ".join(f"{label}: {value}" for label, _, _, value in rows)
    return Chart(id, title, f"{said}.", bars)
