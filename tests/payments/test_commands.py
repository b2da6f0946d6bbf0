"""What an operator sees of a payment on the command line: its story in plain words, messages to replay."""

import json

from till import EMAIL, Till, wait_until
from typer.testing import CliRunner

from jembatan.cli import app
from records import notification
from records.db import unit_of_work


def run(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_a_payments_history_tells_its_story(till: Till) -> None:
    till.quiet("gopay")
    made = till.create("gopay")
    till.act(made, "pay", notify=False)
    till.verify(made)
    code, said = run("payments", "show", made["reference"])
    assert code == 0
    assert "The platform asked for the payment." in said
    assert "The gateway has the charge and says pending." in said
    assert "pending → paid" in said
    assert "The gateway was asked and says settlement since" in said
    assert EMAIL not in said
    code, said = run("payments", "show", made["payment_id"], "--json")
    shown = json.loads(said)
    assert (shown["status"], len(shown["events"])) == ("paid", 3)
    assert run("payments", "show", "nobody-knows-it")[0] == 2


def test_a_message_that_was_put_aside_is_found_and_worked_again(till: Till) -> None:
    till.quiet("gopay")
    made = till.create("gopay")
    till.deliver(till.signed(made, state="paid"))
    kept = wait_until(lambda: _asked(made["reference"]), "the desk")
    code, said = run("notifications", "list", "--reference", made["reference"])
    assert code == 0
    assert made["reference"] in said
    assert "settlement Rp 150,000" in said
    till.act(made, "pay", notify=False)
    code, said = run("notifications", "replay", str(kept))
    assert code == 0, said
    till.becomes(made, "paid")
    assert run("notifications", "replay", "999999")[0] == 2
    code, said = run("notifications", "show", str(kept), "--json")
    assert json.loads(said)["state"] in ("received", "worked")
    assert run("notifications", "list", "--state", "lost")[0] != 0


def _asked(reference: str) -> int | None:
    with unit_of_work() as session:
        found = notification.listed(session, reference=reference)
    return found[0].id if found and found[0].attempts else None
