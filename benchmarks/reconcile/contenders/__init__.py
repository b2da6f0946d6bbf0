"""Ways to get from a report on disk to a durable outcome for every line and payment, one file each.

Each is timed from its first byte read to its commit; importing its libraries comes before.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Contender:
    """One way, and what it can know."""

    name: str
    module: str
    reads_malformed: bool = False
    knows_duplicates: bool = False
    libraries: tuple[str, ...] = ("psycopg",)
    remark: str = ""


@dataclass(frozen=True)
class Job:
    """What a contender is given."""

    database_url: str
    report: Path


JEMBATAN = Contender(
    "jembatan",
    "jembatan_tasks",
    reads_malformed=True,
    knows_duplicates=True,
    libraries=("psycopg", "pyarrow"),
    remark="keeps the file, names every fault, pairs by content, exceptions with history, proof",
)
BARE_SQL = Contender(
    "bare SQL",
    "bare_sql",
    remark="report without its malformed lines; takes a second line of a payment for a second match",
)
PANDAS = Contender(
    "pandas",
    "pandas_merge",
    knows_duplicates=True,
    libraries=("pandas", "numpy", "pyarrow", "psycopg"),
    remark="report without its malformed lines",
)
DATACOMPY = Contender(
    "datacompy",
    "datacompy_pandas",
    knows_duplicates=True,
    libraries=("datacompy", "pandas", "numpy", "pyarrow", "psycopg"),
    remark="report without its malformed lines",
)
DATACOMPY_POLARS = Contender(
    "datacompy on Polars",
    "datacompy_polars",
    knows_duplicates=True,
    libraries=("datacompy", "polars", "psycopg"),
    remark="report without its malformed lines",
)
CONTENDERS = (JEMBATAN, BARE_SQL, PANDAS, DATACOMPY, DATACOMPY_POLARS)
