"""What schemathesis tries the whole API with: its description, over real HTTP, with the sandbox behind it.

All of its checks are on: no 5xx; status, media type, headers and body of each answer as described; methods
that are not there refused; invalid data refused and valid data accepted, with a key and not without; and,
where requests follow each other, that what was made is there.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
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
from schemathesis.specs.openapi.schemas import OpenApiSchema
from till import Served, Till, free_port

from api.app import app
from api.problem_kinds import MEDIA_TYPE, TYPE
from common.settings import GATEWAYS, settings
from jembatan.stack import stack
from providers.signatures import midtrans_notification
from records import client as clients
from records import db, process
from records.db import unit_of_work

PAYMENTS, PROCESSES, CREATE = "/api/v1/payments", "/api/v1/processes", "/api/v1/payments/create"
FEW, MANY = 10, 1_000
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
    "verify_payment", "cancel_payment", "revoke_credential", "suspend_credential", "restore_credential",
    "show_credential_name",
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
                *(  # nor what is left of a payment, what a key was used for, what a sheet holds, a province
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
                        "brand_training_centre",
                        "register_program",
                        "decide_program",
                        "verify_credential",
                        "find_person",
                        *ONLY_THE_KEY,
                    )
                ),
                {  # who opens its address in a browser gets a page, which is no operation
                    "include-operation-id": "verify_badge",
                    "checks": {"unsupported_method": {"enabled": False}},
                },
                {  # that a message is signed and of one gateway's form is beyond the description
                    "include-tag": "callbacks",
                    "checks": {"positive_data_acceptance": {"expected-statuses": [*ACCEPTED, "400"]}},
                },
            ],
        }
        | more
    )


def described(cases: int, **more: Any) -> OpenApiSchema:
    """The description. A copy, as schemathesis writes links of its own into what it is given."""
    return schemathesis.openapi.from_dict(deepcopy(app.openapi()), config=config(cases, **more))


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


@contextmanager
def a_world(
    fresh_database: Callable[[], AbstractContextManager[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    """The whole API at work on a database of its own, with something of each kind to ask for."""
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
            stack(sandbox=True) as parts,
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


def follow(world: World, cases: int) -> None:
    """Let requests follow each other: what one answer names is what the next one is about."""
    others = {phase: {"enabled": False} for phase in ("examples", "coverage", "fuzzing")}
    linked = described(cases, phases=others, headers=world.key, **{"base-url": world.url})
    *before, end = schemathesis.engine.from_schema(linked).execute()
    assert isinstance(end, EngineFinished)
    assert not end.failures
    assert not [one for one in before if isinstance(one, NonFatalError | FatalError)]
