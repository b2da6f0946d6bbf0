"""Every gateway against the sandbox over real HTTP: status, history, and what its failures become."""

import time
from datetime import date
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from common.errors import AuthFailed, BadInput, RateLimited, Transient
from common.services import Service
from common.settings import GATEWAYS, settings
from jembatan.stack import Stack
from providers import http
from providers.payments import WALLETS, gateway, open_gateway
from providers.reports.sources import NotThereYet, fetched
from providers.snap.credentials import Credentials
from providers.snap.profiles import PROFILES

DAY = date(2026, 11, 24)


def ledger_rows(parts: Stack) -> list[dict[str, str]]:
    import csv
    import io

    text = httpx.get(f"{parts.sandbox_url}/_sandbox/days/{DAY}/ledger.csv").text
    return list(csv.DictReader(io.StringIO(text)))


def fail(parts: Stack, **failure: object) -> None:
    httpx.post(f"{parts.sandbox_url}/_sandbox/failures", json=failure).raise_for_status()


@pytest.fixture(autouse=True)
def calm(parts: Stack, database: str):
    yield
    httpx.delete(f"{parts.sandbox_url}/_sandbox/failures")


@pytest.mark.parametrize("name", GATEWAYS)
def test_the_status_of_a_charge_is_read(parts: Stack, name: str) -> None:
    row = next(row for row in ledger_rows(parts) if row["gateway"] == name and row["status"] == "paid")
    with gateway(name) as opened:
        known = opened.get_charge(row["reference"])
        unknown = opened.get_charge("nobody-knows-it")
    assert (known.state, known.amount_minor, known.currency) == ("paid", int(row["amount"]) * 100, "IDR")
    assert known.at is not None
    assert known.at.tzinfo is not None
    assert unknown.state == "not_found"


@pytest.mark.parametrize("name", GATEWAYS)
@pytest.mark.parametrize("kind", ["500", "reset", "html", "429"])
def test_a_status_is_asked_again_where_that_is_safe(parts: Stack, name: str, kind: str) -> None:
    fail(parts, gateway=name, operation="status", kind=kind, times=1, retry_after=1)
    with gateway(name) as opened:
        assert opened.get_charge("nobody-knows-it").state == "not_found"


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_gateway_that_stays_down_is_transient_and_the_error_holds_no_secret(
    parts: Stack, name: str
) -> None:
    fail(parts, gateway=name, operation="status", kind="500", times=10)
    with gateway(name) as opened, pytest.raises(Transient) as error:
        opened.get_charge("nobody-knows-it")
    assert name in str(error.value)
    assert "secret" not in str(error.value)
    assert "Bearer" not in str(error.value)


def test_a_rate_limit_that_is_long_is_left_to_the_process(parts: Stack) -> None:
    fail(parts, gateway="gopay", operation="status", kind="429", times=1, retry_after=60)
    with gateway("gopay") as opened, pytest.raises(RateLimited) as error:
        opened.get_charge("nobody-knows-it")
    assert error.value.retry_after == 60


