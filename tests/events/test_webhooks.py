"""One attempt at an endpoint: signed, checked where it connects, bounded in time and memory."""

import ipaddress
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from events_world import Platform
from standardwebhooks import Webhook, WebhookVerificationError

from common import clock
from common.errors import BadInput
from common.settings import settings
from providers import webhooks
from providers.webhooks import Answer, Sender, checked_url, is_allowed, signed

NEW, OLD = "whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3", "whsec_b2xkb2xkb2xkb2xkb2xkb2xkb2xkb2xk"
CONTENT = '{"type":"payment.paid","timestamp":"2026-11-25T07:30:00Z","data":{"reference":"é-1"}}'
INTERNAL = "has a name that leads to an internal address"


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings of production."""
    monkeypatch.setenv("JEMBATAN_ENV", "production")
    settings.cache_clear()
    yield
    settings.cache_clear()


def send(url: str, secrets: list[str] | None = None, **named: Any) -> Answer:
    with Sender(**named) as sender:
        return sender.send(url, [NEW] if secrets is None else secrets, "evt_1", CONTENT)


class Names:
    """A resolver: the addresses of each look-up in turn, the last of them for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses]


def unresolvable(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@contextmanager
def speaking(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that reads the request's beginning and then says what it likes, byte by byte."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    with connection, suppress(OSError):
                        connection.recv(65536)
                        answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
        listening.shutdown(socket.SHUT_RDWR)


def dripping(begins: bytes, drips: bytes) -> Callable[[socket.socket], None]:
    """Says the beginning, and then for some seconds a little now and then, so that no read is ever late."""

    def speak(connection: socket.socket) -> None:
        connection.sendall(begins)
        for _ in range(100):
            connection.sendall(drips)
            time.sleep(0.05)

    return speak


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://platform.example/events", "https://platform.example/events"),
        ("https://platform.example", "https://platform.example"),
        ("https://Platform.Example:8443/a?b=c", "https://platform.example:8443/a?b=c"),
        ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        ("https://@platform.example/", "https://platform.example/"),
    ],
)
def test_an_address_with_a_public_name_is_taken(production: None, url: str, kept: str) -> None:
    assert checked_url(url) == kept


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://platform.example/", "begins with https://"),
        ("ftp://platform.example/", "begins with https://"),
        ("platform.example/events", "begins with https://"),
        ("//platform.example/events", "begins with https://"),
        ("file:///etc/passwd", "begins with https://"),
        ("", "begins with https://"),
        ("https://", "needs a public host name"),
        ("https:///events", "needs a public host name"),
        ("https://?a=b", "needs a public host name"),
        ("https://localhost/", "needs a public host name"),
        ("https://database/", "needs a public host name"),
        ("https://127.0.0.1/", "needs a public host name"),
        ("https://8.8.8.8/", "needs a public host name"),
        ("https://[::1]/", "needs a public host name"),
        ("https://[2606:4700::1]/", "needs a public host name"),
        ("https://2130706433/", "needs a public host name"),
        ("https://0x7f000001/", "needs a public host name"),
        ("https://0x7f.1/", "needs a public host name"),
        ("https://127.1/", "needs a public host name"),
        ("https://0177.0.0.1/", "no address|needs a public host name"),
        ("https://platform.example./", "needs a public host name"),
        ("https://plat form.example/", "no address|needs a public host name"),
        ("https://plat_form..example/", "no address|needs a public host name"),
        (f"https://{'a' * 64}.example/", "needs a public host name"),
        (f"https://{'a.' * 130}example/", "needs a public host name"),
        ("https://user@platform.example/", "no user and password"),
        ("https://user:secret@platform.example/", "no user and password"),
        ("https://platform.example/#part", "no fragment"),
        ("https://platform.example/#", "no fragment"),
        ("https://platform.example:65536/", "from 1 to 65535"),
        ("https://platform.example:0/", "from 1 to 65535"),
        ("https://platform.example:port/", "no address"),
        ("https://platform.example/a\nb", "no address"),
        ("https://platform.example/\x00", "no address"),
        ("https://[::1", "no address"),
        ("https://platform.example/" + "a" * 2048, "at most 2,048"),
    ],
)
def test_an_address_that_can_be_no_endpoint_is_refused_in_one_sentence(
    production: None, url: str, why: str
) -> None:
    with pytest.raises(BadInput, match=why) as refused:
        checked_url(url)
    assert "secret" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/", "http://localhost:8080/", "https://[::1]/", "http://platform.example/"]
)
def test_the_sandbox_takes_plain_http_and_this_machine(database: str, url: str) -> None:
    assert checked_url(url) == url


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "http://8.8.8.8/", "http://169.254.169.254/", "http://0/"]
)
def test_the_sandbox_takes_no_other_address_as_a_host(database: str, url: str) -> None:
    with pytest.raises(BadInput, match="needs a public host name"):
        checked_url(url)


