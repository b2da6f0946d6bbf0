"""Shares on LinkedIn: each posted once, with consent, by LinkedIn's own books, whatever happens meanwhile."""

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy as sa
from networking import LEARNER, Network, credentials, opened, rows, thief, worked
from registry import holder, told

from common import clock
from common.errors import BadInput
from common.settings import settings
from credentials import asking, exports, linkedin, share_outcomes
from providers.linkedin.text import little
from records import client as clients
from records import learner_session, process, subject
from records.db import unit_of_work
from records.linkedin_connection import EVENT, LinkedInConnection
from records.linkedin_share import LinkedInShare
from records.platform_events import PlatformEvent

KILLED = Path(__file__).parent / "killed_delivering.py"
ROOT = KILLED.parents[2]
EVERY_WAY = ("timeout", "lost", "reset", "reset_after", "500", "500_after", "502_html", "html")


def one_shared(network: Network, **more: str) -> tuple[UUID, UUID]:
    """A credential of a connected learner that is to be posted, and its process."""
    network.connected()
    (made,) = credentials().credentials
    return made.id, network.asked(made.id, **more)


def agreed(ids: list[UUID], learner_id: str = LEARNER) -> UUID:
    """A learner has agreed to have all of these posted; the process that does it."""
    with unit_of_work() as session:
        for number, one in enumerate(ids):
            asking.share(session, one, f"Selesai {number} {learner_id}", "PUBLIC", agreed_with="test")
        run, _ = asking.ask_for(session, asking.Wish(ids, targets=["linkedin"]))
        session.execute(sa.text("UPDATE credential_exports SET process_run_id = :run"), {"run": run.id})
        return run.id


def anew(run_id: UUID, ids: list[UUID]) -> UUID:
    """The process has ended, and the shares are asked for again."""
    with unit_of_work() as session:
        process.finish(session, run_id, "needs_attention", error={})
        return asking.ask_for(session, asking.Wish(ids, targets=["linkedin"]))[0].id


# Share


def test_told_a_hundred_times_by_many_at_once_it_is_one_post(network: Network) -> None:
    sub = network.connected()
    (made,) = credentials().credentials
    runs = [network.asked(made.id, text="Saya lulus (level 6)! #SKKNI_6 @budi") for _ in range(20)]
    with unit_of_work() as session:
        for _ in range(80):
            runs.append(asking.share(session, made.id, "Lain", "PUBLIC", agreed_with="test")[0].id)
    with ThreadPoolExecutor(2) as two:
        list(two.map(lambda _: exports.step("linkedin", [made.id]), range(2)))
    (row,) = worked(*runs).values()
    (post,) = network.posts(sub)
    assert network.calls("post") >= 1
    assert post["attempts"] == 1
    assert (row.state, row.external_id) == ("done", post["id"])
    assert row.links == {"post": f"https://www.linkedin.com/feed/update/{post['id']}/"}
    assert post["source"] == settings().page_url(f"/credentials/{made.id}")
    # It is done: whoever asks again gets what there is.
    worked(network.asked(made.id, text="Noch einmal"))
    assert len(network.posts(sub)) == 1


def test_the_text_is_read_as_it_was_written(network: Network) -> None:
    text = "Saya lulus (level 6) {x} [y] <z> *a* _b_ ~c~ a|b \\ @budi C# #SKKNI! 🎓"
    _, run_id = one_shared(network, text=text, visibility="CONNECTIONS")
    worked(run_id)
    (post,) = network.posts()
    assert (post["commentary"], post["visibility"]) == (text, "CONNECTIONS")
    assert little("#SKKNI_6") == r"{hashtag|\#|SKKNI\_6}"
    assert little("C# &#39; #1") == r"C\# &\#39; \#1"


def test_without_the_learners_word_nothing_is_posted(network: Network) -> None:
    network.connected()
    made = credentials().credentials[0].id
    with unit_of_work() as session:
        run, _ = asking.ask_for(session, asking.Wish([made], targets=["linkedin"]))
    (row,) = worked(run.id).values()
    assert (row.state, row.problem) == ("refused", share_outcomes.NO_CONSENT)
    assert network.calls("post") == 0 or network.posts() == []


