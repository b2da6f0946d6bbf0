"""The list of statements: the first thing that finance opens."""

import re
from datetime import timedelta
from pathlib import Path

import httpx
from api_world import DAY, Paid, every_class, execute, reconcile, save

from common import clock
from records import process
from records.db import unit_of_work

STATEMENT = re.compile(r'<th scope="row"><a href="/reconciliations/([0-9a-f-]{36})">(\w+)</a>')


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page))


def asked(gateway: str, day: str) -> dict[str, str]:
    return {"gateway": gateway, "business_date": day}


def test_an_empty_list_says_when_the_first_statement_comes(reader: httpx.Client) -> None:
    assert "No day has been reconciled yet" in reader.get("/reconciliations/").text


def test_each_day_has_its_gateways_with_verdict_and_open_exceptions(
    reader: httpx.Client, tmp_path: Path
) -> None:
    gopay = every_class(tmp_path)
    ovo = reconcile(tmp_path, [], gateway="ovo")
    earlier = reconcile(tmp_path, [], day=DAY - timedelta(days=1))
    page = reader.get("/reconciliations/").text
    assert [name for name, _ in STATEMENT.findall(page)] == [str(gopay), str(ovo), str(earlier)]
    seen = text_of(page)
    assert "Tuesday, 24 November 2026 GoPay ✓ balances 2 of 9 8 Rp " in seen
    assert "OVO ✓ balances 0 of 0 0 Rp 0" in seen


def test_the_root_leads_to_the_console(reader: httpx.Client) -> None:
    assert reader.get("/").headers["location"] == "/console"


def test_only_the_newest_version_of_a_day_is_listed(reader: httpx.Client, tmp_path: Path) -> None:
    save([Paid("R-1")])
    old = reconcile(tmp_path, [])
    new = reconcile(tmp_path, [Paid("R-1").line()])
    page = reader.get("/reconciliations/").text
    assert str(new) in page
    assert str(old) not in page
    assert "version 2" in page


def test_older_statements_are_on_further_pages_none_twice(reader: httpx.Client, tmp_path: Path) -> None:
    first = reconcile(tmp_path, [])
    execute(
        """
        INSERT INTO process_runs (process, key)
            SELECT 'p', d || g FROM generate_series(1, 50) d, unnest(ARRAY['gopay', 'ovo', 'linkaja']) g;
        """
    )
    execute(
        """
        INSERT INTO reconciliations (id, process_run_id, gateway, business_date, version, is_current, sources,
            rules, classes, ledger_rows, report_rows, ledger_minor, report_minor, overlap_rows, is_balanced)
        SELECT gen_random_uuid(), p.id, g, r.business_date - d, 1, true, r.sources, r.rules, r.classes,
            0, 0, 0, 0, 0, true
        FROM reconciliations r, generate_series(1, 50) d, unnest(ARRAY['gopay', 'ovo', 'linkaja']) g,
            process_runs p
        WHERE p.process = 'p' AND p.key = d || g
        """
    )
    seen: list[str] = []
    address = "/reconciliations/"
    while address:
        page = reader.get(address).text
        seen += [name for name, _ in STATEMENT.findall(page)]
        more = re.search(r'href="([^"]*cursor=[^"]*)"', page)
        address = more[1] if more else ""
    assert len(seen) == len(set(seen)) == 151
    assert seen[0] == str(first)


def test_a_made_up_place_in_the_list_is_not_found(reader: httpx.Client) -> None:
    for cursor in ("x", "////", "MjAyNi0xMy00NSBnb3BheQ", "é", "\0", "MjAyNi0xMS0yNSAA", "M" * 60_000):
        assert reader.get("/reconciliations/", params={"cursor": cursor}).status_code == 404


def test_a_night_without_a_statement_is_told_with_its_reason(reader: httpx.Client, tmp_path: Path) -> None:
    reconcile(tmp_path, [])
    with unit_of_work() as session:
        late, _ = process.request(session, "reconcile-payments", "ovo/2026-11-24", asked("ovo", "2026-11-24"))
        process.start(session, late.id, None)
        until = clock.now() + timedelta(minutes=5)
        process.wait(session, late.id, until, {"type": "t", "message": "ovo report: no <answer>"})
        done, _ = process.request(session, "reconcile-payments", "gopay/x", asked("gopay", "2026-11-24"))
        process.finish(session, done.id, "failed", error={"type": "t", "message": "somebody else works it"})
    page = reader.get("/reconciliations/").text
    seen = text_of(page)
    assert "OVO, 24 Nov 2026 waits for its next try at" in seen
    assert "ovo report: no &lt;answer&gt;" in page
    assert "somebody else works it" not in page  # that day has a statement that balances
