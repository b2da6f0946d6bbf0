"""`jembatan clients`: what it prints for people and for programs, and how it ends."""

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from stack_at_work import ROOT, a_home, environment_for

from common import clock
from jembatan.cli import main
from records import client as clients
from records.client import Caller
from records.db import driver, unit_of_work

URL = "https://platform.example/events"

Jembatan = Callable[..., tuple[int, str, str]]
Told = Callable[..., Any]


@pytest.fixture
def jembatan(database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Jembatan:
    """Runs `jembatan clients …`; gives back exit code, standard output and standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["jembatan", "clients", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return int(ended.value.code or 0), shown.out, " ".join(shown.err.split())

    return run


@pytest.fixture
def told(jembatan: Jembatan) -> Told:
    """The JSON that such a command prints."""

    def run(*words: str) -> Any:
        code, out, _ = jembatan(*words, "--json")
        assert code == 0
        return json.loads(out)

    return run


def whose(key: str) -> str | None:
    with unit_of_work() as session:
        found = clients.find(driver(session), key)
        return found.name if isinstance(found, Caller) else found


def test_a_new_client_is_shown_with_its_key_alone_on_a_line(jembatan: Jembatan) -> None:
    code, out, _ = jembatan("create", "platform", "--scope", "payments:write", "--scope", "processes:read")
    assert code == 0
    assert "payments:write, processes:read" in out
    assert whose(out.splitlines()[-1]) == "platform"


def test_prefect_reads_its_settings_again_for_no_command_that_does_without_it(jembatan: Jembatan) -> None:
    from prefect.context import SettingsContext

    before = SettingsContext.get()
    assert jembatan("list")[0] == 0
    assert SettingsContext.get() is before


def test_a_program_gets_the_members_by_name(told: Told) -> None:
    made = told("create", "p", "--scope", "payments:write,refunds", "--expires-in-days", "30")
    assert made.keys() >= {"client_id", "name", "scopes", "key_id", "api_key", "expires_at"}
    assert (made["name"], made["scopes"]) == ("p", ["payments:write", "refunds"])
    assert made["key_id"] == made["api_key"].split("_")[1]
    left = datetime.fromisoformat(made["expires_at"]) - clock.now()
    assert timedelta(days=29, hours=23) < left < timedelta(days=30)
    assert told("create", "for-ever", "--scope", "*")["expires_at"] is None


_WRONG: list[tuple[list[str], str]] = [
    (["create", "platform", "--scope", "payments"], "`jembatan clients new-key platform`"),
    (["create", "other", "--scope", "payments:delete"], "siplatih, credentials, linkedin, europass"),
    (["create", "other", "--scope", ","], "give it one or more"),
    (["create", "other"], "--scope"),
    (["create", "o t", "--scope", "payments"], "1 to 64 characters"),
    (["create", "other", "--scope", "payments", "--rate-per-minute", "0"], "rate-per-minute"),
    (["new-key", "platform", "--expires-in-days", "0"], "expires-in-days"),
    (["show", "nobody"], "`jembatan clients list`"),
    (["new-key", "nobody"], "`jembatan clients list`"),
    (["revoke", "nobody"], "`jembatan clients list`"),
    (["revoke", "platform", "--key", "nope"], "`jembatan clients show platform`"),
    (["endpoint", "nobody", URL], "`jembatan clients list`"),
    (["endpoint", "platform"], "--rotate-secret"),
    (["endpoint", "platform", URL, "--remove"], "--rotate-secret"),
    (["endpoint", "platform", "--rotate-secret"], "`jembatan clients endpoint platform URL`"),
    (["endpoint", "platform", "ftp://platform.example"], ""),
]


def test_wrong_use_ends_with_two_and_the_next_step(jembatan: Jembatan) -> None:
    jembatan("create", "platform", "--scope", "payments")
    for words, hint in _WRONG:
        code, out, error = jembatan(*words)
        assert (code, out) == (2, ""), words
        assert hint in error
        assert len(error) > 20


def test_keys_are_rotated_without_a_gap(jembatan: Jembatan, told: Told) -> None:
    old = told("create", "platform", "--scope", "payments")
    new = told("new-key", "platform", "--expires-in-days", "9")
    assert new.keys() == old.keys()
    assert [whose(one["api_key"]) for one in (old, new)] == ["platform", "platform"]
    code, out, _ = jembatan("revoke", "platform", "--key", old["key_id"])
    assert (code, out.strip()) == (0, f"The key {old['key_id']} of platform is revoked.")
    assert [whose(one["api_key"]) for one in (old, new)] == ["revoked", "platform"]
    assert jembatan("revoke", "platform")[0] == 0
    assert whose(new["api_key"]) == "revoked"


def test_the_list_and_the_client_say_how_it_stands(jembatan: Jembatan, told: Told) -> None:
    assert "jembatan clients create" in jembatan("list")[1]
    used = told("create", "platform", "--scope", "payments", "--rate-per-minute", "60")
    told("new-key", "platform")
    told("create", "other", "--scope", "*")
    jembatan("revoke", "other")
    whose(used["api_key"])
    other, platform = told("list")
    assert (other["name"], platform["name"]) == ("other", "platform")
    assert other["revoked_at"]
    assert [key["state"] for key in other["keys"]] == ["revoked"]
    assert (platform["rate_per_minute"], platform["revoked_at"]) == (60, None)
    assert [bool(key["last_used_at"]) for key in platform["keys"]] == [True, False]
    assert told("show", "platform") == platform
    for words in (["list"], ["show", "platform"]):
        code, out, _ = jembatan(*words)
        assert code == 0
        assert "platform" in out
        assert used["api_key"].split("_")[2] not in out


def test_an_endpoint_is_set_with_a_secret_that_is_shown_once(jembatan: Jembatan, told: Told) -> None:
    told("create", "platform", "--scope", "events")
    code, out, _ = jembatan("endpoint", "platform", URL)
    secret = out.splitlines()[-1]
    assert (code, secret[:6]) == (0, "whsec_")
    rotated = told("endpoint", "platform", "--rotate-secret")
    assert (rotated["endpoint_url"], rotated["name"]) == (URL, "platform")
    with unit_of_work() as session:
        kept = clients.signing_secrets(clients.named(session, "platform"))
    assert kept == [rotated["signing_secret"], secret]
    shown = told("show", "platform")
    assert shown["endpoint_url"] == URL
    assert secret not in json.dumps(shown)
    assert jembatan("endpoint", "platform", "--remove")[0] == 0
    assert told("show", "platform")["endpoint_url"] is None


def test_a_fresh_home_gets_a_database_and_nothing_else() -> None:
    with a_home() as home:
        words = (
            "from jembatan.cli import main; main()",
            "clients",
            "create",
            "first",
            "--scope",
            "*",
            "--json",
        )
        done = subprocess.run(
            [sys.executable, "-c", *words],
            env=environment_for(home),
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        assert json.loads(done.stdout)["api_key"].startswith("jbt_")
        assert [log.name for log in home.logs.iterdir()] == ["postgres.log"]