def test_new_credentials_go_by_themselves_only_of_who_agreed_and_once(network: Network) -> None:
    before = credentials(program_code="PRG-BEFORE").credentials[0].id
    sub = network.connected(share_new=True)
    network.connected("learner-1")
    with unit_of_work() as session:  # what was there before is not new
        run = asking.ask_for(session, asking.Wish([before], targets=["linkedin"]))[0]
    assert worked(run.id)[before].problem == share_outcomes.NO_CONSENT
    made = None
    for _ in range(100):
        made = told([holder(0), holder(1)], targets=("open_badge", "linkedin")).run or made
    assert made is not None
    assert sorted(one.state for one in worked(made.id).values()) == ["done", "refused"]
    assert [post["commentary"] for post in network.posts()] == [
        "Saya telah menyelesaikan Pengembangan Perangkat Lunak."
    ]
    assert len(network.posts(sub)) == 1


def test_the_picture_of_the_badge_goes_along(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEMBATAN_LINKEDIN__PICTURES", "true")
    settings.cache_clear()
    _, run_id = one_shared(network)
    (row,) = worked(run_id).values()
    (picture,) = network.admin.get("/_sandbox/linkedin/pictures").json()
    assert (row.state, picture["size"] > 1_000) == ("done", True)
    assert network.posts()[0]["thumbnail"] == picture["urn"]


def test_no_token_goes_to_a_host_that_is_not_linkedins(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEMBATAN_LINKEDIN__PICTURES", "true")
    settings.cache_clear()
    with thief() as (address, stolen):
        network.behaves(upload_base=address)
        made, run_id = one_shared(network)
        assert worked(run_id)[made].state == "done"  # without its picture
        assert network.posts()[0]["thumbnail"] == ""
        for evil in ("https://linkedin.com.evil.example", "https://evil.example/linkedin.com"):
            network.behaves(upload_base=evil)
            network.connected("learner-1")
            (other,) = credentials(of="learner-1", program_code=evil[-12:]).credentials
            assert worked(network.asked(other.id, "learner-1", text=evil))[other.id].state == "done"
        # Nor does a redirect take it there.
        monkeypatch.setenv("JEMBATAN_LINKEDIN__API_URL", address)
        settings.cache_clear()
        (third,) = credentials(program_code="PRG-2").credentials
        assert worked(network.asked(third.id))[third.id].state == "unknown"
        assert stolen == ["POST /rest/images?action=initializeUpload", "POST /rest/posts"]


# What goes wrong


def test_an_answer_that_does_not_come_is_unknown_and_healed_by_the_very_same_again(
    network: Network,
) -> None:
    sub = network.connected()
    for made, kind in zip(credentials(len(EVERY_WAY)).credentials, EVERY_WAY, strict=True):
        run_id = network.asked(made.id, text=f"Selesai {kind}")
        network.fails("post", kind)
        row = worked(run_id)[made.id]
        assert (kind, row.state, row.next_attempt_at is not None) == (kind, "unknown", True)
        assert network.shares(made.id, text="Lain").status_code == 202  # its text stays
        assert worked(run_id, at_once=False)[made.id].state == "unknown"  # not before its time
        row = worked(run_id)[made.id]
        (post,) = [one for one in network.posts(sub) if row.external_id == one["id"]]
        assert (row.state, post["commentary"]) == ("done", f"Selesai {kind}")
    assert len(network.posts(sub)) == len(EVERY_WAY)


def test_a_second_lost_answer_needs_a_person_and_nothing_is_sent_a_third_time_by_itself(
    network: Network,
) -> None:
    made, run_id = one_shared(network)
    before = network.calls("post")
    network.fails("post", "lost", times=2)
    worked(run_id)
    (row,) = worked(run_id).values()
    assert row.state == "needs_attention"
    assert share_outcomes.PERHAPS in (row.problem or "")
    worked(run_id)
    assert network.calls("post") == before + 2
    # A person has looked, and asks again: LinkedIn knows it.
    (row,) = worked(anew(run_id, [made])).values()
    assert (row.state, row.external_id) == ("done", network.posts()[0]["id"])


def test_a_duplicate_of_another_credentials_post_is_not_taken_for_ours(network: Network) -> None:
    first, run_id = one_shared(network)
    urn = worked(run_id)[first].external_id
    (second,) = credentials(program_code="PRG-2").credentials
    step = share_outcomes.Outcomes().duplicate(second.id, urn)
    assert (step.state, step.problem) == ("needs_attention", share_outcomes.REPEATS)
    assert share_outcomes.Outcomes().duplicate(first, urn).state == "done"


def test_expiry_in_the_middle_of_fifty_shares_stops_that_learner_only_and_is_told(network: Network) -> None:
    with unit_of_work() as session:
        client_id = session.scalar(sa.select(clients.Client.id))
    sub, other = network.connected(), network.connected("learner-x")
    ids = [one.id for one in credentials(50).credentials]
    theirs = [one.id for one in credentials(3, of="learner-x", program_code="PRG-X").credentials]
    run_id = agreed(ids)
    agreed(theirs, "learner-x")
    with unit_of_work() as session:
        session.execute(sa.text("UPDATE credential_exports SET process_run_id = :run"), {"run": run_id})
    network.fails("post", "delay", times=None, seconds=0.01)
    before = network.calls("post")
    working = threading.Thread(target=lambda: worked(run_id))
    working.start()
    while len(network.posts(sub)) < 10:
        assert working.is_alive()
    network.ends(sub)
    working.join(60)
    states = rows()
    posted = len(network.posts(sub))
    assert 10 <= posted < 50
    assert [states[one].state for one in ids].count("done") == posted
    left = [one for one in ids if states[one].state == "needs_attention"]
    assert len(left) == 50 - posted
    assert {states[one].problem for one in left} == {share_outcomes.AGAIN}
    assert {states[one].state for one in theirs} == {"done"}
    assert len(network.posts(other)) == 3
    assert network.calls("post") - before == posted + 3 + 1  # one refusal, and no call for the others
    assert network.state()["state"] == "needs_reconnect"
    with unit_of_work() as session:
        events = list(session.scalars(sa.select(PlatformEvent).filter_by(type=EVENT)))
    assert [(one.client_id, one.body["data"]["learner_id"]) for one in events] == [(client_id, LEARNER)]
    # The learner reads it, connects again, and has the rest go on.
    browser = opened(network)
    assert "Sambungkan LinkedIn sekali lagi" in browser.see()
    sent = browser.get("/linkedin/connect", follow_redirects=False).headers["Location"]
    assert f"({50 - posted})" in browser.get(network.chooses(sent, sub)).text
    with unit_of_work() as session:
        process.finish(session, run_id, "needs_attention", error={})
    assert "dilanjutkan" in browser.submit("/linkedin/resume").text
    with unit_of_work() as session:
        again = session.scalars(
            sa.select(process.ProcessRun.id).filter_by(state="queued").order_by(process.ProcessRun.id.desc())
        ).first()
    assert again is not None
    assert {one.state for one in worked(again).values()} == {"done"}
    assert sorted(post["attempts"] for post in network.posts(sub)) == [1] * 50


def test_a_permission_that_we_know_has_ended_costs_no_call_and_a_taken_back_one_is_noticed(
    network: Network,
) -> None:
    made, run_id = one_shared(network)
    before = network.calls("post")
    with unit_of_work() as session:
        session.execute(sa.update(LinkedInConnection).values(expires_at=clock.now() - timedelta(seconds=1)))
    assert network.state()["state"] == "needs_reconnect"
    assert worked(run_id)[made].problem == share_outcomes.AGAIN
    assert network.calls("post") == before
    sub = network.connected("learner-1")
    (other,) = credentials(of="learner-1").credentials
    network.ends(sub, "revoke")
    row = worked(network.asked(other.id, "learner-1"))[other.id]
    assert (row.state, row.problem) == ("needs_attention", share_outcomes.AGAIN)


def test_who_did_not_allow_posts_is_asked_to(network: Network) -> None:
    network.behaves(granted=["openid", "profile"])
    network.connected()
    (made,) = credentials().credentials
    assert network.state()["can_share"] is False
    assert network.shares(made.id).status_code == 409
    (row,) = worked(agreed([made.id])).values()
    assert (row.state, row.problem) == ("needs_attention", share_outcomes.NOT_ALLOWED)
    assert "Anda tidak mengizinkan kiriman" in opened(network).see()


def test_an_old_version_stops_all_and_names_the_setting(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, run_id = one_shared(network)
    monkeypatch.setenv("JEMBATAN_LINKEDIN__VERSION", "202411")
    settings.cache_clear()
    assert "months old" in (linkedin.version_fault() or "")
    with pytest.raises(BadInput, match="JEMBATAN_LINKEDIN__VERSION"):
        worked(run_id)
    assert rows()[made].state == "queued"
    monkeypatch.delenv("JEMBATAN_LINKEDIN__VERSION")
    settings.cache_clear()
    assert worked(run_id)[made].state == "done"


@pytest.mark.parametrize(("limit", "others"), [("member_limit", "done"), ("app_limit", "waiting")])
def test_the_daily_limit_puts_off_to_the_next_utc_day(network: Network, limit: str, others: str) -> None:
    network.connected()
    network.connected("learner-x")
    ids = [one.id for one in credentials(4).credentials]
    theirs = credentials(1, of="learner-x", program_code="PRG-X").credentials[0].id
    network.behaves(**{limit: 2})
    before = network.calls("post")
    run_id = agreed(ids)
    first = worked(run_id)
    assert sorted(one.state for one in first.values()) == ["done", "done", "waiting", "waiting"]
    tomorrow = clock.now().astimezone(UTC).date() + timedelta(days=1)
    later = [one.next_attempt_at for one in first.values() if one.next_attempt_at]
    assert {at.astimezone(UTC).date() for at in later} == {tomorrow}
    assert all(at.astimezone(UTC).hour == 0 for at in later)
    assert network.calls("post") - before == 3  # no call for what comes after the refusal
    assert "Percobaan berikutnya" in opened(network).see()
    row = worked(agreed([theirs], "learner-x"), at_once=False)[theirs]
    assert row.state == others
    network.admin.post("/_sandbox/linkedin/day").raise_for_status()
    network.behaves(**{limit: 20})
    with unit_of_work() as session:
        session.execute(sa.text("UPDATE credential_exports SET process_run_id = :run"), {"run": run_id})
    states = worked(run_id)
    assert [states[one].state for one in ids].count("done") == 4
    assert sorted(post["attempts"] for post in network.posts())[:4] == [1] * 4


def test_a_limit_that_names_no_day_is_waited_for_as_it_says(network: Network) -> None:
    made, run_id = one_shared(network)
    network.fails("post", "429", retry_after=3600)
    row = worked(run_id)[made]
    assert (row.state, row.next_attempt_at is not None) == ("waiting", True)
    assert row.next_attempt_at is not None
    assert row.next_attempt_at > clock.now() + timedelta(minutes=50)
    assert worked(run_id)[made].state == "done"


def test_a_refusal_is_told_without_what_it_quotes(network: Network) -> None:
    made, run_id = one_shared(network, text="Rahasia saya")
    network.fails("post", "code", code="400")
    row = worked(run_id)[made]
    assert row.state == "refused"
    assert "Rahasia" not in (row.problem or "")
    assert "Kiriman tidak dapat terbit" in opened(network).see()
    assert worked(anew(run_id, [made]))[made].state == "done"


def killed(run_id: UUID, when: str, call: int) -> None:
    """A worker of this share dies by SIGKILL around a call."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(KILLED.parent)])}
    died = subprocess.run(
        [sys.executable, str(KILLED), str(run_id), when, str(call), "networking"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )
    assert died.returncode == -9, died.stderr


def test_a_kill_right_after_the_post_is_one_post(network: Network) -> None:
    made, run_id = one_shared(network)
    killed(run_id, "after", 1)
    assert rows()[made].state == "sent"  # told before the call
    (post,) = network.posts()
    row = worked(run_id)[made]
    assert (row.state, row.external_id, len(network.posts())) == ("done", post["id"], 1)


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", [1, 2, 3, 4, 5, 6])
def test_a_kill_at_any_call_is_one_post_each(
    network: Network, monkeypatch: pytest.MonkeyPatch, when: str, call: int
) -> None:
    """Two shares with a picture each: six calls."""
    monkeypatch.setenv("JEMBATAN_LINKEDIN__PICTURES", "true")
    settings.cache_clear()
    network.connected()
    ids = [one.id for one in credentials(2).credentials]
    run_id = agreed(ids)
    killed(run_id, when, call)
    for _ in range(2):
        states = worked(run_id)
    assert {states[one].state for one in ids} == {"done"}
    assert len(network.posts()) == 2


# The person


def test_an_export_has_what_was_shared_and_erasing_takes_it_away(network: Network) -> None:
    sub = network.connected()
    made = credentials().credentials[0].id
    worked(network.asked(made, text="Kata saya"))
    opened(network)
    with unit_of_work() as session:
        found = subject.find(session, learner_id=LEARNER)
        held = subject.export(session, found, by="operator:dpo", reason="Asked for", origin="test")
    assert (held["linkedin"]["member"], held["linkedin"]["shares"][0]["text"]) == (sub, "Kata saya")
    assert "AQX" not in json.dumps(held)
    with unit_of_work() as session:
        done = subject.erase(session, found, by="operator:dpo", reason="Asked for", origin="test")
    assert done.linkedin is not None
    linkedin.end(done.linkedin)
    assert network.live_tokens() == 0
    assert rows() == {}
    with unit_of_work() as session:
        models = (LinkedInConnection, LinkedInShare, learner_session.LearnerSession)
        for model in (*models, learner_session.LearnerTicket):
            assert session.scalar(sa.select(sa.func.count()).select_from(model)) == 0
