"""Exports through Prefect and after a kill: each target of each credential is done once."""

import os
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from registry import PROGRAM, exported, holder, told

from common import clock
from common.settings import settings
from credentials import badges, exports
from jembatan.stack import Stack
from records import credential_export, linkedin_share, process
from records.credential import Credential, OpenBadge
from records.credential_export import CredentialExport, Step
from records.db import unit_of_work
from records.process import ProcessRun
from tasks.export_credentials import Work, batches

KILLED = Path(__file__).parent / "killed_making.py"
POINTS = 20


def flow(**parameters: Any) -> Any:
    from flows.export_credentials import export_credentials

    return export_credentials(return_state=True, **parameters)


def rows(model: type[Any]) -> list[Any]:
    with unit_of_work() as session:
        return list(session.scalars(sa.select(model)))


@pytest.fixture
def at_prefect(parts: Stack, database: str) -> None:
    """Flows run here, and Prefect's server notes them."""


def test_only_a_target_that_takes_nothing_puts_off_the_batches_behind_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(exports.TARGETS, "open_badge", exports.Target(badges.export, 2))
    made = told([holder(number) for number in range(8)])
    assert made.run is not None
    later = clock.now() + timedelta(hours=1)
    states = iter(["waiting", "done", "waiting", "refused", "waiting", "waiting"])
    seen = 0
    for target, ids in batches(Work((made.run.id,))):
        seen += len(ids)
        with unit_of_work() as session:
            ends = [Step(one, state, until=later if state == "waiting" else None)  # type: ignore[arg-type]
                    for one, state in zip(ids, states, strict=False)]  # fmt: skip
            credential_export.apply(session, target, ends)
    assert seen == 6  # one who waits holds up nobody; where all wait, the rest stays queued


@pytest.mark.usefixtures("at_prefect")
def test_a_completion_is_exported_by_the_flow_and_its_outcome_has_the_links() -> None:
    made = told([holder(number) for number in range(10)])
    assert made.run is not None
    state = flow(processes=[made.run.id])
    assert (state.type.value, state.message) == ("COMPLETED", "10 done")
    (run,) = rows(ProcessRun)
    assert (run.state, run.attempts, run.outcome["targets"]) == ("succeeded", 1, {"open_badge": {"done": 10}})
    assert run.outcome["exports"][0]["links"]["png"].endswith("/badge.png")
    assert "Siti" not in str(run.outcome)
    assert flow(processes=[made.run.id]).name == "Skipped"
    before = {one.credential_id: one.body for one in rows(OpenBadge)}

    again = flow(program_code=PROGRAM)
    assert again.message == "10 done"
    assert {one.credential_id: one.body for one in rows(OpenBadge)} == before
    newest = max(rows(ProcessRun), key=lambda one: one.created_at)
    assert newest.outcome["of"] == 10  # what was done before is shown with its links
    chosen = flow(credential_ids=[made.credentials[0].id])
    assert chosen.message == "1 done"


@pytest.mark.usefixtures("at_prefect")
def test_the_flow_brings_a_credential_to_both_its_targets(parts: Stack) -> None:
    made = told([holder(1)], targets=("open_badge", "europass"))
    assert made.run is not None
    state = flow(processes=[made.run.id])
    assert (state.type.value, state.message) == ("COMPLETED", "2 done")
    (run,) = rows(ProcessRun)
    assert run.outcome["targets"] == {"open_badge": {"done": 1}, "europass": {"done": 1}}
    links = {one["target"]: one["links"] for one in run.outcome["exports"]}
    assert links["europass"]["download"].endswith("/europass.json")
    assert links["europass"]["europass"].startswith("https://")
    taken = httpx.get(f"{parts.sandbox_url}/_sandbox/europass/credentials").json()
    assert [one["times"] for one in taken if one["credential_id"].endswith(str(made.credentials[0].id))] == [
        1
    ]


@pytest.mark.usefixtures("at_prefect")
def test_a_share_that_waits_for_its_learner_asks_in_words_and_holds_up_nothing() -> None:
    made = told([holder(1)], targets=())
    asking = [made.credentials[0].id]
    with unit_of_work() as session:
        linkedin_share.agree(session, asking[0], "Saya lulus", "PUBLIC", agreed_with="test")
    state = flow(credential_ids=asking, targets=["open_badge", "linkedin"])
    assert (state.type.value, state.message) == ("FAILED", "1 done, 1 needs attention")
    (run,) = rows(ProcessRun)
    assert run.state == "needs_attention"
    assert "The learner has not connected LinkedIn." in run.error["message"]
    assert "Saya lulus" not in f"{run.outcome} {run.error}"


@pytest.mark.usefixtures("at_prefect")
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "Give either credential_ids or a program_code"),
        ({"program_code": "none"}, "There is no credential of this program"),
        ({"credential_ids": ["019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"]}, "There is no credential 019ab1c2"),
    ],
)
def test_what_the_form_cannot_have_ends_in_a_sentence(asked: dict[str, Any], words: str) -> None:
    state = flow(**asked)
    assert state.type.value == "FAILED"
    assert words in state.message
    (run,) = rows(ProcessRun)
    assert run.state == "failed"
    assert words in run.error["message"]


