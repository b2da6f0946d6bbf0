"""The page of one statement: it adds up, it is safe, and it says which version it is."""

import re
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
from api_world import DAY, Day, Paid, every_class, execute, reconcile, save
from console_browser import Person, key_of

from api import words
from records import exceptions, reconciliation
from records.classes import CLASSES
from records.db import unit_of_work

HOSTILE = '<script>alert("x")</script>'
BROWSER = {"Accept": "text/html,application/xhtml+xml"}


def text_of(page: str) -> str:
    """What a reader sees, in one line."""
    seen = re.sub(r'<span class="room".*?</span>', "", page)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", seen))


def read(reader: httpx.Client, statement: UUID) -> str:
    answer = reader.get(f"/reconciliations/{statement}", headers=BROWSER)
    assert answer.status_code == 200
    return answer.text


def test_every_page_of_a_statement_opens_for_who_is_signed_in_and_for_nobody_else(
    address: str, reader: httpx.Client, person: Person, tmp_path: Path
) -> None:
    statement = every_class(tmp_path)
    poor = person("poor", "exceptions:read", "reconciliations:read")
    for path in ("", f"{statement}", f"{statement}.json", f"{statement}/exceptions.csv"):
        there = f"/reconciliations/{path}"
        turned = httpx.get(f"{address}{there}", headers=BROWSER)
        assert (turned.status_code, turned.headers["location"]) == (303, f"/console/sign-in?next={there}")
        key = httpx.get(f"{address}{there}", headers={"Authorization": reader.headers["Authorization"]})
        assert key.status_code == 303  # a program has /api/v1/reconciliations
        assert poor.get(there).status_code == 200
    asked = reader.post(
        "/console/sign-in", data={"key": key_of("ani").text, "next": f"/reconciliations/{statement}"}
    )
    assert asked.headers["location"] == f"/reconciliations/{statement}"


def test_the_page_says_what_when_and_that_it_balances(day: Day) -> None:
    seen = text_of(day.page)
    for part in (
        "Statements · GoPay",
        "Tuesday, 24 November 2026",
        "Version 1, current",
        "✓ Balances",
        "settlement.csv",
        "2.0 % of the amount",
        "last 30 minutes before midnight",
        "none: amounts must be equal",
    ):
        assert part in seen


def test_both_sides_of_the_proof_add_up_visibly(day: Day) -> None:
    seen = text_of(day.page)
    assert "= Sum of the classes 9 Rp 1,040,000" in seen
    assert "Counted in the report’s files 9 Rp 1,040,000" in seen
    assert "= Sum of the classes 8 Rp 1,104,000" in seen
    assert seen.count("✓ equal") == 4


def test_every_class_is_named_with_its_count_and_amounts(day: Day) -> None:
    seen = text_of(day.page)
    for name in CLASSES:
        assert f"{words.CLASSES[name].title} {2 if name == 'matched' else 1} Rp" in seen
    assert "Other amount 1 Rp 350,000 Rp 345,000 -Rp 5,000" in seen


def test_an_exception_shows_what_was_expected_and_found_side_by_side(day: Day) -> None:
    seen = text_of(day.page)
    assert "R-LESS open the gateway reports less, difference -Rp 5,000" in seen
    assert "Amount Rp 350,000 Rp 345,000 Fee Rp 7,000 Rp 7,000 Status paid paid" in seen
    assert "Time 24 Nov 2026 09:00:00 24 Nov 2026 09:00:00 Gateway ref. G-R-LESS G-R-LESS" in seen
    assert "settlement.csv, line 7" in seen
    assert "Amount Rp 150,000 USD 150,000.00" in seen
    assert "the gateway kept another fee, difference Rp 100.50" in seen
    assert "a second charge for the same payment" in seen
    assert "the report says paid, our ledger does not" in seen
    assert "Column amount Seen 1e5" in seen


def test_what_is_awaited_is_no_exception(day: Day) -> None:
    exceptions_part, awaited_part = day.page.split('id="timing"')
    assert "R-LATE" not in exceptions_part
    assert "R-LATE" in awaited_part
    assert "Exceptions open 8" in text_of(day.page)


def test_the_money_at_risk_is_that_of_the_records(day: Day) -> None:
    parts = [figure.at_risk_minor for name, figure in day.by_class.items() if name != "timing"]
    assert day.at_risk_minor == sum(parts) > 0
    assert f"At risk Rp {day.at_risk_minor // 100:,}.50" in text_of(day.page)


def test_text_from_a_report_is_shown_and_never_runs(reader: httpx.Client, tmp_path: Path) -> None:
    lines = [
        Paid("R-X").line(reference=HOSTILE, gateway_reference="<img src=x onerror=alert(1)>"),
        Paid("R-Y").line(amount="<b>1</b>"),
    ]
    page = read(reader, reconcile(tmp_path, lines, name='"><svg onload=alert(1)>.csv'))
    assert "&lt;script&gt;alert" in page
    for tag in ("<script", "<img", "<b>", "<svg onload"):
        assert tag not in page


def test_a_page_loads_nothing_from_elsewhere(day: Day) -> None:
    for page in (day.page, day.listing):
        assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
        assert "<script" not in page
        assert not re.search(r"\sstyle=", page)


