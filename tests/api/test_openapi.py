"""What the API says of itself is complete, and agrees with itself; test_openapi_tried.py tries it."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from api.app import app
from api.callback_docs import MESSAGES
from api.problem_kinds import KINDS, TYPE
from common.settings import GATEWAYS
from providers.base import BadNotification
from providers.midtrans import notifications as midtrans
from providers.snap import replies
from providers.snap.profiles import PROFILES

ROOT = Path(__file__).parents[2]
DESCRIBED = app.openapi()
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DESCRIBED["paths"].items()
    for method, operation in methods.items()
}
MODELS = DESCRIBED["components"]["schemas"]
IDS = {
    "create_payment", "verify_payment", "cancel_payment", "read_payment", "list_payments",
    "create_refund", "list_refunds", "list_approvals", "read_approval", "approve", "refuse",
    "receive_notification", "grant_token", "read_process", "list_processes",
    "list_exceptions", "exceptions_ageing", "read_exception", "resolve_exception",
    "download_exceptions_sheet", "upload_exceptions_sheet", "list_reconciliations", "read_reconciliation",
    "read_payout", "list_payouts",
    "create_credential", "list_credentials", "read_credential", "revoke_credential", "suspend_credential",
    "restore_credential", "show_credential_name", "export_credentials", "brand_training_centre",
    "verify_badge", "public_credential",
    "badge_jws", "badge_json", "badge_png", "badge_svg", "status_list", "read_achievement",
    "achievement_image", "jwks", "did_document",
    "connect_linkedin", "read_linkedin_connection", "disconnect_linkedin", "add_certification",
    "generate_european_credential", "download_european_credential", "download_certificate",
    "register_program", "decide_program", "read_program", "list_programs",
    "verify_credential", "read_credential_check",
    "report_completion", "report_completion_sheet", "download_completion_template",
    "list_completion_reports", "read_completion_report", "list_completion_participants",
    "settle_completion_report",
    "find_person", "read_person", "read_person_audit", "reveal_person", "export_person", "erase_person",
    "breach_report",
    "tell_enrolments", "tell_enrolments_sheet", "read_learner_timeline",
    "list_findings", "read_finding", "explain_finding", "newest_entitlement_run",
    "healthz", "readyz", "metrics",
}  # fmt: skip


def test_it_is_valid_openapi() -> None:
    import schemathesis  # takes a while to load, in each process that collects this file

    assert DESCRIBED["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(DESCRIBED).validate()
    for schema in MODELS.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_generated_clients_keep_the_names_of_their_methods() -> None:
    assert {one["operationId"] for one in OPERATIONS.values()} == IDS
    assert len(OPERATIONS) == len(IDS)


def test_every_operation_is_described() -> None:
    tags = {tag["name"] for tag in DESCRIBED["tags"] if tag["description"]}
    for name, operation in OPERATIONS.items():
        assert operation["summary"], name
        assert operation["description"], name
        assert set(operation["tags"]) <= tags, name
        for parameter in operation.get("parameters", []):
            assert parameter["description"], (name, parameter)
            assert "anyOf" not in parameter["schema"], (name, parameter)
        for status, answer in operation["responses"].items():
            said = answer["description"]
            assert said not in ("", "Successful Response", "Validation Error"), (name, status)
            for header in answer.get("headers", {}).values():
                assert header["description"], (name, status)


def test_every_member_of_every_model_is_described() -> None:
    for name, model in MODELS.items():
        assert model["description"], name
        for member, schema in model["properties"].items():
            assert schema.get("description"), (name, member)


def test_every_operation_for_clients_names_its_scope() -> None:
    for name, operation in OPERATIONS.items():
        is_for_clients = "/api/v1/" in name and "/callback/" not in name
        assert ("security" in operation) is is_for_clients, name
        if is_for_clients:
            ((scheme, (scope,)),) = operation["security"][0].items()
            assert scheme in DESCRIBED["components"]["securitySchemes"], name
            assert f"Needs the scope `{scope}`" in operation["description"], name


def test_every_post_of_a_client_takes_an_idempotency_key() -> None:
    posts = {name: one for name, one in OPERATIONS.items() if name.startswith("POST") and "security" in one}
    assert posts
    for name, operation in posts.items():
        assert "Idempotency-Key" in {one["name"] for one in operation.get("parameters", [])}, name
        assert f"{TYPE}idempotency-key-reused" in problems(operation)["422"], name


def examples() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Each example of a body: where it stands, its schema and itself."""
    for name, operation in OPERATIONS.items():
        bodies = {"request": operation["requestBody"]} if "requestBody" in operation else {}
        for where, body in (bodies | operation["responses"]).items():
            for media in body.get("content", {}).values():
                for title, one in media.get("examples", {}).items():
                    yield f"{name} {where} {title}", media["schema"], one["value"]
    for name, model in MODELS.items():
        for number, value in enumerate(model.get("examples", [])):
            yield f"{name} {number}", model, value


