"""A call ends in time however slowly its answer drips, and its time binds nothing that comes after it; it
leaves in one piece."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from common.services import Service
from providers import http

OK = b"HTTP/1.1 200 OK\r\n"


@contextmanager
def dripping(begins: bytes, letters: int = 400) -> Iterator[tuple[str, threading.Event]]:
    """A server that says the beginning of an answer and then so many letters, 20 a second, so that none is
    ever late. Its address, and whether it has said them all."""
    is_done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(begins)
                    for _ in range(letters):
                        connection.sendall(b"x")
                        threading.Event().wait(0.05)
                    is_done.set()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/", is_done


@pytest.mark.parametrize(
    "begins",
    [b"", OK + b"X-Slow: ", OK + b"Content-Length: 400\r\n\r\n", OK + b"\r\n"],
    ids=["before its status", "in a header", "in its body", "in a body without an end"],
)
def test_an_answer_that_drips_is_not_waited_for(begins: bytes) -> None:
    with dripping(begins) as (url, is_done), http.client(Service(read_timeout=0.2)) as client:
        with pytest.raises(httpx.ReadTimeout):
            http.call(client, "GET", url, headers={})
        assert not is_done.is_set()


def test_a_long_download_is_not_cut_by_the_time_of_the_call_before_it() -> None:
    with http.client(Service(read_timeout=0.2)) as client:
        with dripping(OK + b"X-Slow: ") as (url, _), pytest.raises(httpx.ReadTimeout):
            http.call(client, "GET", url, headers={})
        with dripping(OK + b"\r\n", letters=20) as (url, is_done):
            with client.stream("GET", url) as response:
                assert response.read() == b"x" * 20
            assert is_done.wait(60)


@pytest.mark.parametrize("length", [600, 300_000], ids=["short", "longer than one piece"])
def test_a_call_leaves_in_one_piece_and_arrives_whole(length: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        pieces: list[bytes] = []

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                while sum(map(len, pieces)) < length:
                    pieces.append(connection.recv(1_000_000))
                connection.sendall(OK + b"Content-Length: 2\r\n\r\n{}")

        threading.Thread(target=serve, daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        with http.client(Service()) as client:
            answer = http.call(client, "POST", url, headers={}, content=b"x" * length, auth=("key", ""))
    head, _, body = b"".join(pieces).partition(b"\r\n\r\n")
    assert answer.json() == {}
    assert body == b"x" * length
    assert b"Authorization: Basic a2V5Og==" in head
    assert len(pieces) == 1 or length > 64 * 1024
