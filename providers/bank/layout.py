"""Layouts of bank statements in CSV or XLSX: column maps like those of settlement reports.

Those shipped lie in `providers/bank/layouts/`, one's own in the folder `bank-layouts/` of JEMBATAN_HOME.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.columns import AmountStyle
from common.errors import BadInput
from common.tables import Encoding
from providers import layout_files

SHIPPED = Path(__file__).parent / "layouts"
FieldName = Literal[
    "account", "booked_on", "amount", "direction", "credit", "debit", "currency", "reference", "narrative"
]


class BankLayout(BaseModel):
    """How one bank writes its statement: one amount and a direction, or a column for each direction."""

    model_config = ConfigDict(extra="forbid")

    name: str = ""
    title: str
    source: str = Field(description="where the facts about this layout come from")
    columns: dict[FieldName, list[str]] = Field(description="header words that a column may have")
    constants: dict[Literal["account", "currency"], str] = {}
    directions: dict[str, Literal["credit", "debit"]] = {"credit": "credit", "debit": "debit"}
    ignore_case: bool = False
    delimiter: str = "auto"
    encoding: Encoding = "auto"
    amounts: AmountStyle = "plain"
    date: str = Field(default="%Y-%m-%d", description="form of the booking date, of %Y %m %d")

    @model_validator(mode="after")
    def _complete(self) -> "BankLayout":
        named = set(self.columns)
        for name in ("booked_on", "narrative"):
            if name not in named:
                raise ValueError(f"the field {name} has no column")
        if not ({"amount", "direction"} <= named) ^ ({"credit", "debit"} <= named):
            raise ValueError("give columns for amount and direction, or for credit and debit")
        if "currency" not in named and "currency" not in self.constants:
            raise ValueError("the field currency has neither a column nor a constant")
        return self

    @property
    def wanted(self) -> dict[str, set[str]]:
        """Header words of each field, folded for comparison."""
        return layout_files.folded(self.columns)


def load_bank_layout(name: str, own: Path) -> BankLayout:
    """The layout of that name; one's own goes before a shipped one. Raises BadInput naming what there is."""
    path = layout_files.find(name, (own, SHIPPED))
    if path is None:
        known = sorted({path.stem for folder in (own, SHIPPED) for path in folder.glob("*.toml")})
        raise BadInput(f"there is no bank layout {name!r} (there are: {', '.join(known)})")
    return layout_files.read(path, BankLayout, "bank layout", BadInput)
