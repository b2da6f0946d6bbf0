"""The description is true: schemathesis sends what it allows and what it forbids, over real HTTP, to the
whole API with the sandbox behind it. What it cannot send stands at the end.

All of its checks are on: no 5xx; status, media type, headers and body of each answer as described; methods
that are not there refused; invalid data refused and valid data accepted, with a key and not without; and,
where requests follow each other, that what was made is there. Thirty cases for each operation with every run
of the tests, a thousand among the slow ones (fewer only where an operation takes no input at all).
"""

import contextlib
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
import schemathesis
from api_world import every_class
from schemathesis import Case, CheckContext, Response
from schemathesis.engine.events import EngineFinished, FatalError, NonFatalError
from till import Served, Till, free_port, order

from api.app import app
from api.callback_docs import MESSAGES
from api.problem_kinds import MEDIA_TYPE, TYPE
from common.settings import GATEWAYS, settings
from jembatan.stack import Stack
from providers.signatures import midtrans_notification
from records import client as clients
from records import db, process
from records.db import unit_of_work

PAYMENTS, PROCESSES, CREATE = "/api/v1/payments", "/api/v1/processes", "/api/v1/payments/create"
FEW, MANY = 30, 1_000
ACCEPTED = ["2xx", "401", "403", "404", "409"]
# Why an order that is well-formed may not be taken: the limits of a wallet are settings and no part of the
# description, and a reference can be known already.
OF_THE_ORDER = {
    "amount-outside-limits", "expiry-outside-limits", "phone-required", "linking-required",
    "reference-reused", "idempotency-key-reused",
}  # fmt: skip
# Of these nothing that is well-formed may be refused, but for a key that another request has used: of a
# thousand drawn keys some come twice.
ONLY_THE_KEY = (
    "verify_payment", "cancel_payment", "register_program", "decide_program", "verify_credential",
    "revoke_credential", "suspend_credential", "restore_credential", "show_credential_name",
    "find_person",
)  # fmt: skip


def config(cases: int, **more: Any) -> schemathesis.Config:
    return schemathesis.Config.from_dict(
        {
            # The few are the same each time: there a failure comes of the change and not of the day.
            "generation": {
                "max-examples": cases,
                "deterministic": cases != MANY,
                "with-security-parameters": False,  # the check `ignored_auth` tries wrong keys; we send ours
            },
            "operations": [
                {
                    "include-operation-id": "create_payment",
                    "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "422"]}},
                },
                *(  # nor what is left of a payment, what a key was used for, what a sheet holds
                    {
                        "include-operation-id": operation,
                        "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "422"]}},
                    }
                    for operation in (
                        "create_refund",
                        "create_credential",
                        "export_credentials",
                        "generate_european_credential",
                        "disconnect_linkedin",
                        "add_certification",
                        "approve",
                        "refuse",
                        "upload_exceptions_sheet",
                        "resolve_exception",
                        "report_completion",
                        "report_completion_sheet",
                        "settle_completion_report",
                        "reveal_person",
                        "export_person",
                        "erase_person",
                        "breach_report",
                        "tell_enrolments",
                        "tell_enrolments_sheet",
                        "explain_finding",
                        *ONLY_THE_KEY,
                    )
                ),
                {  # that a message is signed and of one gateway's form is beyond the description
                    "include-tag": "callbacks",
                    "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "400"]}},
                },
            ],
        }
        | more
    )


# Copies, as schemathesis writes links of its own into what it is given.
FEW_CASES = schemathesis.openapi.from_dict(deepcopy(app.openapi()), config=config(FEW))
MANY_CASES = schemathesis.openapi.from_dict(deepcopy(app.openapi()), config=config(MANY))


