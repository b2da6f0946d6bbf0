"""The classes of a reconciliation, in the order in which the first that fits wins."""

CLASSES = (
    "malformed_line",
    "duplicate_at_gateway",
    "missing_in_ledger",
    "currency_mismatch",
    "amount_mismatch",
    "status_mismatch",
    "fee_mismatch",
    "timing",
    "missing_at_gateway",
    "matched",
)
MISMATCHES = ("currency_mismatch", "amount_mismatch", "status_mismatch", "fee_mismatch")
LINE_CLASSES = ("malformed_line", "duplicate_at_gateway", "missing_in_ledger", *MISMATCHES, "matched")
LEDGER_CLASSES = (*MISMATCHES, "timing", "missing_at_gateway", "matched")
NO_EXCEPTION = ("matched", "timing")  # timing is an open item: a later day closes or carries it
