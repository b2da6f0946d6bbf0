"""European exports: made once, delivered once by the issuer's own books, whatever happens on the way."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from elm import SEALING, faults, opened
from issuing import Issuing, rows, worked
from registry import holder, told
from sealers import PASSWORD, file_of, pkcs12_of, rsa_key

from common import clock
from common.errors import BadInput
from common.settings import settings
from credentials import european, exports
from records import credential_state, process
from records.credential import Made
from records.db import unit_of_work
from records.european_credential import EuropeanCredential

KILLED = Path(__file__).parent / "killed_delivering.py"
ROOT = KILLED.parents[2]


@pytest.fixture
def issuer(sandbox: str, database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuing]:
    """The issuer with empty books; our settings point to it."""
    monkeypatch.setenv("JEMBATAN_SANDBOX_URL", sandbox)
    monkeypatch.setenv("JEMBATAN_EUROPASS__READ_TIMEOUT", "0.7")
    settings.cache_clear()
    with httpx.Client(base_url=sandbox) as admin:
        admin.delete("/_sandbox/europass").raise_for_status()
        yield Issuing(admin)
        admin.delete("/_sandbox/failures").raise_for_status()
        admin.delete("/_sandbox/europass").raise_for_status()


def made(number: int = 1, **changed: Any) -> tuple[Made, UUID]:
    """Credentials that are to go to the issuer, and the process that brings them there."""
    made = told([holder(one) for one in range(number)], targets=("europass",), **changed)
    assert made.run is not None
    return made, made.run.id


def sealing(monkeypatch: pytest.MonkeyPatch, folder: Path, **more: Any) -> None:
    """Let our own seal be put on."""
    monkeypatch.setenv("JEMBATAN_EUROPASS__SEAL__PKCS12", str(file_of(folder, pkcs12_of(rsa_key(), **more))))
    monkeypatch.setenv("JEMBATAN_EUROPASS__SEAL__PASSWORD", PASSWORD)
    settings.cache_clear()


def test_it_is_delivered_once_and_the_links_are_kept(issuer: Issuing) -> None:
    batch, run_id = made(3)
    states = worked(run_id)
    assert {one.state for one in states.values()} == {"done"}
    assert issuer.books() == {str(one.id): 1 for one in batch.credentials}
    first = states[batch.credentials[0].id]
    assert first.external_id.startswith("EP-")
    assert first.links["europass"].startswith("https://")
    assert first.links["download"].endswith("/europass.json")
    worked(run_id)
    assert issuer.books() == {str(one.id): 1 for one in batch.credentials}
    arrived = issuer.document(first.external_id)
    assert faults(arrived) == SEALING
    assert arrived["credentialSubject"]["fullName"]["id"].startswith("Siti Aminah")


def test_with_our_own_seal_it_passes_wholly_and_what_is_kept_is_what_arrived(
    issuer: Issuing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sealing(monkeypatch, tmp_path)
    batch, run_id = made()
    (row,) = worked(run_id).values()
    assert row.state == "done", row.problem
    arrived = issuer.document(row.external_id)
    document, header = opened(json.dumps(arrived))
    assert faults(document) == set()
    assert document["issued"].endswith("+07:00")
    assert document["issuer"]["eIDASIdentifier"]["notation"] == "NTRID-9120001234567"
    kept = european.document(batch.credentials[0].id)
    assert kept is not None
    assert kept.is_sealed
    assert json.loads(kept.document()) == arrived
    form = json.loads(european.upload(batch.credentials[0].id) or "")
    assert form["credential"] == document
    assert header["alg"] == "RS256"


def test_the_name_is_encrypted_where_it_is_stored(issuer: Issuing, database: str) -> None:
    made_, run_id = made()
    worked(run_id)
    with psycopg.connect(database) as raw:
        (body,) = raw.execute("SELECT body FROM european_credentials").fetchone() or (b"",)
    assert b"Siti Aminah" not in body
    assert b'"payload"' not in body
    kept = european.document(made_.credentials[0].id)
    assert kept is not None
    assert "Siti Aminah" in kept.document()


@pytest.mark.parametrize(
    "kind", ["timeout", "lost", "reset", "reset_after", "500", "500_after", "502_html", "html", "half"]
)
def test_an_answer_that_does_not_come_is_unknown_and_the_same_is_sent_again(
    issuer: Issuing, kind: str
) -> None:
    _, run_id = made()
    issuer.behaves(conflict_names_id=False)  # another key, and it would be no answer
    issuer.fails(kind)
    (row,) = worked(run_id).values()
    assert row.state == "unknown"
    assert row.next_attempt_at is not None
    assert worked(run_id, at_once=False)[row.credential_id].state == "unknown"  # not before its time
    (row,) = worked(run_id).values()
    assert row.state == "done"
    assert len(issuer.taken()) == 1


def test_too_many_calls_wait_as_long_as_the_issuer_says(issuer: Issuing) -> None:
    _, run_id = made()
    issuer.fails("429", retry_after=120)
    (row,) = worked(run_id).values()
    assert row.state == "waiting"
    (row,) = worked(run_id, at_once=False).values()
    assert row.state == "waiting"
    (row,) = worked(run_id).values()
    assert row.state == "done"


@pytest.mark.parametrize(
    ("status", "words"),
    [(400, "on_demand"), (422, "on_demand"), (413, "too large"), (200, "says no")],
)
def test_a_no_is_told_with_what_the_issuer_complains_of_and_made_anew_once_mended(
    issuer: Issuing, status: int, words: str
) -> None:
    batch, run_id = made()
    issuer.fails("code", code=str(status))
    (row,) = worked(run_id).values()
    assert row.state == "refused"
    assert words in (row.problem or "")
    assert "Siti" not in (row.problem or "")
    with unit_of_work() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(EuropeanCredential)) == 0
    from credentials.asking import Wish, ask_for

    with unit_of_work() as session:
        process.finish(session, run_id, "needs_attention", error={})
        run, _ = ask_for(session, Wish([batch.credentials[0].id], targets=["europass"]))
    (row,) = worked(run.id).values()
    assert row.state == "done"


@pytest.mark.parametrize(("status", "number"), [(401, european.CHUNK + 2), (403, 2)])
def test_a_refused_key_stops_all_of_them_and_says_which_setting(
    issuer: Issuing, status: int, number: int
) -> None:
    _, run_id = made(number)
    issuer.fails("code", times=None, code=str(status))
    with pytest.raises(BadInput, match="JEMBATAN_EUROPASS__API_KEY"):
        worked(run_id)
    before = issuer.calls()
    assert {one.state for one in rows().values()} == {"queued"}
    issuer.is_well()
    assert {one.state for one in worked(run_id).values()} == {"done"}
    assert issuer.calls() - before == number
    assert set(issuer.books().values()) == {1}


def test_taken_without_an_id_needs_a_person_and_a_conflict_with_one_is_done(issuer: Issuing) -> None:
    _, run_id = made()
    issuer.behaves(names_id=False)
    (row,) = worked(run_id).values()
    assert row.state == "needs_attention"
    assert "gave no id" in (row.problem or "")
    # The same credential under another key: the issuer has it, and says so.
    issuer.behaves(names_id=True)
    with unit_of_work() as session:
        session.execute(sa.text("DELETE FROM european_credentials"))
        session.execute(sa.text("UPDATE credential_exports SET state = 'queued'"))
        session.execute(sa.text('UPDATE achievements SET content = content || \'{"name_en": "Changed"}\''))
    issuer.behaves(conflict_names_id=False)
    (row,) = worked(run_id).values()
    assert (row.state, "has the credential already" in (row.problem or "")) == ("needs_attention", True)
    with unit_of_work() as session:
        session.execute(sa.text("UPDATE credential_exports SET state = 'queued'"))
    issuer.behaves(conflict_names_id=True)
    (row,) = worked(run_id).values()
    assert (row.state, row.external_id) == ("done", issuer.taken()[0]["id"])
    assert len(issuer.books()) == 1


@pytest.mark.parametrize("links", ["http", "script"])
def test_only_safe_addresses_are_kept(issuer: Issuing, links: str) -> None:
    _, run_id = made()
    issuer.behaves(links=links)
    (row,) = worked(run_id).values()
    assert row.state == "done"
    assert set(row.links) == {"download", "certificate", "page"}


def test_an_issuer_that_is_away_is_left_alone_after_a_few_calls(issuer: Issuing) -> None:
    _, run_id = made(40)
    before = issuer.calls()
    issuer.fails("500", times=None)
    states = [one.state for one in worked(run_id).values()]
    assert issuer.calls() - before == european.AT_ONCE
    assert states.count("unknown") == european.AT_ONCE
    assert states.count("waiting") == european.CHUNK - european.AT_ONCE
    assert states.count("queued") == 40 - european.CHUNK
    issuer.is_well()
    assert {one.state for one in worked(run_id).values()} == {"done"}
    assert set(issuer.books().values()) == {1}


def test_an_issuer_that_is_away_holds_no_worker_and_a_retry_goes_on_at_once(
    issuer: Issuing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of a flow run end with the one that saw it; `jembatan process retry` waits for no time."""
    from jembatan.commands.processes import retry
    from tasks.export_credentials import Work, batches

    monkeypatch.setitem(exports.TARGETS, "europass", exports.Target(european.export, 12))
    _, run_id = made(36)

    def attempt() -> int:
        return sum(1 for target, ids in batches(Work((run_id,))) if exports.step(target, ids) is not None)

    before = issuer.calls()
    issuer.fails("500", times=None)
    assert attempt() == 1
    assert issuer.calls() - before == european.AT_ONCE
    assert Counter(one.state for one in rows().values()) == {"unknown": 8, "waiting": 4, "queued": 24}
    issuer.is_well()
    with unit_of_work() as session:
        process.wait(session, run_id, clock.now() + timedelta(hours=1), {})
    retry(run_id)
    assert attempt() == 3
    assert {one.state for one in rows().values()} == {"done"}
    assert set(issuer.books().values()) == {1}


