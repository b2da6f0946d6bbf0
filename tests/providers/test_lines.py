"""A call over a kept connection: what comes back is whole, what is not is said, and nothing is mixed up."""

import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from common.services import Service
from providers import http, lines

OK = b"HTTP/1.1 200 OK\r\n"
YES = OK + b"Content-Length: 2\r\n\r\n{}"


class There:
    """A server that gives prepared answers, one a call; what it was sent, and over how many connections."""

    def __init__(self, answers: list[bytes], *, hangs_up: bool) -> None:
        self.calls: list[bytes] = []
        self.connections = 0
        self._answers = iter(answers)
        self._hangs_up = hangs_up
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                threading.Thread(target=self._answer, args=[connection], daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while (asked := connection.recv(65536)) and (said := next(self._answers, None)) is not None:
                self.calls.append(asked)
                connection.sendall(said)
                if self._hangs_up:
                    return


@pytest.fixture
def there() -> Iterator[Callable[..., There]]:
    opened: list[There] = []

    def listens(*answers: bytes, hangs_up: bool = False) -> There:
        opened.append(There(list(answers), hangs_up=hangs_up))
        return opened[-1]

    yield listens
    for one in opened:
        one.close()


@contextmanager
def calling(there: There) -> Iterator[Callable[..., httpx.Response]]:
    with http.client(Service(read_timeout=2)) as client:
        yield lambda path="/", **more: http.call(
            client, "POST", there.base + path, **({"headers": {}, "content": b"{}"} | more)
        )


def test_one_call_after_the_other_takes_the_same_connection(there: Callable[..., There]) -> None:
    other = there(YES, YES, YES)
    with calling(other) as call:
        assert [call().json() for _ in range(3)] == [{}, {}, {}]
    assert other.connections == 1


def test_a_connection_that_was_hung_up_meanwhile_is_not_used(there: Callable[..., There]) -> None:
    other = there(YES, YES, hangs_up=True)
    with calling(other) as call:
        call()
        time.sleep(lines.TRUSTED_SECONDS + 0.1)
        assert call().json() == {}
    assert other.connections == 2


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n", b"[1,2]"),
        (b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + YES, b"{}"),
        (OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s", b"packed"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
    ids=["in chunks", "announced", "packed", "empty"],
)
def test_an_answer_comes_whole_in_whatever_form(
    there: Callable[..., There], answer: bytes, body: bytes
) -> None:
    if b"%d" in answer:
        packed = gzip.compress(body)
        answer = answer % (len(packed), packed)
    other = there(answer, YES)
    with calling(other) as call:
        assert call().content == body
        assert call().json() == {}
    assert other.connections == 1


def test_an_answer_that_ends_with_its_connection_is_whole(there: Callable[..., There]) -> None:
    with calling(there(OK + b"\r\n[1]", hangs_up=True)) as call:
        assert call().json() == [1]


@pytest.mark.parametrize(
    "answer",
    [b"", OK, OK + b"Content-Length: 5\r\n\r\n[1]", b"<html>Bad gateway</html>"],
    ids=["nothing", "a head", "a part of its body", "no HTTP"],
)
def test_an_answer_that_breaks_off_is_none_and_the_call_may_have_happened(
    there: Callable[..., There], answer: bytes
) -> None:
    with calling(there(answer, hangs_up=True)) as call, pytest.raises(httpx.TransportError) as broken:
        call()
    assert not isinstance(broken.value, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout))


def test_what_was_said_without_being_asked_answers_no_later_call(there: Callable[..., There]) -> None:
    other = there(YES + OK + b"Content-Length: 7\r\n\r\n[false]", YES)
    with calling(other) as call:
        assert call().json() == {}
        assert call().json() == {}
    assert other.connections == 2


@pytest.mark.parametrize("is_packed", [False, True])
def test_an_endless_answer_is_given_up(there: Callable[..., There], is_packed: bool) -> None:
    body = b" " * (lines.LONGEST_ANSWER + 1_000_000)
    packed = gzip.compress(body) if is_packed else body
    head = b"Content-Encoding: gzip\r\n" if is_packed else b""
    answer = OK + head + b"Content-Length: %d\r\n\r\n" % len(packed) + packed
    with calling(there(answer)) as call, pytest.raises(httpx.ReadError):
        call()


def test_nothing_that_is_sent_becomes_a_header_or_a_call_of_its_own(there: Callable[..., There]) -> None:
    other = there(YES)
    with calling(other) as call:
        for text in ("x\r\nX-Other: y", "x\ny", "x\0"):
            with pytest.raises(httpx.LocalProtocolError):
                call(headers={"X-Mine": text})
        with pytest.raises(httpx.InvalidURL):
            call(path="/a\r\nX-Other: y")
        assert other.calls == []
        call(path="/a b?q=\u00e9#part")
    assert other.calls[0].startswith(b"POST /a%20b?q=%C3%A9 HTTP/1.1\r\nHost: 127.0.0.1:")


def test_where_nobody_listens_the_call_surely_did_not_happen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        base = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with http.client(Service()) as client, pytest.raises(httpx.ConnectError):
        http.call(client, "POST", base, headers={}, content=b"{}")


def test_an_address_without_a_host_is_none() -> None:
    with http.client(Service()) as client, pytest.raises(httpx.UnsupportedProtocol):
        http.call(client, "POST", "/v2/charge", headers={}, content=b"{}")


def test_a_proxy_of_the_environment_stands_in_between(
    there: Callable[..., There], monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = there(YES)
    monkeypatch.setenv("HTTP_PROXY", proxy.base)
    with http.client(Service(read_timeout=2)) as client:
        answer = http.call(client, "POST", "http://gateway.example/charge", headers={}, content=b"{}")
    assert answer.json() == json.loads("{}")
    assert proxy.calls[0].startswith(b"POST http://gateway.example/charge HTTP/1.1\r\n")