@pytest.mark.usefixtures("at_prefect")
def test_a_setting_that_is_wrong_is_for_a_person_and_then_it_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    made = told([holder(1)])
    assert made.run is not None
    monkeypatch.setenv("JEMBATAN_SIGNING_KEYS", "no key")
    settings.cache_clear()
    flow(processes=[made.run.id])
    (run,) = rows(ProcessRun)
    assert run.state == "needs_attention"
    assert "JEMBATAN_SIGNING_KEYS holds no private key" in run.error["message"]
    monkeypatch.delenv("JEMBATAN_SIGNING_KEYS")
    settings.cache_clear()
    with unit_of_work() as session:
        assert process.retry(session, run.id)
    assert flow(processes=[run.id]).message == "1 done"


@pytest.mark.usefixtures("database")
def test_what_is_done_stays_done_and_what_needed_a_person_is_tried_anew() -> None:
    made = told([holder(1), holder(2)])
    ids = [one.id for one in made.credentials]
    with unit_of_work() as session:
        credential_export.apply(session, "open_badge", [Step(ids[0], "done", {"page": "x"})])
        stuck = Step(ids[1], "needs_attention", problem="Look at it")
        credential_export.apply(session, "open_badge", [stuck])
        credential_export.apply(session, "open_badge", [Step(ids[0], "refused", problem="late")])
    states = {one.credential_id: one.state for one in rows(CredentialExport)}
    assert states == {ids[0]: "done", ids[1]: "needs_attention"}
    from credentials.asking import Wish, ask_for

    with unit_of_work() as session:
        process.finish(session, made.run.id, "needs_attention", error={}) if made.run else None
        run, number = ask_for(session, Wish(ids))
        assert number == 1
    assert exported(run.id) == 1


@pytest.mark.usefixtures("database")
def test_what_needed_a_person_is_tried_anew_though_its_request_waits_for_others_still() -> None:
    """Else a learner who connects again hears that the posts go on, and nothing goes."""
    made = told([holder(1), holder(2), holder(3)])
    ids = [one.id for one in made.credentials]
    later = clock.now() + timedelta(hours=1)
    with unit_of_work() as session:
        stuck = Step(ids[0], "needs_attention", problem="Connect again")
        waits = Step(ids[1], "waiting", problem="Enough for today", until=later)
        credential_export.apply(session, "open_badge", [stuck, waits])
    from credentials.asking import Wish, ask_for

    with unit_of_work() as session:
        run, number = ask_for(session, Wish(ids))
        assert number == 1
    assert exported(run.id) == 1
    states = {one.credential_id: (one.state, one.process_run_id == run.id) for one in rows(CredentialExport)}
    assert states == {ids[0]: ("done", True), ids[1]: ("waiting", False), ids[2]: ("queued", False)}


def killed(deadly: int) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(KILLED.parents[2]), str(KILLED.parent)])
    return subprocess.run(
        [sys.executable, str(KILLED), str(deadly)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
    )


def _is_once(database: str) -> None:
    """Work what a killed worker left; nothing of it is there twice, and nothing is missing."""
    told([holder(number) for number in range(12)])
    for run in rows(ProcessRun):
        exported(run.id)
    assert {one.state for one in rows(CredentialExport)} == {"done"}
    with psycopg.connect(database) as raw:
        assert raw.execute("SELECT taken FROM status_lists").fetchall() == [(12,)]
    assert [len(rows(model)) for model in (Credential, CredentialExport, OpenBadge)] == [12, 12, 12]


@pytest.mark.parametrize("point", [250, 600])
def test_a_kill_while_it_is_made_or_signed_leaves_nothing_half(database: str, point: int) -> None:
    """Two of the points with every run of the tests."""
    died = killed(point)
    assert died.returncode == -9, died.stderr
    _is_once(database)


@pytest.mark.slow
@pytest.mark.parametrize("point", range(POINTS))
def test_a_kill_at_any_step_makes_one_credential_one_place_and_one_badge(database: str, point: int) -> None:
    died = killed(1 + point * 40)
    assert died.returncode in (-9, 0), died.stderr
    _is_once(database)


@pytest.mark.parametrize("later", ["a batch", "a reader"])
def test_who_signs_a_badge_while_another_does_takes_what_the_other_signed(database: str, later: str) -> None:
    ids = sorted(one.id for one in told([holder(number) for number in range(3)]).credentials)
    put = "INSERT INTO open_badges (credential_id, proof, body, key_id) VALUES (%s, 'jws', 'signed', 'key')"
    with psycopg.connect(database) as first, ThreadPoolExecutor(1) as other:
        first.execute(put, [ids[1]])  # and has not committed yet
        second: Future[Any]
        if later == "a batch":
            second = other.submit(lambda: exports.step("open_badge", ids))
        else:
            second = other.submit(lambda: badges.badge(ids[1], "jws"))
        while first.execute("SELECT FROM pg_locks WHERE NOT granted").fetchone() is None:
            time.sleep(0.02)
        first.commit()
        found = second.result()
    if later == "a batch":
        assert [(one.credential_id, one.state) for one in found] == [(one, "done") for one in ids]
        assert len(rows(OpenBadge)) == 3
    else:
        assert found == "signed"


@pytest.mark.usefixtures("database")
def test_two_workers_at_one_batch_sign_it_once() -> None:
    made = told([holder(number) for number in range(40)])
    ids: list[UUID] = sorted(one.id for one in made.credentials)
    with ThreadPoolExecutor(2) as two:
        steps = list(two.map(lambda _: exports.step("open_badge", ids), range(2)))
    assert sorted(len(each) for each in steps) == [0, 40]
    assert len(rows(OpenBadge)) == 40