@dataclass
class World:
    """The API at work, a key that may do everything, and things that are there."""

    url: str
    key: dict[str, str]
    there: dict[str, list[str]]  # by the name of the parameter that names them
    signed: dict[str, dict[str, Any]]  # by gateway, a message of its own

    def try_out(self, case: Case) -> None:
        """Send a case and look at its answer."""
        if case.meta is not None and case.meta.generation.mode.is_positive:
            self._aim(case)
        case.call_and_validate(self.url, headers=self.key, additional_checks=[documented, for_a_reason])

    def _aim(self, case: Case) -> None:
        """Let valid requests mean something: half are about what is there, or can be taken."""
        for name, ids in self.there.items():
            given = (case.path_parameters or {}).get(name)
            if given is not None and (number := UUID(given).int) % 2:
                case.path_parameters[name] = ids[number // 2 % len(ids)]
        if not isinstance(case.body, dict):
            return
        if case.operation.path == PAYMENTS + "/callback/{gateway}":
            if case.path_parameters["gateway"] == "gopay":
                case.body |= {"signature_key": midtrans_signature(case.body)}
            elif case.path_parameters["gateway"] == "linkaja":
                # What LinkAja signs leaves the body out: the headers of one message fit any other.
                headers = self.signed["linkaja"]["headers"]
                signed = {name: headers[name] for name in ("X-TIMESTAMP", "X-SIGNATURE")}
                case.headers = {**(case.headers or {}), **signed}
        elif case.operation.path == CREATE and case.body["amount"] % 2:
            case.body |= {
                "return_url": "https://platform.example/",
                "amount": case.body["amount"] % 20_000_000,
            }


def midtrans_signature(body: dict[str, Any]) -> str:
    texts = [str(body.get(name, "")) for name in ("order_id", "status_code", "gross_amount")]
    return midtrans_notification(*texts, settings().gopay.server_key.get_secret_value())


def kind(response: Response) -> str | None:
    is_problem = response.headers.get("content-type") == [MEDIA_TYPE]
    return str(response.json()["type"]).removeprefix(TYPE) if is_problem else None


def documented(_: CheckContext, response: Response, case: Case) -> None:
    """A problem is one of those that the operation names."""
    found = kind(response)
    if found is None:
        return
    answer = case.operation.definition.raw["responses"].get(str(response.status_code))
    if answer is not None:  # else the status itself is not documented, which is another check's to say
        assert found in answer["content"][MEDIA_TYPE]["examples"], f"{found} is not documented"


def for_a_reason(_: CheckContext, response: Response, case: Case) -> None:
    """What is well-formed is refused for what is said above and nothing else."""
    is_positive = case.meta is not None and case.meta.generation.mode.is_positive
    if not is_positive or response.status_code != 422:
        return
    if case.operation.definition.raw["operationId"] in ONLY_THE_KEY:
        assert kind(response) == "idempotency-key-reused"
    if case.operation.path != CREATE:
        return
    if kind(response) == "invalid-request":
        # An address has more rules than a pattern can say. 150000.0 is a whole number to a schema; we take no
        # money that was a float on its way.
        floats = {f"body.{name}" for name, value in case.body.items() if isinstance(value, float)}
        assert {one["where"] for one in response.json()["errors"]} <= {"body.return_url"} | floats
    else:
        assert kind(response) in OF_THE_ORDER


@pytest.fixture(scope="module")
def world(
    parts: Stack,
    fresh_database: Callable[[], AbstractContextManager[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    port = free_port()
    with fresh_database() as database, pytest.MonkeyPatch.context() as patch:
        patch.setenv("JEMBATAN_DATABASE_URL", database)
        patch.setenv("JEMBATAN_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("JEMBATAN_PUBLIC_URL", f"http://127.0.0.1:{port}")
        patch.setenv("JEMBATAN_PREFECT_API_URL", "http://127.0.0.1:9/api")  # nothing of this is to be run
        settings.cache_clear()
        with unit_of_work() as session:
            _, key = clients.create(session, "platform", ["*"], rate_per_minute=1_000_000)
            asked = {"gateway": "ovo", "business_date": "2026-11-24"}
            run, _ = process.request(session, "reconcile-payments", "ovo/2026-11-24", asked)
            process.finish(
                session, run.id, "failed", error={"type": "not-reachable", "message": "No report."}
            )
        statement = every_class(tmp_path_factory.mktemp("day"))
        headers = {"Authorization": f"Bearer {key.text}"}
        with (
            Served(app, port),
            httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60) as http,
            httpx.Client(base_url=str(parts.sandbox_url), timeout=60) as sandbox,
        ):
            till = Till(http, sandbox)
            made = {gateway: till.create(gateway) for gateway in GATEWAYS}
            paid = {gateway: till.create(gateway) for gateway in GATEWAYS}
            for one in paid.values():
                till.act(one, "pay", notify=False)
            yield World(
                url=str(http.base_url),
                key=headers,
                there={
                    "payment_id": [one["payment_id"] for one in (*made.values(), *paid.values())],
                    "process_id": [str(run.id)],
                    "run_id": [str(statement)],
                },
                signed={gateway: till.signed(one) for gateway, one in paid.items()},
            )
        db.engine(database).dispose()
    settings.cache_clear()


@FEW_CASES.parametrize()
def test_the_api_does_what_it_says(case: Case, world: World) -> None:
    world.try_out(case)


@pytest.mark.slow
@MANY_CASES.parametrize()
def test_the_api_does_what_it_says_a_thousand_times(case: Case, world: World) -> None:
    world.try_out(case)


def test_what_was_made_is_there(world: World) -> None:
    follow(world, FEW // 3)


@pytest.mark.slow
def test_what_was_made_is_there_a_thousand_times(world: World) -> None:
    follow(world, MANY)


def follow(world: World, cases: int) -> None:
    """Let requests follow each other: what one answer names is what the next one is about."""
    others = {phase: {"enabled": False} for phase in ("examples", "coverage", "fuzzing")}
    described = schemathesis.openapi.from_dict(
        deepcopy(app.openapi()),
        config=config(cases, phases=others, headers=world.key, **{"base-url": world.url}),
    )
    *before, end = schemathesis.engine.from_schema(described).execute()
    assert isinstance(end, EngineFinished)
    assert not end.failures
    assert not [one for one in before if isinstance(one, NonFatalError | FatalError)]


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_examples_of_messages_have_the_members_that_are_sent(world: World, gateway: str) -> None:
    sent = json.loads(world.signed[gateway]["body"])
    assert sent.keys() == MESSAGES[gateway].keys()
    assert {type(sent[name]) for name in sent} == {type(one) for one in MESSAGES[gateway].values()}


def test_a_used_key_is_named_as_the_header_that_it_is(world: World) -> None:
    with httpx.Client(base_url=world.url, headers=world.key | {"Idempotency-Key": "used"}) as asking:
        answers = [asking.post(CREATE, json=order()) for _ in range(2)]
    assert answers[1].json()["errors"][0]["where"] == "header.Idempotency-Key"


# What no well-behaved client can send. Each is answered in words, and none with a 5xx.

UUID_ = "019ab1c2-7f10-7c3e-9d55-0a4b6f1e2d3c"
JSON = b"Content-Type: application/json\r\n"


def said(world: World, head: bytes, body: bytes = b"", *, chunked: bool = False) -> tuple[int, str]:
    """Send bytes as they are; returns the status and the kind of problem, or what else came."""
    url = httpx.URL(world.url)
    key = b"" if b"uthorization" in head else f"Authorization: {world.key['Authorization']}\r\n".encode()
    if chunked:
        parts = [body[at : at + 50_000] for at in range(0, len(body), 50_000)]
        sent = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        length = b"Transfer-Encoding: chunked\r\n"
    else:
        sent, length = body, b"Content-Length: %d\r\n" % len(body)
    first, _, rest = head.partition(b"\r\n")
    message = first + b" HTTP/1.1\r\nHost: jembatan\r\n" + key + length + rest + b"\r\n" + sent
    with socket.create_connection((url.host, url.port or 80), timeout=60) as line:
        with contextlib.suppress(ConnectionError):  # refused before all of it was sent
            line.sendall(message)
        answer = http.client.HTTPResponse(line)
        answer.begin()
        text = answer.read().decode()
    if answer.headers["content-type"] != MEDIA_TYPE:
        return answer.status, text[:40]
    problem = json.loads(text)
    assert problem["status"] == answer.status
    return answer.status, problem["type"].removeprefix(TYPE)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (f"{PAYMENTS}?gateway=%00", (422, "invalid-request")),
        (f"{PAYMENTS}?status=paid%00", (422, "invalid-request")),
        (f"{PAYMENTS}?cursor=%00", (422, "invalid-cursor")),
        (f"{PAYMENTS}?cursor={'A' * 60_000}", (422, "invalid-cursor")),
        (f"{PAYMENTS}?cursor=AAAAAAAAAAAAAAAAAAAAA%C3%A9", (422, "invalid-cursor")),
        (f"{PAYMENTS}?cursor=AAAAAAAAAAAAAAAAAAAAAA!!!!", (422, "invalid-cursor")),
        (f"{PAYMENTS}?limit={'9' * 5_000}", (422, "invalid-request")),
        (f"{PAYMENTS}?limit=%D9%A1", (422, "invalid-request")),
        (f"{PAYMENTS}?limit=", (422, "invalid-request")),
        (f"{PAYMENTS}/%00", (404, "not-found")),
        (f"{PAYMENTS}/{UUID_}%00", (404, "not-found")),
        (f"{PAYMENTS}/{{{UUID_}}}", (404, "not-found")),
        (f"{PAYMENTS}/urn:uuid:{UUID_}", (404, "not-found")),
        (f"{PAYMENTS}/{UUID_.replace('-', '')}", (404, "not-found")),
        (f"{PAYMENTS}/{UUID_.upper()}", (404, "not-found")),
        (f"{PAYMENTS}/%ED%A0%80", (404, "not-found")),
        (f"{PROCESSES}?process=%00", (422, "invalid-request")),
        (f"{PROCESSES}?process=%ED%A0%80", (422, "invalid-request")),
        (f"{PROCESSES}?process=%C0%80", (422, "invalid-request")),
        (f"{PROCESSES}?process=%", (422, "invalid-request")),
        (f"{PROCESSES}?state=running&state=x", (422, "invalid-request")),
        (f"{PROCESSES}?flow_run_id=%00", (422, "invalid-request")),
        (f"{PROCESSES}/%00", (404, "not-found")),
        ("/reconciliations/%00.json", (404, "not-found")),
        (f"/reconciliations/{UUID_}/exceptions.csv%00", (404, "not-found")),
        ("/static/%00", (404, "not-found")),
        ("/static/..%2f..%2fapp.py", (404, "not-found")),
        ("/%00", (404, "not-found")),
        (CREATE, (405, "method-not-allowed")),
        ("/healthz%0A", (404, "not-found")),
        ("/reconciliations/%0A", (404, "not-found")),
        (f"{PAYMENTS}%0A", (404, "not-found")),
        (f"{PROCESSES}/{UUID_}%0D%0A", (404, "not-found")),
    ],
)
def test_an_odd_address_is_refused_in_words(world: World, target: str, expected: tuple[int, str]) -> None:
    assert said(world, f"GET {target}\r\n".encode()) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (422, "invalid-request")),
        (b"null", (422, "invalid-request")),
        (b"[]", (422, "invalid-request")),
        (b"{", (422, "invalid-request")),
        (b'{"reference": "\xff"}', (400, "bad-request")),
        (b'{"reference": "\\ud800"}', (422, "invalid-request")),
        (b'{"reference": "\\u0000"}', (422, "invalid-request")),
        (b'{"\\u0000\\ud800": 1}', (422, "invalid-request")),
        (b'{"amount": ' + b"9" * 5_000 + b"}", (400, "bad-request")),
        (b'{"amount": 1e400}', (422, "invalid-request")),
        (b'{"amount": NaN}', (422, "invalid-request")),
        (b'{"amount": -Infinity}', (422, "invalid-request")),
        (b'{"reference": "a", "reference": "b c"}', (422, "invalid-request")),
        (b"[" * 100_000 + b"]" * 100_000, (400, "bad-request")),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, (400, "bad-request")),
        ('{"x": 1}'.encode("utf-16"), (422, "invalid-request")),
        (b"\xef\xbb\xbf{}", (422, "invalid-request")),
        (b"\x00", (422, "invalid-request")),
        (b" " * 1_048_577, (413, "too-large")),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("target", [CREATE, f"{PAYMENTS}/verify"])
def test_an_odd_body_is_refused_in_words(
    world: World, target: str, body: bytes, expected: tuple[int, str], chunked: bool
) -> None:
    assert said(world, f"POST {target}\r\n".encode() + JSON, body, chunked=chunked) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"", (415, "unsupported-media-type")),
        (b"Content-Type: text/plain\r\n", (415, "unsupported-media-type")),
        (b"Content-Type: \xff\xfe\r\n", (415, "unsupported-media-type")),
        (b"Content-Type: application/x-www-form-urlencoded\r\n", (415, "unsupported-media-type")),
        (b"Content-Type: multipart/form-data\r\n", (415, "unsupported-media-type")),
        (b"Content-Type: application/problem+json; charset=utf-7\r\n", (422, "invalid-request")),
        (JSON + b"Content-Encoding: gzip\r\n", (422, "invalid-request")),
        (JSON + b"Idempotency-Key:\r\n", (422, "invalid-request")),
        (JSON + b"Idempotency-Key: \xe9\r\n", (422, "invalid-request")),
        (JSON + b"Idempotency-Key: a b\r\n", (422, "invalid-request")),
        (JSON + b"Idempotency-Key: " + b"k" * 256 + b"\r\n", (422, "invalid-request")),
        (JSON + b"Prefer: wait=forever, ;=,\xff\r\n", (422, "invalid-request")),
        (JSON + b"Accept: ;;;q=x, */\xff\r\n", (422, "invalid-request")),
        (JSON + b"Accept: text/html\r\n", (422, "invalid-request")),
        (JSON + b"Expect: 200-maybe\r\n", (422, "invalid-request")),
        (JSON + b"Authorization: Bearer \xff\xe9\r\n", (401, "unauthenticated")),
        (JSON + b"Authorization: Bearer jbt_000000000000_\xe9\r\n", (401, "unauthenticated")),
        (JSON + b"Authorization:\r\n", (401, "unauthenticated")),
    ],
)
def test_an_odd_header_is_refused_in_words_or_means_nothing(
    world: World, header: bytes, expected: tuple[int, str]
) -> None:
    assert said(world, b"POST " + CREATE.encode() + b"\r\n" + header, b"{}") == expected


@pytest.mark.parametrize("header", [b"X-Odd: \x00\r\n", b"X\x00: odd\r\n", b"Authorization: Bearer \x00\r\n"])
def test_nul_in_a_header_is_refused_before_it_reaches_us(world: World, header: bytes) -> None:
    assert said(world, b"GET /healthz\r\n" + header)[0] == 400


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize(
    ("target", "status"),
    [("{}", 200), ("{}?%00", 200), ("{}/v1.0/debit/notify", 200), ("{}%00", 404), ("{}/../gopay", 404)],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_odd_messages_of_gateways_are_refused_in_their_own_form(
    world: World, gateway: str, target: str, status: int, chunked: bool
) -> None:
    head = f"POST {PAYMENTS}/callback/{target.format(gateway)}\r\nX-SIGNATURE: ".encode() + b"\xff\xe9\r\n"
    for body in (b"", b"\xff", b"{}", b"[" * 60_000, b'{"order_id": "\\ud800\\u0000"}'):
        answered = said(world, head, body, chunked=chunked)[0]
        assert answered in ((400, 401) if status == 200 else (404,))
    if status == 200:
        assert said(world, head, b"x" * 65_537, chunked=chunked)[0] == 413