@pytest.mark.parametrize("name", GATEWAYS)
def test_a_wrong_key_is_an_authentication_failure(
    parts: Stack, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = {"gopay": "SERVER_KEY", "ovo": "CLIENT_SECRET", "linkaja": "CLIENT_ID"}[name]
    monkeypatch.setenv(f"JEMBATAN_{name.upper()}__{wrong}", "sandbox-wrong")
    settings.cache_clear()
    with gateway(name) as opened, pytest.raises(AuthFailed):
        opened.get_charge("nobody-knows-it")


def test_a_token_that_ended_early_is_renewed_once(parts: Stack) -> None:
    with gateway("ovo") as opened:
        opened.get_charge("nobody-knows-it")
        httpx.delete(f"{parts.sandbox_url}/_sandbox/tokens").raise_for_status()
        assert opened.get_charge("nobody-knows-it").state == "not_found"


@pytest.mark.parametrize("name", GATEWAYS)
def test_the_report_of_a_day_that_is_not_over_is_not_there_yet(parts: Stack, name: str) -> None:
    with fetched(name, date(2099, 1, 1)) as found, pytest.raises(NotThereYet):
        _ = [list(blocks) for _, blocks in found]


@pytest.mark.parametrize("kind", ["500", "429", "html", "half", "reset"])
def test_a_report_that_fails_for_a_moment_is_worth_asking_for_again(parts: Stack, kind: str) -> None:
    fail(parts, gateway="gopay", operation="report", kind=kind, times=1, retry_after=1)
    with fetched("gopay", DAY) as found, pytest.raises(Transient) as error:
        _ = [list(blocks) for _, blocks in found]
    assert not isinstance(error.value, NotThereYet)
    with fetched("gopay", DAY) as found:
        assert all(len(b"".join(blocks)) > 0 for _, blocks in found)


def test_a_drop_folder_gives_the_files_of_the_day(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEMBATAN_GOPAY__REPORT__SOURCE", "drop")
    monkeypatch.setenv("JEMBATAN_GOPAY__REPORT__DIRECTORY", str(tmp_path / "drop"))
    settings.cache_clear()
    (tmp_path / "drop").mkdir()
    with pytest.raises(NotThereYet), fetched("gopay", DAY):
        pass
    for name in ("part1-2026-11-24.csv", "part2-2026-11-24.csv", "part1-2026-11-25.csv"):
        (tmp_path / "drop" / name).write_text(name)
    with fetched("gopay", DAY) as found:
        assert [(name, b"".join(blocks).decode()) for name, blocks in found] == [
            ("part1-2026-11-24.csv", "part1-2026-11-24.csv"),
            ("part2-2026-11-24.csv", "part2-2026-11-24.csv"),
        ]


def test_a_gateway_without_a_source_says_which_setting_is_missing(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JEMBATAN_ENV", "production")
    settings.cache_clear()
    with pytest.raises(BadInput, match="JEMBATAN_GOPAY__REPORT__SOURCE"), fetched("gopay", DAY):
        pass


def test_production_refuses_sandbox_keys_and_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JEMBATAN_ENV", "production")
    monkeypatch.setenv("JEMBATAN_SANDBOX_URL", "http://127.0.0.1:8410")
    (tmp_path / "key").write_text("SB-Mid-server-x\n")
    for name, value in (
        ("JEMBATAN_GOPAY__SERVER_KEY", "SB-Mid-server-x"),
        ("JEMBATAN_GOPAY__SERVER_KEY", str(tmp_path / "key")),
        ("JEMBATAN_OVO__CLIENT_ID", "sandbox-ovo"),
        ("JEMBATAN_GOPAY__BASE_URL", "https://api.sandbox.midtrans.com"),
        ("JEMBATAN_OVO__BASE_URL", "https://api-sandbox.doku.com"),
        ("JEMBATAN_OVO__BASE_URL", "https://app.byte-stack.net"),
        ("JEMBATAN_LINKAJA__BASE_URL", "https://dev.nicepay.co.id/nicepay"),
        ("JEMBATAN_LINKAJA__BASE_URL", "https://debit-sandbox.faspay.co.id"),
        ("JEMBATAN_LINKAJA__BASE_URL", "https://api.sandbox.dana.id"),
        ("JEMBATAN_LINKAJA__REPORT__URL", "http://127.0.0.1:8410/linkaja"),
        ("JEMBATAN_SIPLATIH__CLIENT_SECRET", "sandbox-siplatih-secret"),
        ("JEMBATAN_SIPLATIH__BASE_URL", "http://127.0.0.1:8410/siplatih/api/v1"),
        ("JEMBATAN_LINKEDIN__CLIENT_ID", "sandbox-linkedin"),
        ("JEMBATAN_LINKEDIN__AUTHORIZE_URL", "http://127.0.0.1:8410/linkedin/oauth/v2/authorization"),
        ("JEMBATAN_EUROPASS__API_KEY", "sandbox-europass-key"),
        ("JEMBATAN_EUROPASS__BASE_URL", "https://sandbox.issuer.example"),
    ):
        monkeypatch.setenv(name, value)
        settings.cache_clear()
        with pytest.raises(ValueError, match="production refuses the sandbox"):
            settings()
        monkeypatch.delenv(name)
    settings.cache_clear()


@pytest.mark.parametrize(
    ("profile", "channel_id"), [("doku", "95221"), ("nicepay", "CLIENT-701"), ("dana", "95221")]
)
def test_at_a_real_test_environment_nothing_names_the_sandboxs_merchant(
    monkeypatch: pytest.MonkeyPatch, profile: str, channel_id: str
) -> None:
    monkeypatch.setenv("JEMBATAN_OVO__PROFILE", profile)
    settings.cache_clear()
    assert (settings().ovo.merchant_id, settings().ovo.channel_id) == ("sandbox-merchant", "95221")
    monkeypatch.setenv("JEMBATAN_OVO__CLIENT_ID", "CLIENT-7")
    settings.cache_clear()
    config = settings().ovo
    assert (config.partner_id, config.merchant_id) == ("CLIENT-7", "")
    assert Credentials("ovo", config, PROFILES[profile]).channel_id == channel_id
    settings.cache_clear()


def test_production_takes_real_keys_and_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text("Mid-server-real\n")
    for name, value in (
        ("JEMBATAN_ENV", "production"),
        ("JEMBATAN_GOPAY__SERVER_KEY", str(tmp_path / "key")),
        ("JEMBATAN_GOPAY__BASE_URL", "https://api.midtrans.com/"),
        ("JEMBATAN_OVO__BASE_URL", "https://api.doku.com"),
        ("JEMBATAN_LINKAJA__PRIVATE_KEY", str(tmp_path / "not-there-yet")),
        ("JEMBATAN_LINKAJA__FEE__FIXED", "500"),
    ):
        monkeypatch.setenv(name, value)
    for name in ("OVO", "LINKAJA"):
        monkeypatch.delenv(f"JEMBATAN_{name}__PROVIDER_PUBLIC_KEYS", raising=False)
    settings.cache_clear()
    config = settings()
    assert config.gopay.base_url == "https://api.midtrans.com"  # what follows it is signed
    assert (config.linkaja.profile, config.linkaja.fee.percent, config.linkaja.fee.fixed) == (
        "nicepay",
        Decimal("1.5"),
        500,
    )
    settings.cache_clear()


def test_every_gateway_of_the_settings_is_in_the_registry() -> None:
    assert tuple(WALLETS) == GATEWAYS == ("gopay", "ovo", "linkaja")
    for name in GATEWAYS:
        with gateway(name) as opened:
            assert opened.name == name
    with pytest.raises(KeyError):
        open_gateway("dana")


def test_calls_keep_the_pace_that_is_set(parts: Stack) -> None:
    with http.client(Service(rate=50)) as client:
        started = time.monotonic()
        for _ in range(6):
            client.get(f"{parts.sandbox_url}/healthz")
        # At least: how slow the machine is changes nothing.
        assert time.monotonic() - started >= 5 / 50
