"""A sandbox that is started again knows its live charges by the journal."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from sandbox_caller import GOPAY
from sandbox_europass import deliveries, document, issue
from sandbox_linkedin import LinkedInCaller
from sandbox_listener import wait_until
from sandbox_midtrans import MidtransCaller, charge_body
from sandbox_profiles import ProfileCaller
from sandbox_siplatih import NIK, SiplatihCaller, participant, program

from sandbox.journal import Journal
from sandbox.live import Charge, LiveBooks

DAY = (datetime.now(UTC) + timedelta(hours=7)).date() - timedelta(days=2)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "journal.jsonl"


def test_a_restarted_sandbox_still_knows_the_charges(
    start_process: Callable[..., Any], journal: Path, merchant_key: RSAPrivateKey
) -> None:
    address, process = start_process("--journal", str(journal))
    with httpx.Client(base_url=address, timeout=60) as http:
        gopay, caller = MidtransCaller(http), ProfileCaller(http, "ovo", "dana", merchant_key)
        http.post("/_sandbox/refunds", json={"gateway": "gopay", "confirm_after": 3600})
        paid, open_one, made = gopay.charge(), gopay.charge(), caller.charge()
        gopay.act(paid, "pay", at=f"{DAY}T12:00:00+07:00")
        gopay.refund(paid, refund_key="R-journal", amount=50_000)
        caller.act(made, "deny")
        books = [gopay.book(paid), gopay.book(open_one), caller.book(made)]
    process.kill()
    process.wait()
    with journal.open("ab") as file:
        file.write(b'{"id":"cut off in the mid')
    assert journal.stat().st_mode & 0o777 == 0o600
    assert b"081234567890" not in journal.read_bytes()

    address, _ = start_process("--journal", str(journal))
    with httpx.Client(base_url=address, timeout=60) as http:
        gopay, caller = MidtransCaller(http), ProfileCaller(http, "ovo", "dana", merchant_key)

        def without_address(book: dict[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in book.items() if name not in ("pay_url", "refunds")}

        seen = [gopay.book(paid), gopay.book(open_one), caller.book(made)]
        assert list(map(without_address, seen)) == list(map(without_address, books))
        assert caller.status(made)["latestTransactionStatus"] == "05"
        report = http.get(f"/gopay/reports/transactions-{DAY}.csv", auth=GOPAY).text
        assert paid["order_id"] in report
        assert gopay.refund(paid, refund_key="R-journal", amount=50_000)["status_code"] == "200"
        wait_until(lambda: gopay.book(paid)["refunds"][0]["confirmed_at"], "the refund to go on")
        gopay.act(open_one, "pay").raise_for_status()
        again = gopay.post(
            "charge", charge_body(transaction_details={"order_id": paid["order_id"], "gross_amount": 150_000})
        ).json()
        assert again["status_code"] == "406"


def test_a_charge_whose_time_ended_meanwhile_expires_at_the_start(
    start_process: Callable[..., Any], journal: Path
) -> None:
    moment = datetime.now(UTC)
    books = LiveBooks(Journal(journal))
    charge = Charge(
        "gopay",
        "midtrans",
        "T-old",
        str(uuid4()),
        100,
        moment - timedelta(hours=1),
        moment,
        payment_type="gopay",
    )
    assert books.keeper
    books.keeper.write(charge)
    address, _ = start_process("--journal", str(journal))
    with httpx.Client(base_url=address, timeout=60) as http:
        gopay = MidtransCaller(http)
        wait_until(
            lambda: gopay.status({"order_id": "T-old"})["transaction_status"] == "expire", "the expiry"
        )


def test_a_journal_is_the_last_word_of_each_charge(journal: Path) -> None:
    moment = datetime.now(UTC)
    one, two = (
        Charge("ovo", "doku", f"T-{name}", name, 100, moment, moment + timedelta(hours=1)) for name in "ab"
    )
    keeper = Journal(journal)
    for charge in (one, two):
        keeper.write(charge)
    one.state, one.settled_at = "settled", moment
    keeper.write(one)
    assert list(Journal(journal).read()) == [one, two]
    journal.write_bytes(journal.read_bytes()[:-20])
    kept = list(Journal(journal).read())
    assert [charge.state for charge in kept] == ["pending", "pending"]
    Journal(journal).write(one)
    assert [charge.state for charge in Journal(journal).read()] == ["settled", "pending"]


def test_the_other_services_still_know_their_books(start_process: Callable[..., Any], journal: Path) -> None:
    address, process = start_process("--journal", str(journal))
    first, credential = participant(), document()
    with httpx.Client(base_url=address, timeout=10) as http:
        siplatih, linkedin = SiplatihCaller(http), LinkedInCaller(http)
        kept, lost = siplatih.registered(), program()
        siplatih.post("/training-programs", lost)
        siplatih.complete(kept, first)
        siplatih.complete(kept, first, participant(2))
        http.delete(f"/_sandbox/siplatih/programs/{lost['program_code']}")
        linkedin.sign_in()
        linkedin.post()
        books, posts = siplatih.books(kept), linkedin.posts()
        taken = issue(http, credential, "key-1").json()
    process.kill()
    process.wait()
    files = [journal.with_suffix(f".{service}.jsonl") for service in ("siplatih", "linkedin", "europass")]
    for file in files:
        assert file.stat().st_mode & 0o777 == 0o600
        assert not any(text in file.read_text() for text in (NIK, first["full_name"], "Budi", linkedin.token))
        with file.open("ab") as lines:
            lines.write(b'{"kind":"cut off in the mid')

    address, _ = start_process("--journal", str(journal))
    with httpx.Client(base_url=address, timeout=10) as http:
        siplatih.http = linkedin.http = http
        siplatih.token = ""
        assert siplatih.books(kept) == books
        assert siplatih.look_up(lost["program_code"]).json()["data"] == []
        again = siplatih.complete(kept, first).json()["data"]
        assert (again["accepted"], again["rejected"][0]["code"]) == (0, "ALREADY_REPORTED")
        assert siplatih.registered() != kept
        assert linkedin.posts() == posts
        assert linkedin.userinfo().json()["name"] == "Rina Wijaya"
        assert linkedin.post().status_code == 422
        assert issue(http, credential, "key-1").json() == taken
        assert deliveries(http, credential) == [2]