@cache
def validator(schema: str) -> jsonschema_rs.Draft202012Validator:
    """Of a schema as text: many examples have the same one."""
    whole = json.loads(schema) | {"components": DESCRIBED["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)


def test_every_example_is_what_its_schema_says() -> None:
    wrong = {
        where: [str(error) for error in errors]
        for where, schema, example in examples()
        if (errors := list(validator(json.dumps(schema)).iter_errors(example)))
    }
    assert wrong == {}
    assert len(list(examples())) > len(OPERATIONS)


def test_every_body_of_json_has_an_example() -> None:
    for name, operation in OPERATIONS.items():
        for body in [operation.get("requestBody", {}), *operation["responses"].values()]:
            for media_type, media in body.get("content", {}).items():
                if "json" not in media_type:
                    continue
                model = MODELS.get(media["schema"].get("$ref", "").rpartition("/")[2], {})
                members = model.get("properties", {}).values()
                told = media.get("examples") or model.get("examples")
                assert told or all("examples" in one for one in members), name


# Problems


def problems(operation: dict[str, Any]) -> dict[str, set[str]]:
    """By status, the kinds that an operation documents."""
    return {
        status: {one["value"]["type"] for one in media["examples"].values()}
        for status, answer in operation["responses"].items()
        for media_type, media in answer.get("content", {}).items()
        if media_type == "application/problem+json"
    }


def test_problems_are_documented_under_their_status() -> None:
    for name, operation in OPERATIONS.items():
        for status, kinds in problems(operation).items():
            assert kinds, name
            for kind in kinds:
                assert KINDS[kind.removeprefix(TYPE)].status == int(status), name


def test_every_kind_of_problem_is_documented_where_it_can_come_up() -> None:
    everywhere = {"internal-error", "method-not-allowed"}  # said once, for all operations
    for kind in everywhere:
        assert f"`{kind}`" in DESCRIBED["info"]["description"]
    named = {kind for one in OPERATIONS.values() for kinds in problems(one).values() for kind in kinds}
    assert named | {TYPE + kind for kind in everywhere} == {TYPE + kind for kind in KINDS}


def test_every_refusal_of_the_checkout_is_a_kind_of_problem() -> None:
    said = set()
    for path in (ROOT / "checkout").glob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "Refusal":
                assert isinstance(call.args[0], ast.Constant)
                said.add(call.args[0].value)
    payments = [one for name, one in OPERATIONS.items() if "/payments/" in name]
    documented = {kind for one in payments for kinds in problems(one).values() for kind in kinds}
    assert said
    assert {TYPE + slug for slug in said} <= documented


def test_the_pages_of_the_docs_know_every_kind_of_problem() -> None:
    told = "".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    missing = {slug for slug in KINDS if not re.search(rf"`{slug}`", told)}
    assert not missing


# What gateways send, and are answered


def test_there_is_an_example_of_a_message_for_each_gateway() -> None:
    body = OPERATIONS["POST /api/v1/payments/callback/{gateway}"]["requestBody"]
    assert set(body["content"]["application/json"]["examples"]) == set(GATEWAYS) == set(MESSAGES)


@pytest.mark.parametrize(("status", "reason"), [(400, "json"), (401, "signature"), (413, "too large")])
def test_the_answers_to_gateways_are_those_that_they_get(status: int, reason: str) -> None:
    no = BadNotification(status, reason)
    snap = PROFILES["doku"]
    for path, replied in (
        ("{gateway}", {"gopay": midtrans.refused(no), "ovo": replies.refused(snap, no)}),
        ("{gateway}/access-token/b2b", {"ovo": replies.no_token(snap, no)}),
    ):
        answers = OPERATIONS[f"POST /api/v1/payments/callback/{path}"]["responses"][str(status)]
        shown = answers["content"]["application/json"]["examples"]
        for gateway, reply in replied.items():
            assert shown[gateway]["value"] == json.loads(reply.body)
