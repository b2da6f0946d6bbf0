"""What Prefect shows of a reconciliation: a markdown artifact, a table of exceptions, a link to the page."""

from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from common.cells import neutral
from common.money import parse_minor, rupiah
from records.classes import CLASSES
from records.exceptions import ReconciliationException

TABLE_ROWS = 100
BAR = 24


def publish(outcome: dict[str, Any], open_exceptions: list[ReconciliationException]) -> None:
    """Put the statement beside the flow run; artifacts of one gateway share a key, so that days compare."""
    key = f"reconciliation-{outcome['gateway']}"
    title = f"{outcome['gateway']} {outcome['business_date']}"
    create_markdown_artifact(_markdown(outcome), key=key, description=f"Reconciliation of {title}")
    create_table_artifact(
        [_row(found) for found in open_exceptions] or [{"exceptions": "none"}],
        key=f"{key}-exceptions",
        description=f"Open items of {title}, the first {TABLE_ROWS}; all of them are on the page",
    )
    create_link_artifact(outcome["page"], link_text=f"Statement of {title}", key=f"{key}-page")


def _markdown(outcome: dict[str, Any]) -> str:
    verdict = "✅ The proof balances." if outcome["balanced"] else "❌ **The proof does not balance.**"
    most = max((outcome["classes"][name]["count"] for name in CLASSES if name != "matched"), default=0)
    lines = [
        f"# Reconciliation {outcome['gateway']} {outcome['business_date']} (version {outcome['version']})",
        "",
        f"{verdict} {outcome['exceptions_open']:,} exceptions are open, "
        f"{rupiah(parse_minor(outcome['at_risk']))} at risk, "
        f"{outcome['healed']:,} healed by the gateway's status.",
        "",
        f"[Statement with every exception]({outcome['page']})",
        "",
        "| class | count | ledger (Rp) | report (Rp) | |",
        "|---|---:|---:|---:|:---|",
    ]
    for name in CLASSES:
        row = outcome["classes"][name]
        bar = "" if name == "matched" or not most else "█" * -(-row["count"] * BAR // most)
        lines.append(
            f"| {name} | {row['count']:,} | {_grouped(row['ledger_amount'])} | "
            f"{_grouped(row['report_amount'])} | {bar} |"
        )
    lines += [
        f"| **ledger / report rows** | {outcome['ledger_rows']:,} / {outcome['report_rows']:,} | "
        f"{_grouped(outcome['ledger_amount'])} | {_grouped(outcome['report_amount'])} | |",
        "",
        "Sources: "
        + ", ".join(f"`{s['sha256'][:12]}` ({s['rows']:,} lines)" for s in outcome["sources"])
        + f"; {outcome['overlap_rows']:,} lines stood in several files and count once.",
    ]
    return "\n".join(lines)


def _row(found: ReconciliationException) -> dict[str, Any]:
    return {
        "exception": found.id,
        "class": found.class_,
        "reference": neutral(found.reference or ""),
        "ledger": rupiah(found.ledger_minor) if found.ledger_minor is not None else "",
        "report": rupiah(found.report_minor) if found.report_minor is not None else "",
        "reason": neutral(found.reason or found.note or ""),
        "line": found.line_no,
    }


def _grouped(plain: str) -> str:
    whole, cents = plain.split(".")
    return f"{int(whole):,}.{cents}"
