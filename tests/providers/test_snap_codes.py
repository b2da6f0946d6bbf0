"""What a SNAP answer means to us: the whole table of codes on every verb that moves money, in every form."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from counterpart import BROKEN, LOST, Counterpart, order, refund_order, snap

from common.errors import Ambiguous, AuthFailed, NotNow, ProviderError, RateLimited, Rejected, Transient
from providers.ovo import Ovo
from providers.snap.gateway import SnapGateway

Verb = Callable[[SnapGateway], object]
# service part and call of each verb that moves money
MONEY_VERBS: dict[str, tuple[str, Verb]] = {
    "create": ("54", lambda gateway: gateway.create_charge(order())),
    "cancel": ("57", lambda gateway: gateway.cancel_charge("INV-1", "4713")),
    "refund": ("58", lambda gateway: gateway.refund(refund_order())),
}


@pytest.fixture
def dana(there: Counterpart) -> Iterator[Ovo]:
    """A profile with every verb and without tokens in between."""
    gateway = Ovo(snap("dana", there.url))
    yield gateway
    gateway.close()


@pytest.fixture
def doku(there: Counterpart) -> Iterator[Ovo]:
    gateway = Ovo(snap("doku", there.url))
    yield gateway
    gateway.close()


FINAL = [
    ("400", "00"), ("400", "01"), ("400", "02"), ("403", "02"), ("403", "03"), ("403", "09"), ("403", "14"),
    ("403", "15"), ("403", "18"), ("403", "23"), ("404", "01"), ("404", "08"), ("404", "11"), ("404", "16"),
]  # fmt: skip
MAYBE = [
    ("202", "00"), ("409", "00"), ("409", "01"), ("500", "00"), ("500", "01"), ("500", "02"), ("504", "00"),
]  # fmt: skip
UNKNOWN = [("403", "77"), ("404", "77"), ("400", "99"), ("405", "00"), ("200", "07"), ("302", "00")]


def meets(there: Counterpart, gateway: SnapGateway, verb: Verb, status: int, body: Any) -> ProviderError:
    """The error of a verb that is answered like this; one call each, as none of them may be made again."""
    before = len(there.business)
    there.says(status, body)
    with pytest.raises(ProviderError) as error:
        verb(gateway)
    assert len(there.business) == before + 1
    return error.value


@pytest.mark.parametrize("name", MONEY_VERBS)
@pytest.mark.parametrize("always_200", [False, True])
def test_the_table_of_codes_where_money_moves(
    there: Counterpart, dana: Ovo, name: str, always_200: bool
) -> None:
    service, verb = MONEY_VERBS[name]

    def met(status: str, case: str) -> ProviderError:
        answer = {"responseCode": f"{status}{service}{case}", "responseMessage": "told"}
        return meets(there, dana, verb, 200 if always_200 else int(status), answer)

    for status, case in FINAL:
        if name == "cancel" and (status, case) in {("403", "15"), ("404", "01")}:
            continue  # these tell what the charge is; see below
        error = met(status, case)
        is_short = (name, status, case) == ("refund", "403", "14")  # the merchant's balance: it can be filled
        assert type(error) is (NotNow if is_short else Rejected), (status, case)
        assert error.code == f"{status}{service}{case}"
        assert "known" not in error.reason
    for status, case in MAYBE + UNKNOWN:
        assert type(met(status, case)) is Ambiguous, (status, case)
    for case in ("00", "02", "03", "04"):
        assert type(met("401", case)) is AuthFailed, case


def test_each_refusal_has_words_of_its_own(there: Counterpart, dana: Ovo) -> None:
    said = set()
    for name, (service, verb) in MONEY_VERBS.items():
        for status, case in FINAL:
            if name != "cancel":
                code = f"{status}{service}{case}"
                said.add(meets(there, dana, verb, int(status), {"responseCode": code}).reason)
    assert len(said) == len(FINAL) + 4  # four of them mean something else of a refund


@pytest.mark.parametrize("name", MONEY_VERBS)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, LOST), (200, BROKEN), (200, b"<html>"), (200, b""), (200, {}), (200, []), (200, b"\xff\xfe"),
        (200, {"responseCode": 2005400}), (200, {"responseCode": "Successful"}), (404, b"<html>"),
        (404, {"detail": "Not Found"}), (403, b"denied"), (302, b""), (502, b"<html>"), (500, {}),
        (503, {"responseCode": "2005400"}), (500, {"responseCode": "4035414"}), (403, {"responseCode":
        "2005400"}), (200, b"[" * 100_000),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_clear_word_may_have_moved_money(
    there: Counterpart, dana: Ovo, name: str, status: int, body: Any
) -> None:
    assert type(meets(there, dana, MONEY_VERBS[name][1], status, body)) is Ambiguous


@pytest.mark.parametrize("name", MONEY_VERBS)
def test_a_refused_key_is_one_in_any_form(there: Counterpart, dana: Ovo, name: str) -> None:
    assert type(meets(there, dana, MONEY_VERBS[name][1], 401, b"Unauthorized")) is AuthFailed


@pytest.mark.parametrize("name", MONEY_VERBS)
def test_a_rate_limit_says_when_to_come_again(there: Counterpart, dana: Ovo, name: str) -> None:
    there.says(429, {"responseCode": "4295400"}, Retry_After="17")
    with pytest.raises(RateLimited) as error:
        MONEY_VERBS[name][1](dana)
    assert error.value.retry_after == 17
    there.says(200, {"responseCode": "4295400"}, Retry_After="9" * 400)
    with pytest.raises(RateLimited) as error:
        MONEY_VERBS[name][1](dana)
    assert error.value.retry_after == 3600


@pytest.mark.parametrize("name", MONEY_VERBS)
def test_a_call_that_never_got_through_did_not_happen(name: str) -> None:
    gateway = Ovo(snap("dana", "http://127.0.0.1:9", connect_timeout=0.2))
    with pytest.raises(Transient) as error:
        MONEY_VERBS[name][1](gateway)
    assert type(error.value) is Transient


@pytest.mark.parametrize("name", MONEY_VERBS)
def test_an_address_that_is_not_set_is_named(name: str) -> None:
    with pytest.raises(Transient, match="JEMBATAN_OVO__BASE_URL"):
        MONEY_VERBS[name][1](Ovo(snap("dana", "")))


def test_an_answer_in_drops_that_each_come_in_time_is_not_waited_for() -> None:
    class Dripping(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(200)
            self.end_headers()
            for _ in range(50):
                try:
                    self.wfile.write(b" ")
                except OSError:
                    return
                threading.Event().wait(0.1)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Dripping)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gateway = Ovo(snap("dana", f"http://127.0.0.1:{server.server_port}", read_timeout=0.3))
    with pytest.raises(Ambiguous, match="in time"):
        gateway.create_charge(order())
    server.shutdown()


def test_an_endless_answer_is_broken_off(there: Counterpart, dana: Ovo) -> None:
    error = meets(
        there, dana, MONEY_VERBS["create"][1], 200, {"responseCode": "2005400", "x": " " * 5 * 1024**2}
    )
    assert type(error) is Ambiguous


def test_an_answer_that_cannot_be_unpacked_may_have_moved_money(there: Counterpart, dana: Ovo) -> None:
    there.says(200, b"no gzip", Content_Encoding="gzip")
    with pytest.raises(Ambiguous):
        dana.create_charge(order())


def test_an_error_prints_no_secret_and_no_body(there: Counterpart, doku: Ovo) -> None:
    there.says(200, {"responseCode": "4035414", "responseMessage": "Siti Rahma is poor"})
    with pytest.raises(Rejected) as error:
        doku.create_charge(order())
    assert str(error.value) == "ovo create: says that the balance is too low (code 4035414)"