def test_an_issuer_that_has_enough_is_sent_nothing_more_and_one_bad_answer_stops_nobody(
    issuer: Issuing,
) -> None:
    _, run_id = made(20)
    before = issuer.calls()
    issuer.fails("429", retry_after=600)
    states = Counter(one.state for one in worked(run_id).values())
    assert issuer.calls() - before == european.AT_ONCE
    assert states == {"done": 7, "waiting": 13}
    issuer.fails("500")
    assert Counter(one.state for one in worked(run_id).values()) == {"done": 19, "unknown": 1}


def test_what_was_refused_is_tried_anew_by_a_retry_of_its_process(issuer: Issuing) -> None:
    from jembatan.commands.processes import retry

    _, run_id = made(2)
    issuer.fails("code", code="422")
    assert Counter(one.state for one in worked(run_id).values()) == {"refused": 1, "done": 1}
    with unit_of_work() as session:
        process.finish(session, run_id, "needs_attention", error={})
    retry(run_id)
    assert {one.state for one in worked(run_id).values()} == {"done"}
    assert {one.problem for one in rows().values()} == {None}
    assert set(issuer.books().values()) == {1}


def test_after_three_days_without_an_answer_a_person_is_asked(issuer: Issuing) -> None:
    _, run_id = made()
    with unit_of_work() as session:
        session.execute(sa.text("UPDATE process_runs SET created_at = now() - interval '4 days'"))
    issuer.fails("lost")
    (row,) = worked(run_id).values()
    assert row.state == "needs_attention"
    assert "It may have been taken" in (row.problem or "")