OPEN = ["1.1.1.1", "8.8.8.8", "192.0.1.1", "198.20.0.1", "2606:4700:4700::1111", "2620:4f:8000::1", "2a00::1"]
CLOSED = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.2"),
    *("169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.9", "192.0.0.192"),
    *("192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.7", "203.0.113.5"),
    *("168.63.129.16", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8"),
    *("64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:20::1"),
    *("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "2002:7f00:1::1", "2002:808:808::1"),
    *("3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0"),
    *("fec0::1", "ff02::1"),
]


@pytest.mark.parametrize("address", OPEN)
def test_an_event_may_go_to_the_open_internet(production: None, address: str) -> None:
    assert is_allowed(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", [*CLOSED, "127.0.0.1", "::1"])
def test_an_event_never_goes_to_an_internal_address(production: None, address: str) -> None:
    assert not is_allowed(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", [one for one in CLOSED if one != "127.0.0.2"])
def test_the_sandbox_allows_this_machine_and_nothing_else_inside(database: str, address: str) -> None:
    assert is_allowed(ipaddress.ip_address("127.0.0.1"))
    assert is_allowed(ipaddress.ip_address("::1"))
    assert not is_allowed(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "addresses", [["10.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["169.254.169.254", "127.0.0.1"]]
)
def test_a_name_with_one_internal_address_is_not_connected_to_at_all(
    database: str, platform: Platform, addresses: list[str]
) -> None:
    names = Names(addresses)
    answer = send(f"http://hooks.example:{platform.port}/", resolve=names)
    assert answer == Answer("down", INTERNAL)
    assert names.asked == ["hooks.example"]
    assert platform.received == []


def test_in_production_a_name_of_this_machine_is_not_connected_to(
    production: None, platform: Platform
) -> None:
    answer = send(f"https://hooks.example:{platform.port}/", resolve=Names(["127.0.0.1"]))
    assert answer == Answer("down", INTERNAL)


def test_the_system_s_own_resolver_is_checked_as_well(production: None) -> None:
    found = socket.getaddrinfo("localhost", 443, type=socket.SOCK_STREAM)
    answer = send("https://platform.example/", resolve=lambda *_, **__: found)
    assert answer == Answer("down", INTERNAL)


def test_a_name_is_resolved_once_and_the_checked_address_is_the_one_connected_to(
    database: str, platform: Platform
) -> None:
    """Rebinding: the second answer of the name server would lead inside."""
    names = Names(["127.0.0.1"], ["10.0.0.1"])
    assert send(f"http://hooks.example:{platform.port}/", resolve=names).outcome == "delivered"
    assert names.asked == ["hooks.example"]
    assert send(f"http://hooks.example:{platform.port}/", resolve=names) == Answer("down", INTERNAL)
    assert len(platform.received) == 1
    assert platform.received[0].headers["Host"] == f"hooks.example:{platform.port}"


def test_the_next_address_of_a_name_is_tried_where_one_does_not_answer(
    database: str, platform: Platform
) -> None:
    names = Names(["127.0.0.99", "127.0.0.1"])  # the platform listens on the second only
    assert send(f"http://hooks.example:{platform.port}/", resolve=names).outcome == "delivered"


def test_a_redirect_is_not_followed(database: str, platform: Platform) -> None:
    with Platform() as inside:
        platform.reply = lambda _received: (302, {"Location": inside.url})
        assert send(platform.url) == Answer("refused", "answered with a redirect (302)")
        platform.reply = lambda _received: (307, {"Location": inside.url})
        assert send(platform.url) == Answer("refused", "answered with a redirect (307)")
        assert inside.received == []
        assert inside.forged == 0


def test_proxies_of_the_environment_are_not_used(
    database: str, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert send(platform.url).outcome == "delivered"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of hooks.example and its key, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "hooks.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def secure(platform: Platform, certificate: Path) -> ssl.SSLContext:
    """The platform speaks TLS as hooks.example; whom one has to trust for that."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(certificate)
    platform.wrap(serving)
    return ssl.create_default_context(cafile=certificate)


def test_the_certificate_is_held_against_the_name_though_an_address_is_connected_to(
    database: str, platform: Platform, secure: ssl.SSLContext
) -> None:
    names = Names(["127.0.0.1"])
    fine = send(f"https://hooks.example:{platform.port}/", resolve=names, tls=secure)
    assert fine.outcome == "delivered"
    other = send(f"https://other.example:{platform.port}/", resolve=names, tls=secure)
    assert other == Answer("down", "shows no valid certificate")
    untrusted = send(f"https://hooks.example:{platform.port}/", resolve=names)
    assert untrusted == Answer("down", "shows no valid certificate")
    assert len(platform.received) == 1


def test_an_endpoint_without_tls_under_https_is_told_apart(database: str, platform: Platform) -> None:
    answer = send(f"https://localhost:{platform.port}/")
    assert answer == Answer("down", "does not speak TLS as it should")


def test_an_attempt_verifies_with_the_new_secret_and_with_the_one_before(
    database: str, platform: Platform
) -> None:
    assert send(platform.url, [NEW, OLD]).outcome == "delivered"
    (one,) = platform.received
    for secret in (NEW, OLD):
        assert Webhook(secret).verify(one.body, one.headers)["type"] == "payment.paid"
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_c29tZWJvZHkgZWxzZSdzIHNlY3JldA==").verify(one.body, one.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(NEW).verify(one.body.replace(b"paid", b"void"), one.headers)
    assert one.body == CONTENT.encode()
    assert one.headers["content-type"] == "application/json"
    assert one.id == "evt_1"


def test_the_headers_are_those_of_the_specification() -> None:
    """The example of https://www.standardwebhooks.com's libraries."""
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signed(
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        at,
        '{"test": 2432232314}',
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


@pytest.mark.parametrize("secrets", [[], ["whsec_"], ["whsec_é"], ["whsec_a"], [NEW, ""]])
def test_without_a_usable_secret_nothing_is_sent(
    database: str, platform: Platform, secrets: list[str]
) -> None:
    answer = send(platform.url, secrets)
    assert answer == Answer("down", "has an address or a signing secret that is not usable: set it anew")
    assert platform.received == []


def test_an_address_that_came_into_the_database_by_another_way_is_checked_too(production: None) -> None:
    answer = send("http://127.0.0.1/")
    assert answer == Answer("down", "has an address or a signing secret that is not usable: set it anew")


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_every_success_is_delivered(database: str, platform: Platform, status: int) -> None:
    platform.reply = lambda _received: status
    assert send(platform.url) == Answer("delivered")


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (400, "refused"),
        (401, "refused"),
        (404, "refused"),
        (410, "gone"),
        (429, "down"),
        (500, "refused"),
        (502, "down"),
        (503, "down"),
        (504, "down"),
    ],
)
def test_every_other_status_is_a_failure_of_its_kind(
    database: str, platform: Platform, status: int, outcome: str
) -> None:
    platform.reply = lambda _received: status
    answer = send(platform.url)
    assert (answer.outcome, answer.problem) == (outcome, "gone" if status == 410 else f"answered {status}")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("0", 0.0),
        ("-5", 0.0),
        ("1.5", 0.0),
        ("soon", 0.0),
        ("", 0.0),
        ("9" * 5000, 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 99 Oct 2015 07:28:00 GMT", 0.0),
        ("²", 0.0),
    ],
)
def test_retry_after_is_read_and_what_is_none_is_not(
    database: str, platform: Platform, text: str, seconds: float
) -> None:
    platform.reply = lambda _received: (503, {"Retry-After": text})
    assert send(platform.url) == Answer("down", "answered 503", seconds)


def test_retry_after_may_be_a_date(database: str, platform: Platform) -> None:
    in_an_hour = format_datetime(clock.now() + timedelta(hours=1), usegmt=True)
    platform.reply = lambda _received: (429, {"Retry-After": in_an_hour})
    assert 3000 < send(platform.url).retry_after <= 3600


def test_a_huge_answer_is_not_read(database: str) -> None:
    written = 0

    def flood(connection: socket.socket) -> None:
        nonlocal written
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)
            written += 65536

    with speaking(flood) as url:
        assert send(url) == Answer("delivered")
    assert written < 32 * 1024**2  # what the kernel's buffers took before the connection was closed


def test_endless_headers_are_not_read(database: str) -> None:
    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(b"x-more: " + b"x" * 4096 + b"\r\n")

    with speaking(flood) as url:
        assert send(url) == Answer("down", "broke off its answer")


def test_early_answers_without_end_are_not_read(database: str) -> None:
    """Each is small, and reading past them would take the processor until the time is over."""
    written = 0

    def flood(connection: socket.socket) -> None:
        nonlocal written
        while True:
            connection.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 400)
            written += 1

    with speaking(flood) as url:
        assert send(url) == Answer("down", "broke off its answer")
    assert written * 11_200 < 32 * 1024**2  # what the kernel's buffers took


def test_early_answers_over_tls_are_counted_too_and_each_answer_by_itself(
    database: str, platform: Platform, secure: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MOST_HEARD", 300)
    url = f"https://hooks.example:{platform.port}/"
    with Sender(resolve=Names(["127.0.0.1"]), tls=secure) as sender:
        for _ in range(5):
            assert sender.send(url, [NEW], "evt_1", CONTENT) == Answer("delivered")
        platform.reply = lambda _received: (200, {"X-Long": "x" * 300})
        assert sender.send(url, [NEW], "evt_1", CONTENT) == Answer("down", "broke off its answer")


@pytest.mark.parametrize(
    ("begins", "drips"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\nx-slow: ", b"x"),
        (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
    ],
)
def test_an_answer_that_drips_is_cut_off(
    database: str, monkeypatch: pytest.MonkeyPatch, begins: bytes, drips: bytes
) -> None:
    monkeypatch.setattr(webhooks, "TOTAL_SECONDS", 0.5)
    with speaking(dripping(begins, drips)) as url:
        assert send(url) == Answer("down", "gave no answer in time")


def test_an_answer_whose_body_drips_counts_by_its_status(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "TOTAL_SECONDS", 0.5)
    with speaking(dripping(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n", b"x")) as url:
        assert send(url) == Answer("delivered")


def test_an_endpoint_that_never_answers_is_left(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(webhooks._TIMEOUTS, "read", 0.2)
    with speaking(lambda connection: time.sleep(60)) as url:
        assert send(url) == Answer("down", "gave no answer in time")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200", b"SSH-2.0-OpenSSH_9.6\r\n", b"\x00\xff" * 50])
def test_an_answer_that_is_none_is_told(database: str, said: bytes) -> None:
    with speaking(lambda connection: connection.sendall(said)) as url:
        assert send(url) == Answer("down", "broke off its answer")


def test_an_endpoint_that_nobody_listens_at_is_told(database: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
        assert send(url) == Answer("down", "cannot be reached")


def test_a_name_that_is_not_found_is_told(database: str) -> None:
    answer = send("http://hooks.example/", resolve=unresolvable)
    assert answer == Answer("down", "has a name that is not found")


def test_many_events_go_over_one_connection(database: str, platform: Platform) -> None:
    names = Names(["127.0.0.1"])
    with Sender(resolve=names) as sender:
        for number in range(5):
            url = f"http://hooks.example:{platform.port}/"
            assert sender.send(url, [NEW], f"evt_{number}", CONTENT).outcome == "delivered"
    assert [one.id for one in platform.received] == [f"evt_{number}" for number in range(5)]
    assert names.asked == ["hooks.example"]


def test_neither_address_nor_secret_nor_content_is_logged(
    database: str, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    platform.reply = lambda _received: 500
    send(platform.url)
    send("http://hooks.example/events?token=not-for-logs", resolve=unresolvable)
    said = caplog.text
    assert "receive_response_headers" in said, "httpcore speaks at this level"
    for private in ("not-for-logs", NEW, NEW.removeprefix("whsec_"), "é-1"):
        assert private not in said
