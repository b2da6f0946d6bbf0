"""Layouts: column maps that turn any gateway's report into our canonical line.

A layout is a TOML file. Those shipped lie in `providers/reports/layouts/`, one's own in the folder
`layouts/` of JEMBATAN_HOME; docs/reports.md walks through writing one.
"""

from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.columns import AmountStyle
from common.tables import Encoding
from providers import layout_files

SHIPPED = Path(__file__).parent / "layouts"
FieldName = Literal[
    "reference", "gateway_reference", "type", "status", "amount", "fee", "currency", "occurred_at",
    "payout_reference",
]  # fmt: skip
FIELDS: tuple[FieldName, ...] = get_args(FieldName)
MAY_BE_ABSENT = {"gateway_reference", "fee", "payout_reference"}
MAY_LACK_ITS_COLUMN = {"payout_reference"}  # a file of the layout is good without it


class UnknownLayout(Exception):
    """No layout has that name, or its file is not a layout; says which there are or what is wrong."""


class Layout(BaseModel):
    """How one kind of report is written down."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    title: str
    source: str = Field(description="where the facts about this layout come from")
    columns: dict[FieldName, list[str]] = Field(description="header words that a column may have")
    constants: dict[FieldName, str] = Field(default={}, description="value of a field without a column")
    types: dict[str, Literal["payment", "refund"]] = {"payment": "payment", "refund": "refund"}
    statuses: dict[str, Literal["paid", "failed", "reversed"]] = {
        "paid": "paid",
        "failed": "failed",
        "reversed": "reversed",
    }
    ignore_case: bool = False
    trim: bool = False
    delimiter: str = "auto"
    encoding: Encoding = "auto"
    amounts: AmountStyle = "plain"
    time: str = Field(default="iso", description="`iso`, or a form such as `%d/%m/%Y %H:%M:%S`")
    offset: str = Field(default="+07:00", description="offset of times that carry none")
    totals: Literal["optional", "required"] = "optional"
    totals_count_refunds: Literal["added", "subtracted"] = "added"

    @model_validator(mode="after")
    def _complete(self) -> "Layout":
        for name in FIELDS:
            if name not in self.columns and name not in self.constants and name not in MAY_BE_ABSENT:
                raise ValueError(f"the field {name} has neither a column nor a constant")
        return self

    @cached_property
    def wanted(self) -> dict[str, set[str]]:
        """Header words of each field, folded for comparison."""
        return layout_files.folded(self.columns)

    @cached_property
    def required(self) -> list[set[str]]:
        """Header words of every column that a file in this layout must have."""
        return [words for name, words in self.wanted.items() if name not in MAY_LACK_ITS_COLUMN]


def load_layout(name: str, own: Path | None = None) -> Layout:
    """The layout of that name; one's own goes before a shipped one. Raises UnknownLayout."""
    path = layout_files.find(name, _folders(own))
    if path is not None:
        return _read(path)
    known = ", ".join(sorted(layout.name for layout in layouts(own)))
    raise UnknownLayout(f"there is no layout {name!r} (there are: {known})")


def layouts(own: Path | None = None) -> list[Layout]:
    """All layouts, one's own first, then the shipped ones; canonical before the others."""
    found: dict[str, Layout] = {}
    for folder in _folders(own):
        for path in sorted(folder.glob("*.toml"), key=lambda path: (path.stem != "canonical", path.stem)):
            if path.stem not in found:
                with suppress(UnknownLayout):  # it says what is wrong when it is asked for by its name
                    found[path.stem] = _read(path)
    return list(found.values())


def _folders(own: Path | None) -> Iterable[Path]:
    return [folder for folder in (own, SHIPPED) if folder is not None and folder.is_dir()]


def _read(path: Path) -> Layout:
    return layout_files.read(path, Layout, "layout file", UnknownLayout)
