"""All models in one place, for migrations and for the test that holds them against the database."""

from typing import Any

from records.db import Base
from records.exceptions import ExceptionEvent, ReconciliationException
from records.files import KeptFile
from records.payment import Payment, PaymentEvent, Refund
from records.process import ProcessRun
from records.reconciliation import Reconciliation

__all__ = [
    "Base",
    "ExceptionEvent",
    "KeptFile",
    "Payment",
    "PaymentEvent",
    "ProcessRun",
    "Reconciliation",
    "ReconciliationException",
    "Refund",
]


def is_ours(name: str | None, kind: str, parents: Any) -> bool:
    """Whether a database object belongs to the models (outcome partitions do not)."""
    return not (kind == "table" and name is not None and name.startswith("reconciliation_outcomes"))
