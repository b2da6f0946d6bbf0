"""datacompy: its comparison of two pandas frames on the join key, in its original form.

It tells which rows are on one side only and which columns differ; the classes follow from that. Reading,
duplicates and writing are those of the pandas pipeline.
"""

import numpy as np
import pandas as pd
import psycopg
from datacompy import PandasCompare

from benchmarks.reconcile.contenders import Job
from benchmarks.reconcile.contenders.outcomes import read_ledger, write_outcomes
from benchmarks.reconcile.contenders.pandas_merge import PAID, as_csv, read_lines, without_extra


def run(job: Job) -> None:
    """From the report and the ledger to the outcomes in the database."""
    with psycopg.connect(job.database_url) as db:
        ledger = pd.read_csv(read_ledger(db), engine="pyarrow")
        lines, extra = without_extra(read_lines(job), ledger)
        ours, theirs = _ours(ledger), _theirs(lines)
        compared = PandasCompare(ours, theirs, "reference", df1_name="ours", df2_name="theirs")
        write_outcomes(
            db,
            as_csv(
                _paired(compared.intersect_rows),
                _ours_alone(compared.df1_unq_rows),
                _theirs_alone(compared.df2_unq_rows),
                extra,
            ),
        )


def _ours(ledger: pd.DataFrame) -> pd.DataFrame:
    amount = ledger["amount_minor"]
    return ledger[["reference", "id", "is_late", "currency"]].assign(
        minor=amount,
        is_paid=ledger["status"].isin(PAID),
        fee_minor=(amount * 20_000 + 50_000_000) // 100_000_000 * 100,
    )


def _theirs(lines: pd.DataFrame) -> pd.DataFrame:
    is_paid = lines["status"] == "paid"
    return lines[["reference", "currency", "fee_minor"]].assign(minor=lines["report_minor"], is_paid=is_paid)


def _paired(rows: pd.DataFrame) -> pd.DataFrame:
    conditions = {
        "currency_mismatch": ~rows["currency_match"],
        "amount_mismatch": ~rows["minor_match"],
        "status_mismatch": ~rows["is_paid_match"],
        "fee_mismatch": rows["is_paid_theirs"] & ~rows["fee_minor_match"] & rows["fee_minor_theirs"].notna(),
    }
    names = np.array([*conditions, "matched"], dtype=object)
    found = names[np.select(list(conditions.values()), range(len(conditions)), len(conditions))]
    named = rows.rename(columns={"minor_ours": "ledger_minor", "minor_theirs": "report_minor"})
    return named.assign(**{"class": found})


def _ours_alone(rows: pd.DataFrame) -> pd.DataFrame:
    found = np.where(rows["is_late"] == 1, "timing", "missing_at_gateway")
    return rows.rename(columns={"minor": "ledger_minor"}).assign(**{"class": found, "report_minor": None})


def _theirs_alone(rows: pd.DataFrame) -> pd.DataFrame:
    named = rows.rename(columns={"minor": "report_minor"})
    return named.assign(**{"id": None, "class": "missing_in_ledger", "ledger_minor": None})