def test_without_an_issuer_it_is_made_for_download(issuer: Issuing, monkeypatch: pytest.MonkeyPatch) -> None:
    batch, run_id = made()
    settings().europass.base_url = ""
    (row,) = worked(run_id).values()
    assert row.state == "done"
    assert row.links["download"].endswith(f"{batch.credentials[0].id}/europass.json")
    assert issuer.books() == {}


def test_a_revoked_one_is_not_exported_and_a_withdrawn_one_leaves_no_document(issuer: Issuing) -> None:
    batch, run_id = made(2)
    first, second = (one.id for one in batch.credentials)
    with unit_of_work() as session:
        credential_state.apply(session, first, "revoked", source="test", reason="Issued in error")
    states = worked(run_id)
    assert (states[first].state, states[second].state) == ("refused", "done")
    assert european.document(first) is None
    with unit_of_work() as session:
        credential_state.withdraw(session, "learner-1", source="test")
        assert session.scalar(sa.select(sa.func.count()).select_from(EuropeanCredential)) == 0
    assert european.document(second) is None


def test_two_workers_deliver_a_batch_once(issuer: Issuing) -> None:
    batch, run_id = made(12)
    ids = sorted(one.id for one in batch.credentials)
    with ThreadPoolExecutor(2) as two:
        list(two.map(lambda _: exports.step("europass", ids), range(2)))
    worked(run_id)
    assert {one.state for one in rows().values()} == {"done"}
    assert issuer.books() == {str(one): 1 for one in ids}


