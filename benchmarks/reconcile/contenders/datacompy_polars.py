"""datacompy: its comparison of two Polars frames on the join key, the fastest that it has for one machine.

It tells which rows are on one side only and which columns differ; the classes follow from that.
"""

import io

import polars as pl
import psycopg
from datacompy import PolarsCompare

from benchmarks.reconcile.contenders import Job
from benchmarks.reconcile.contenders.outcomes import read_ledger, write_outcomes

USED = ["reference", "gateway_reference", "status", "amount", "fee", "currency", "occurred_at"]
PAID = ("paid", "partially_refunded", "refunded")


def run(job: Job) -> None:
    """From the report and the ledger to the outcomes in the database."""
    with psycopg.connect(job.database_url) as db:
        ledger = pl.read_csv(read_ledger(db))
        lines, extra = _without_extra(pl.read_csv(job.report, columns=USED), ledger)
        compared = PolarsCompare(
            _ours(ledger), _theirs(lines), "reference", df1_name="ours", df2_name="theirs"
        )
        out = io.BytesIO()
        for part in (
            _paired(compared.intersect_rows),
            _ours_alone(compared.df1_unq_rows),
            _theirs_alone(compared.df2_unq_rows, "missing_in_ledger"),
            _theirs_alone(_theirs(extra), "duplicate_at_gateway"),
        ):
            part.write_csv(out, include_header=False)
        write_outcomes(db, out)


def _without_extra(lines: pl.DataFrame, ledger: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The lines with one for each reference, and the others. The one is that with our gateway reference,
    else the earliest."""
    is_several = pl.col("reference").is_duplicated()
    several = lines.filter(is_several).join(
        ledger.select("reference", ours="gateway_reference"), on="reference", how="left"
    )
    is_other = pl.col("gateway_reference").ne_missing(pl.col("ours"))
    several = several.sort("reference", is_other, "occurred_at", "gateway_reference").drop("ours")
    is_the_line = pl.col("reference").is_first_distinct()
    alone = lines.filter(~is_several)
    return pl.concat([alone, several.filter(is_the_line)]), several.filter(~is_the_line)


def _ours(ledger: pl.DataFrame) -> pl.DataFrame:
    return ledger.select(
        "reference",
        "id",
        "is_late",
        "amount_minor",
        "currency",
        is_paid=pl.col("status").is_in(PAID),
        fee_minor=(pl.col("amount_minor") * 20_000 + 50_000_000) // 100_000_000 * 100,
    )


def _theirs(lines: pl.DataFrame) -> pl.DataFrame:
    return lines.select(
        "reference",
        "currency",
        amount_minor=(pl.col("amount") * 100).round().cast(pl.Int64),
        is_paid=pl.col("status") == "paid",
        fee_minor=(pl.col("fee") * 100).round().cast(pl.Int64),
    )


def _paired(rows: pl.DataFrame) -> pl.DataFrame:
    is_fee_wrong = ~pl.col("fee_minor_match") & pl.col("fee_minor_theirs").is_not_null()
    name = (
        pl.when(~pl.col("currency_match"))
        .then(pl.lit("currency_mismatch"))
        .when(~pl.col("amount_minor_match"))
        .then(pl.lit("amount_mismatch"))
        .when(~pl.col("is_paid_match"))
        .then(pl.lit("status_mismatch"))
        .when(pl.col("is_paid_theirs") & is_fee_wrong)
        .then(pl.lit("fee_mismatch"))
        .otherwise(pl.lit("matched"))
    )
    return rows.select(
        "id_ours", "reference", name.alias("class"), "amount_minor_ours", "amount_minor_theirs"
    )


def _ours_alone(rows: pl.DataFrame) -> pl.DataFrame:
    name = pl.when(pl.col("is_late") == 1).then(pl.lit("timing")).otherwise(pl.lit("missing_at_gateway"))
    return rows.select("id", "reference", name.alias("class"), "amount_minor", report_minor=None)


def _theirs_alone(rows: pl.DataFrame, name: str) -> pl.DataFrame:
    return rows.select(
        pl.lit(None).alias("id"),
        "reference",
        pl.lit(name).alias("class"),
        pl.lit(None).alias("ledger_minor"),
        "amount_minor",
    )
