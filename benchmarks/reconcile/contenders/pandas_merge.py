"""pandas: read, merge, classify with numpy, write. Arrow reads and writes the CSV, which is its fastest."""

import io

import numpy as np
import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.csv

from benchmarks.reconcile.contenders import Job
from benchmarks.reconcile.contenders.outcomes import read_ledger, write_outcomes

USED = ["reference", "gateway_reference", "status", "amount", "fee", "currency", "occurred_at"]
PAID = ("paid", "partially_refunded", "refunded")
OUTCOMES = pa.schema(
    [
        ("id", pa.string()),
        ("reference", pa.string()),
        ("class", pa.string()),
        ("ledger_minor", pa.int64()),
        ("report_minor", pa.int64()),
    ]
)


def run(job: Job) -> None:
    """From the report and the ledger to the outcomes in the database."""
    with psycopg.connect(job.database_url) as db:
        ledger = pd.read_csv(read_ledger(db), engine="pyarrow")
        lines, extra = without_extra(read_lines(job), ledger)
        both = ledger.merge(
            lines.drop(columns=["gateway_reference", "occurred_at"]),
            how="outer",
            on="reference",
            suffixes=("", "_theirs"),
            indicator="side",
        )
        both["class"] = _classes(both)
        both = both.rename(columns={"amount_minor": "ledger_minor"})
        write_outcomes(db, as_csv(both, extra))


def read_lines(job: Job) -> pd.DataFrame:
    """The report, with amounts in minor units."""
    lines = pd.read_csv(job.report, engine="pyarrow", usecols=USED)
    lines["report_minor"] = (lines.pop("amount") * 100).round().astype("int64")
    lines["fee_minor"] = (lines.pop("fee") * 100).round()
    return lines


def without_extra(lines: pd.DataFrame, ledger: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The lines with one for each reference, and the others as outcomes. The one is that with our gateway
    reference, else the earliest."""
    is_several = lines["reference"].duplicated(keep=False)
    several = lines[is_several]
    known = ledger.loc[ledger["reference"].isin(several["reference"]), ["reference", "gateway_reference"]]
    ours = several["reference"].map(known.set_index("reference")["gateway_reference"])
    several = several.assign(is_other=several["gateway_reference"] != ours)
    several = several.sort_values(["reference", "is_other", "occurred_at", "gateway_reference"])
    is_extra = several["reference"].duplicated()
    extra = several[is_extra].assign(**{"id": None, "class": "duplicate_at_gateway", "ledger_minor": None})
    return lines.drop(index=several.index[is_extra]), extra


def _classes(both: pd.DataFrame) -> np.ndarray:
    ours, theirs = both["amount_minor"], both["report_minor"]
    fee = (ours * 20_000 + 50_000_000) // 100_000_000 * 100  # floats hold these whole numbers exactly
    is_paid, says_paid = both["status"].isin(PAID), both["status_theirs"] == "paid"
    conditions = {
        "missing_in_ledger": both["side"] == "right_only",
        "timing": (both["side"] == "left_only") & (both["is_late"] == 1),
        "missing_at_gateway": both["side"] == "left_only",
        "currency_mismatch": both["currency"] != both["currency_theirs"],
        "amount_mismatch": ours != theirs,
        "status_mismatch": is_paid != says_paid,
        "fee_mismatch": says_paid & both["fee_minor"].notna() & (both["fee_minor"] != fee),
    }
    names = np.array([*conditions, "matched"], dtype=object)
    return names[np.select(list(conditions.values()), range(len(conditions)), len(conditions))]


def as_csv(*parts: pd.DataFrame) -> io.BytesIO:
    """Outcomes as COPY reads them."""
    out = io.BytesIO()
    for part in parts:
        table = pa.Table.from_pandas(part[OUTCOMES.names], OUTCOMES, preserve_index=False)
        pyarrow.csv.write_csv(table, out, pyarrow.csv.WriteOptions(include_header=False))
    return out
