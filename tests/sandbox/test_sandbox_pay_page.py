"""The page on which a person plays the payer, and the options with which the sandbox is started."""

import base64
import hashlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sandbox_listener import Box
from sandbox_midtrans import MidtransCaller, charge_body
from sandbox_profiles import ProfileCaller, payment

from sandbox.__main__ import main

Through = Callable[[str, str], ProfileCaller]


def page_of(gopay: MidtransCaller, made: dict[str, str]) -> str:
    return str(gopay.book(made)["pay_url"])


def choose(url: str, choice: str) -> httpx.Response:
    return httpx.post(url, data={"choice": choice})


def test_the_page_is_small_and_runs_nothing(gopay: MidtransCaller) -> None:
    page = httpx.get(page_of(gopay, gopay.charge()))
    assert page.status_code == 200
    assert "<script" not in page.text
    assert re.findall(r'(?:src|href)="', page.text) == []
    assert len(page.content) < 8_000
    style = re.search(r"<style>(.*?)</style>", page.text, re.S)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
    assert "form-action 'self' https://merchant.example;" in policy
    assert "frame-ancestors 'none'" in policy
    for words in ("Rp150.000", 'lang="id"', "Bayar", "Pay", "width=device-width", "Play money"):
        assert words in page.text


@pytest.mark.parametrize(
    ("choice", "result", "state"),
    [("pay", "success", "settled"), ("decline", "failure", "denied"), ("back", "abort", "pending")],
)
def test_gopay_goes_back_to_the_merchant_with_the_result(
    gopay: MidtransCaller, choice: str, result: str, state: str
) -> None:
    made = gopay.charge()
    answer = choose(page_of(gopay, made), choice)
    assert answer.status_code == 303
    where = httpx.URL(answer.headers["Location"])
    assert (where.host, where.path) == ("merchant.example", "/back")
    assert dict(where.params) == {"a": "1", "order_id": made["order_id"], "result": result}
    assert gopay.book(made)["state"] == state


def test_paying_on_the_page_notifies(gopay: MidtransCaller, box: Box) -> None:
    made = gopay.charge(X_Override_Notification=box.url)
    box.wait(1)
    choose(page_of(gopay, made), "pay")
    assert box.wait(2)[-1].members["transaction_status"] == "settlement"


def test_without_a_callback_the_page_says_what_became_of_it(gopay: MidtransCaller) -> None:
    for off in ({}, {"enable_callback": False, "callback_url": "https://merchant.example/back"}):
        made = gopay.post("charge", charge_body(gopay=off)).json()
        url = page_of(gopay, made)
        answer = httpx.post(url, data={"choice": "pay"}, follow_redirects=True)
        assert answer.status_code == 200
        assert "Pembayaran berhasil" in answer.text
        assert "<button" not in answer.text


def test_nothing_is_paid_twice_or_by_an_unknown_choice(gopay: MidtransCaller) -> None:
    made = gopay.charge()
    url = page_of(gopay, made)
    assert choose(url, "steal").status_code == 400
    assert gopay.book(made)["state"] == "pending"
    assert [choose(url, "pay").status_code for _ in range(2)] == [303, 409]
    assert choose(url, "decline").status_code == 409
    assert gopay.book(made)["taken"] == "150000.00"


def test_a_snap_wallet_goes_back_to_the_address_it_was_given(through: Through) -> None:
    doku, dana = through("ovo", "doku"), through("linkaja", "dana")
    ends = {}
    for choice in ("pay", "decline"):
        ends[choice] = choose(doku.charge()["webRedirectUrl"], choice).headers["Location"]
    assert ends == {"pay": "https://merchant.example/paid", "decline": "https://merchant.example/failed"}
    back = choose(dana.charge()["webRedirectUrl"], "pay").headers["Location"]
    assert back == "https://merchant.example/back"


def test_a_push_is_answered_on_the_page_too(through: Through) -> None:
    caller = through("ovo", "dana")
    made = caller.charge()
    assert choose(caller.book(made)["pay_url"], "pay").status_code == 303
    assert caller.status(made)["latestTransactionStatus"] == "00"


def test_a_page_belongs_to_one_wallet_and_cannot_be_guessed(gopay: MidtransCaller) -> None:
    url = page_of(gopay, gopay.charge())
    assert httpx.get(url.replace("/gopay/", "/ovo/")).status_code == 404
    assert httpx.get(f"{url}x").status_code == 404
    assert httpx.post(f"{url}x", data={"choice": "pay"}).status_code == 404


def test_nothing_of_a_reference_is_markup(gopay: MidtransCaller, through: Through) -> None:
    caller = through("linkaja", "nicepay")
    body = payment("linkaja", "nicepay") | {"partnerReferenceNo": "<b>\"'&"}
    made = caller.call("charge", body).json()
    text = httpx.get(made["webRedirectUrl"]).text
    assert "<b>" not in text
    assert "&lt;b&gt;&quot;&#x27;&amp;" in text


# --- options -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--provider-key", "nothing.pem", "not a readable PEM private key"),
        ("--callback-base", "merchant", "not an http address"),
        ("--callback-base", "https://merchant.example/?a=1", "not an http address"),
        ("--journal", "no/such/folder/journal.jsonl", "cannot be written"),
    ],
)
def test_an_option_that_cannot_be_used_ends_with_2(
    tmp_path: Path,
    merchant_key: RSAPrivateKey,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    option: str,
    value: str,
    words: str,
) -> None:
    pem = tmp_path / "client.pub.pem"
    pem.write_bytes(merchant_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    monkeypatch.setattr(sys, "argv", ["sandbox", "--client-key", str(pem), option, value])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