def test_the_chart_says_in_words_what_it_draws(day: Day) -> None:
    drawn = r'<svg[^>]*role="img"[^>]*>\s*<title[^>]*>(.*?)</title>\s*<desc[^>]*>(.*?)</desc>'
    described = re.findall(drawn, day.page)
    assert [title for title, _ in described] == [words.CHART_COUNT, words.CHART_MONEY]
    assert "Other amount: 1 open" in described[0][1]
    assert "Other amount: Rp 5,000" in described[1][1]


def test_a_superseded_version_says_so_and_points_to_the_newer_one(
    reader: httpx.Client, tmp_path: Path
) -> None:
    one, other = Paid("R-1"), Paid("R-2")
    save([one, other])
    old = reconcile(tmp_path, [Paid("R-9").line()])
    new = reconcile(tmp_path, [one.line(), Paid("R-9").line()])
    page, seen = read(reader, old), text_of(read(reader, old))
    assert "Version 1, superseded by version 2" in seen
    assert f'href="/reconciliations/{new}"' in page
    assert "Not in the report 2 Rp 200,000" in seen
    assert "2 of the items that this version found are still found by a newer version" in seen
    assert "no longer found" in seen
    assert "the new version of the day no longer finds it (reconcile-payments" in seen
    assert "Version 2, current" in text_of(read(reader, new))
    assert f'href="/reconciliations/{old}"' in read(reader, new)


def test_an_ended_exception_says_how_and_by_whom(reader: httpx.Client, tmp_path: Path) -> None:
    statement = every_class(tmp_path)
    with unit_of_work() as session:
        found = exceptions.search(session, run_id=statement, class_="fee_mismatch")[0]
        exceptions.move(session, found.id, "explained", actor="sari", reason="comes with <the> invoice")
    page = read(reader, statement)
    assert "explained by a person" in page
    assert "comes with &lt;the&gt; invoice (sari, " in text_of(page)
    assert "Exceptions open 7" in text_of(page)
    assert "Other fee 1, none open" in text_of(page)


def test_an_awaited_item_says_what_became_of_it(reader: httpx.Client, tmp_path: Path) -> None:
    late = Paid("R-LATE", hour=23, minute=40)
    save([late])
    first = reconcile(tmp_path, [])
    reconcile(tmp_path, [late.line()], day=DAY + timedelta(days=1))
    assert "settled later: its line came with the report of 2026-11-25" in text_of(read(reader, first))


def test_a_statement_that_does_not_balance_cannot_be_overlooked(reader: httpx.Client, tmp_path: Path) -> None:
    statement = every_class(tmp_path)
    execute(
        'UPDATE reconciliations SET is_balanced = false, proof = proof || \'{"ledger_minor_counted": "1"}\''
    )
    seen = text_of(read(reader, statement))
    assert "✗ Does not balance" in seen
    assert "Nothing on this page may be relied on" in seen
    assert seen.count("✗ differs") == 1
    assert "✗ does not balance" in reader.get("/reconciliations/").text


def test_figures_that_do_not_add_up_are_not_called_balanced(reader: httpx.Client, tmp_path: Path) -> None:
    statement = every_class(tmp_path)
    execute("UPDATE reconciliations SET classes = jsonb_set(classes, '{matched,count}', '3')")
    assert "✗ Does not balance" in read(reader, statement)


def test_a_statement_without_its_proof_is_not_called_balanced(reader: httpx.Client, tmp_path: Path) -> None:
    statement = reconcile(tmp_path, [Paid("R-1").line()], proven=False)
    seen = text_of(read(reader, statement))
    assert "Not proven yet" in seen
    assert "✓" not in seen


def test_a_class_shows_its_first_500_and_the_csv_has_all(reader: httpx.Client, tmp_path: Path) -> None:
    statement = reconcile(tmp_path, [Paid(f"R-{number}").line() for number in range(520)])
    page = read(reader, statement)
    assert page.count('<article class="card') == 500
    assert "The first 500 of 520 are shown" in text_of(page)
    rows = reader.get(f"/reconciliations/{statement}/exceptions.csv").text.splitlines()
    assert len(rows) == 521


def test_an_unknown_address_is_a_page_for_people_and_a_problem_for_programs(reader: httpx.Client) -> None:
    for path in (f"/reconciliations/{uuid4()}", "/reconciliations/no-such-id", "/nothing"):
        page = reader.get(path, headers=BROWSER)
        assert page.status_code == 404
        assert page.headers["content-type"].startswith("text/html")
        assert "To the console" in page.text
        problem = reader.get(path)
        assert problem.status_code == 404
        assert problem.headers["content-type"] == "application/problem+json"
        assert problem.json()["type"] == "urn:jembatan:problem:not-found"


def test_the_json_is_that_of_the_records(reader: httpx.Client, tmp_path: Path) -> None:
    statement = every_class(tmp_path)
    with unit_of_work() as session:
        kept = reconciliation.as_json(session, session.get_one(reconciliation.Reconciliation, statement))
    assert reader.get(f"/reconciliations/{statement}.json").json() == kept
    assert reader.get(f"/reconciliations/{uuid4()}.json").status_code == 404


def test_every_answer_carries_the_security_headers(reader: httpx.Client) -> None:
    for path in ("/reconciliations/", "/healthz", "/nothing", "/docs", "/static/jembatan.css"):
        headers = reader.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src 'unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == ("no-cache" if path.startswith("/static") else "no-store")