def killed(run_id: UUID, when: str, call: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(KILLED.parent)])}
    return subprocess.run(
        [sys.executable, str(KILLED), str(run_id), when, str(call), "issuing"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


def _is_delivered_once(issuer: Issuing, batch: Made, run_id: UUID) -> None:
    assert {one.state for one in worked(run_id).values()} == {"done"}
    taken = issuer.taken()
    assert {one["credential_id"].removeprefix("urn:credential:") for one in taken} == {
        str(one.id) for one in batch.credentials
    }
    assert len(taken) == 3


@pytest.mark.parametrize(("when", "call"), [("before", 1), ("after", 2)])
def test_a_kill_around_the_call_is_one_delivery(issuer: Issuing, when: str, call: int) -> None:
    batch, run_id = made(3)
    issuer.behaves(conflict_names_id=False)  # another key, and it would be no answer
    died = killed(run_id, when, call)
    assert died.returncode == -9, died.stderr
    assert {one.state for one in rows().values()} == {"sent"}  # told before the call
    _is_delivered_once(issuer, batch, run_id)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(12))
def test_a_kill_at_any_step_is_one_delivery(issuer: Issuing, part: int) -> None:
    """Points spread over the whole of one delivery, however long that is."""
    _, first = made(3)
    total = int(killed(first, "anywhere", 0).stdout)
    issuer.admin.delete("/_sandbox/europass").raise_for_status()
    batch = told([holder(number) for number in range(10, 13)], targets=("europass",))
    assert batch.run is not None
    issuer.behaves(conflict_names_id=False)
    died = killed(batch.run.id, "anywhere", 1 + total * part // 12)
    assert died.returncode in (-9, 0), died.stderr
    _is_delivered_once(issuer, batch, batch.run.id)


def test_a_wrong_seal_stops_before_anything_is_sent(
    issuer: Issuing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sealing(monkeypatch, tmp_path, days=-1)
    _, run_id = made()
    with pytest.raises(BadInput, match="is not valid today"):
        worked(run_id)
    assert issuer.books() == {}
    assert [one.state for one in rows().values()] == ["queued"]


def test_pages_without_names_are_shared(issuer: Issuing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEMBATAN_EUROPASS__NAMES_ON_PAGES", "false")
    settings.cache_clear()
    batch, run_id = made(2)
    worked(run_id)
    images = set()
    for one in batch.credentials:
        kept = european.document(one.id)
        assert kept is not None
        document = json.loads(kept.document())
        images.add(json.dumps(document["displayParameter"]["individualDisplay"]))
    assert len(images) == 1
