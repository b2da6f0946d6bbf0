"""Access tokens: fetched once, shared by threads, renewed in time, renewed once when they are refused."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from counterpart import Counterpart, order, snap

from common import clock
from common.errors import Ambiguous, AuthFailed, RateLimited, Rejected, Transient
from providers.ovo import Ovo
from providers.tokens import MemoryTokens, Token

FOUND = {"responseCode": "2005500", "latestTransactionStatus": "00"}
REFUSED = {"responseCode": "4015501"}


def token_calls(there: Counterpart) -> int:
    return len(there.calls) - len(there.business)


def used(there: Counterpart) -> list[str]:
    return [call.headers["authorization"] for call in there.business]


def test_one_token_serves_many_calls_and_many_gateways_with_one_store(there: Counterpart) -> None:
    store = MemoryTokens()
    for _ in range(3):
        gateway = Ovo(snap("doku", there.url), store)
        there.says(200, FOUND)
        gateway.get_charge("INV-1")
        gateway.close()
    assert token_calls(there) == 1
    other = Ovo(snap("doku", there.url, client_id="CLIENT-8"), store)
    there.says(200, FOUND)
    other.get_charge("INV-1")
    assert token_calls(there) == 2


def test_many_threads_wait_for_one_renewal() -> None:
    store, renewals, start = MemoryTokens(), [], threading.Barrier(16)

    def renew() -> Token:
        threading.Event().wait(0.05)  # as long as a call takes
        renewals.append(1)
        return Token(f"token-{len(renewals)}", clock.now() + timedelta(seconds=900))

    def ask(refused: str | None) -> str:
        start.wait()
        return store.current("ovo", renew, refused=refused)

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, [None] * 16)) == {"token-1"}
        assert set(pool.map(ask, ["token-1"] * 16)) == {"token-2"}
    assert len(renewals) == 2


@pytest.mark.parametrize(("life", "early"), [(900, 60), (240, 60), (100, 25), (60, 15), (1, 0.25)])
def test_a_token_is_renewed_a_minute_or_a_quarter_of_its_life_before_its_end(life: int, early: float) -> None:
    before = clock.now()
    token = Token.lasting("a", life)
    lives = timedelta(seconds=life - early)
    assert before + lives <= token.renew_at <= clock.now() + lives


@pytest.mark.parametrize(("seconds", "is_kept"), [(5, True), (900, True), (0, False), (-5, False)])
def test_a_token_is_kept_until_it_is_to_be_renewed(seconds: int, is_kept: bool) -> None:
    store = MemoryTokens()
    made = iter("ab")

    def renew() -> Token:
        return Token(next(made), clock.now() + timedelta(seconds=seconds))

    first = store.current("ovo", renew)
    assert (store.current("ovo", renew) == first) is is_kept


def test_a_renewal_that_fails_leaves_the_store_usable() -> None:
    store = MemoryTokens()

    def fails() -> Token:
        raise Transient("ovo", "token", "cannot be reached")

    with pytest.raises(Transient):
        store.current("ovo", fails)
    assert store.current("ovo", lambda: Token("a", clock.now() + timedelta(seconds=900))) == "a"


def test_a_token_is_never_printed() -> None:
    assert "sesame" not in repr(Token("sesame", clock.now()))


@pytest.mark.parametrize(
    ("life", "calls"),
    [
        ("900", 1),
        (900, 1),
        (None, 1),
        ("soon", 1),
        ("30", 1),
        (61, 1),
        (0, 1),
        ("-1", 1),
        ([], 1),
        (1e3, 1),
    ],
)
def test_the_life_of_a_token_is_read_as_text_and_as_number(there: Counterpart, life: Any, calls: int) -> None:
    """A life that cannot be read is the usual 900 seconds."""
    there.tokens = [(200, {"responseCode": "2007300", "accessToken": "t", "expiresIn": life})]
    gateway = Ovo(snap("doku", there.url))
    for _ in range(2):
        there.says(200, FOUND)
        gateway.get_charge("INV-1")
    assert token_calls(there) == calls


@pytest.mark.parametrize("code", ["2007400", "20058000", None, "4017300"])
def test_a_token_is_a_success_whatever_the_code_says(there: Counterpart, code: str | None) -> None:
    there.tokens = [(200, {"responseCode": code, "accessToken": "sesame"})]
    there.says(200, FOUND)
    Ovo(snap("doku", there.url)).get_charge("INV-1")
    assert used(there) == ["Bearer sesame"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"responseCode": "4017300"}, AuthFailed), (200, {"responseCode": "4017300"}, AuthFailed),
        (400, {"responseCode": "4007301"}, Rejected), (500, {"responseCode": "5007300"}, Transient),
        (504, {"responseCode": "5047300"}, Transient), (200, {"responseCode": "2007300"}, Transient),
        (200, b"<html>", Transient), (200, {"accessToken": ""}, Transient),
        (200, {"accessToken": 7}, Transient),
        (200, {"accessToken": "a\r\nX-Evil: 1"}, Transient), (200, {"accessToken": "é"}, Transient),
        (503, b"down", Transient), (401, b"no", AuthFailed),
    ],
)  # fmt: skip
def test_without_a_token_no_money_has_moved(
    there: Counterpart, status: int, body: Any, kind: type[Exception]
) -> None:
    there.tokens = [(status, body)]
    with pytest.raises(kind) as error:
        Ovo(snap("doku", there.url)).create_charge(order())
    assert type(error.value) is kind
    assert there.business == []


def test_a_rate_limit_of_the_token_is_one(there: Counterpart) -> None:
    there.tokens = [(429, {})]
    with pytest.raises(RateLimited):
        Ovo(snap("doku", there.url)).create_charge(order())


def test_a_token_that_ended_early_is_renewed_once_and_the_call_repeated_once(there: Counterpart) -> None:
    gateway = Ovo(snap("doku", there.url))
    there.says(200, FOUND)
    gateway.get_charge("INV-1")
    there.says(401, REFUSED)
    there.says(200, FOUND)
    assert gateway.get_charge("INV-1").state == "paid"
    assert used(there) == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]
    there.says(401, REFUSED)
    there.says(401, REFUSED)
    with pytest.raises(AuthFailed):
        gateway.get_charge("INV-1")
    assert len(there.business) == 5


def test_a_charge_is_repeated_with_its_number_when_its_token_had_ended(there: Counterpart) -> None:
    gateway = Ovo(snap("nicepay", there.url))
    there.says(401, {"responseCode": "4015401"})
    there.says(200, {"responseCode": "2005400"})
    gateway.create_charge(order())
    first, second = there.business
    assert first.headers["x-external-id"] == second.headers["x-external-id"]
    assert first.body == second.body
    assert first.headers["x-signature"] != second.headers["x-signature"]


@pytest.mark.parametrize("code", ["4015400", "4015402", "401", "4015411"])
def test_another_refusal_is_not_one_of_the_token(there: Counterpart, code: str) -> None:
    there.says(401, {"responseCode": code})
    with pytest.raises(AuthFailed):
        Ovo(snap("doku", there.url)).create_charge(order())
    assert (token_calls(there), len(there.business)) == (1, 1)


def test_a_repeated_call_that_is_lost_may_have_moved_money(there: Counterpart) -> None:
    there.says(401, {"responseCode": "4015401"})
    there.says(500, {"responseCode": "5005400"})
    with pytest.raises(Ambiguous):
        Ovo(snap("doku", there.url)).create_charge(order())
