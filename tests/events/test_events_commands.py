"""`jembatan events`: what it prints for people and for programs, and how it ends."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from events_world import Platform, a_client, a_payment, a_while_later, claim, emit, kept, settle, states
from stack_at_work import ROOT, a_home, environment_for

from jembatan.cli import main
from records import platform_events

Jembatan = Callable[..., tuple[int, str, str]]


@pytest.fixture
def jembatan(database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Jembatan:
    """Runs `jembatan events …`; gives back exit code, standard output and standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["jembatan", "events", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, " ".join(shown.err.split())

    return run


def deliver(client: UUID) -> None:
    event = claim(client)
    assert event is not None
    settle(platform_events.delivered, event)


def told(said: tuple[int, str, str]) -> Any:
    assert said[0] == 0
    return json.loads(said[1])


def test_events_are_listed_newest_first_with_their_state(client: UUID, jembatan: Jembatan) -> None:
    payment = a_payment()
    first, second = emit(client, payment, "payment.pending", "payment.paid")
    deliver(client)
    newest, oldest = told(jembatan("list", "--json"))
    assert (newest["event_id"], oldest["event_id"]) == (second, first)
    assert (newest["state"], oldest["state"]) == ("waiting", "delivered")
    assert (oldest["type"], oldest["client"], oldest["payment_id"]) == (
        "payment.pending",
        "platform",
        str(payment),
    )
    assert (oldest["attempts"], oldest["next_attempt_at"]) == (1, None)
    code, out, _ = jembatan("list")
    assert code == 0
    assert out.endswith("platform: 1 waiting\n")


def test_the_list_is_of_one_client_or_state(client: UUID, platform: Platform, jembatan: Jembatan) -> None:
    other = a_client("other", platform)
    emit(client, a_payment(), "payment.pending", "payment.paid")
    (others,) = emit(other, a_payment(), "payment.paid")
    deliver(client)
    assert [one["event_id"] for one in told(jembatan("list", "--client", "other", "--json"))] == [others]
    assert len(told(jembatan("list", "--state", "waiting", "--json"))) == 2
    assert len(told(jembatan("list", "--state", "waiting", "--limit", "1", "--json"))) == 1
    assert told(jembatan("list", "--state", "given_up", "--json")) == []
    assert "No events." in jembatan("list", "--state", "given_up")[1]


def test_one_event_is_shown_with_its_body(client: UUID, jembatan: Jembatan) -> None:
    payment = a_payment()
    (event_id,) = emit(client, payment, "payment.paid")
    shown = told(jembatan("show", event_id, "--json"))
    assert shown["body"]["type"] == "payment.paid"
    assert shown["body"]["data"] == {"payment_id": str(payment)}
    code, out, _ = jembatan("show", event_id)
    assert code == 0
    assert event_id in out
    assert "waiting after 0 attempts" in out


def test_one_event_is_sent_again(client: UUID, jembatan: Jembatan) -> None:
    first, second = emit(client, a_payment(), "payment.pending", "payment.paid")
    deliver(client)
    deliver(client)
    code, out, _ = jembatan("redeliver", first)
    assert (code, out) == (0, "1 event waits to be sent again.\n")
    assert states([first, second]) == ["waiting", "delivered"]
    assert kept(first).attempts == 0


def test_all_events_of_a_client_since_a_time_are_sent_again(client: UUID, jembatan: Jembatan) -> None:
    ids = emit(client, a_payment(), *["payment.paid"] * 3)
    for _ in ids:
        deliver(client)
    a_while_later("1 hour")
    (last,) = emit(client, a_payment(), "payment.paid")
    deliver(client)
    since = kept(last).created_at.isoformat()
    code, out, _ = jembatan("redeliver", "--client", "platform", "--since", since)
    assert (code, out) == (0, "1 event waits to be sent again.\n")
    assert states([*ids, last]) == ["delivered"] * 3 + ["waiting"]
    assert jembatan("redeliver", "--client", "platform", "--since", "2020-01-01")[1].startswith("4 events")
    assert jembatan("redeliver", "--client", "platform", "--since", "2120-01-01")[1].startswith("0 events")


def test_a_time_without_an_offset_is_that_of_jakarta(client: UUID, jembatan: Jembatan) -> None:
    (event_id,) = emit(client, a_payment(), "payment.paid")
    utc = kept(event_id).created_at.replace(tzinfo=None).isoformat()
    assert jembatan("redeliver", "--client", "platform", "--since", utc)[1].startswith("1 event ")
    assert jembatan("redeliver", "--client", "platform", "--since", utc + "+00:00")[1].startswith("1 event ")
    assert jembatan("redeliver", "--client", "platform", "--since", utc + "-07:00")[1].startswith("0 events")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["list", "--state", "lost"], "There is no state 'lost'; there are waiting, delivered, given_up"),
        (["list", "--client", "nobody"], "There is no client 'nobody'"),
        (["show", "nonsense"], "'nonsense' is no event id; one begins with evt_"),
        (["show", "evt_" + "0" * 32], "There is no event evt_000"),
        (["redeliver", "evt_" + "0" * 32], "There is no event evt_000"),
        (["redeliver"], "Give either the id of an event, or --client and --since"),
        (["redeliver", "--client", "platform"], "Give either the id of an event, or --client and --since"),
        (["redeliver", "--since", "2026-11-25"], "Give either the id of an event, or --client and --since"),
        (["redeliver", "evt_1", "--client", "a", "--since", "b"], "Give either the id of an event"),
        (["redeliver", "evt_1", "--since", "2026-11-25"], "Give either the id of an event"),
        (["redeliver", "--client", "nobody", "--since", "2026-11-25"], "There is no client 'nobody'"),
        (["redeliver", "--client", "platform", "--since", "soon"], "'soon' is no time"),
    ],
)
def test_wrong_usage_ends_with_a_sentence_and_exit_code_2(
    client: UUID, jembatan: Jembatan, words: list[str], sentence: str
) -> None:
    code, out, said = jembatan(*words)
    assert (code, out) == (2, "")
    assert sentence in said


@pytest.mark.slow
def test_a_fresh_home_gets_a_database_and_nothing_else() -> None:
    with a_home() as home:
        done = subprocess.run(
            [sys.executable, "-c", "from jembatan.cli import main; main()", "events", "list", "--json"],
            env=environment_for(home),
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        assert json.loads(done.stdout) == []
        assert [log.name for log in home.logs.iterdir()] == ["postgres.log"]
