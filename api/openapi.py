"""What the API says of itself, where FastAPI cannot read it off the routes."""

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.access import SCHEME
from api.completion_models import (
    CompletionReports,
    CompletionReportShown,
    CompletionsAccepted,
    CompletionsWish,
    Participants,
    ParticipantShown,
    Settled,
    Settlement,
)
from api.credential_models import (
    AchievementTold,
    CredentialEventShown,
    CredentialMade,
    CredentialReason,
    Credentials,
    CredentialTold,
    CredentialWithHistory,
    ExportAccepted,
    ExportWish,
    NameShown,
    ShownCredential,
    ShownExport,
)
from api.enrolment_models import EnrolmentShown, EnrolmentsTaken, EnrolmentTold
from api.entitlements import (
    EntitlementRunShown,
    FindingEvent,
    FindingExplanation,
    Findings,
    FindingShown,
    FindingWithHistory,
)
from api.europass import CredentialChosen, EuropassAccepted
from api.exception_models import (
    Ageing,
    AwaitedApproval,
    Exceptions,
    ExceptionShown,
    ExceptionWithHistory,
    ProposalShown,
    Resolve,
    SheetDone,
    Step,
)
from api.health import Readiness
from api.learner_models import Difference, Entry, LearnerTimeline, ProgramTimeline, Stage
from api.linkedin_models import (
    AddCertification,
    CertificationAdded,
    LinkedInConnect,
    LinkedInConnectionShown,
    LinkedInDisconnect,
    ProfileFields,
)
from api.pages import StatementFigures
from api.payment_models import Order, Payments, Shown, ShownWithHistory, Verified, WhichPayment
from api.payouts import Payout, Payouts
from api.persons import (
    AuditShown,
    BreachGroup,
    BreachReport,
    PersonAudit,
    PersonErased,
    PersonExport,
    PersonRevealed,
    PersonShown,
    WhichPerson,
    Why,
)
from api.problem_kinds import ProblemBody
from api.processes import Process, Processes
from api.program_models import (
    CheckAccepted,
    CredentialQuestion,
    Decision,
    ProgramAccepted,
    Programs,
    ProgramWithHistory,
    ShownCheck,
    ShownProgram,
    TrainingProgram,
)
from api.reconciliations import Reconciliations
from api.refund_models import (
    Approvals,
    ApprovalWord,
    RefundAccepted,
    RefundOfException,
    Refunds,
    RefundWish,
    RefundWithHistory,
    RefusalWord,
    ShownApproval,
    ShownRefund,
)
from api.training_centres import Brand, ShownBrand
from api.verify import BadgeCheck, BadgeReport

TAGS = [
    {"name": "payments", "description": "Take a payment through a wallet and see what becomes of it."},
    {
        "name": "callbacks",
        "description": "Where wallets tell us what became of a payment, with a signature of theirs.",
    },
    {"name": "refunds", "description": "Give money back, once, and see how far it has come."},
    {"name": "approvals", "description": "What waits for a second person's word."},
    {"name": "credentials", "description": "What learners achieved: make it, end it, have it exported."},
    {"name": "europass", "description": "European credentials (European Learning Model v3)."},
    {"name": "linkedin", "description": "Learners' LinkedIn: connect it, add certificates, share them."},
    {
        "name": "badges",
        "description": "For verifiers: badges, status lists and public keys. No API key.",
    },
    {"name": "processes", "description": "What runs in the background: how far it is and how it ended."},
    {"name": "reconciliations", "description": "The statements of finance, and what is paid out."},
    {"name": "exceptions", "description": "What the statements could not match, and how a person ends it."},
    {"name": "siplatih", "description": "What the ministry's register is told, each once."},
    {"name": "learners", "description": "Who is enrolled, what became of each learner, and what differs."},
    {"name": "persons", "description": "Whose identity numbers we hold, and who has seen them."},
    {"name": "health", "description": "For the monitoring. No API key."},
]
_FASTAPI_ERRORS = ("HTTPValidationError", "ValidationError")  # its form of a 422; ours is a problem
# FastAPI takes the nulls out of examples, and with them members that are always there; Pydantic sorts the
# rest. These are put back as they were written.
_WITH_EXAMPLE: tuple[type[BaseModel], ...] = (
    Order, WhichPayment, Shown, ShownWithHistory, Verified, Payments, Payout, Payouts, Process, Processes,
    TrainingProgram, CredentialQuestion, ShownProgram, ProgramWithHistory, Programs, ProgramAccepted,
    Decision, ShownCheck, CheckAccepted, RefundWish, ShownRefund, RefundWithHistory, Refunds, RefundAccepted,
    RefundOfException,
    ShownApproval, Approvals, ApprovalWord, RefusalWord,
    AchievementTold, CredentialTold, ShownExport, ShownCredential, CredentialMade, CredentialWithHistory,
    CredentialEventShown, Credentials, CredentialReason, NameShown, ExportWish, ExportAccepted,
    CredentialChosen, EuropassAccepted, BadgeCheck, BadgeReport,
    LinkedInConnect, LinkedInConnectionShown, LinkedInDisconnect, AddCertification, ProfileFields,
    CertificationAdded,
    Brand, ShownBrand,
    StatementFigures, Readiness, Reconciliations, Ageing, AwaitedApproval, Exceptions, ProposalShown, Resolve,
    SheetDone, Step, ExceptionShown, ExceptionWithHistory,
    CompletionsWish, CompletionsAccepted, CompletionReportShown, CompletionReports, ParticipantShown,
    Participants, Settlement, Settled,
    WhichPerson, Why, PersonShown, PersonRevealed, AuditShown, PersonAudit, PersonExport, PersonErased,
    BreachGroup, BreachReport,
    EnrolmentTold, EnrolmentShown, EnrolmentsTaken,
    Entry, Stage, Difference, ProgramTimeline, LearnerTimeline,
    FindingShown, FindingEvent, FindingWithHistory, Findings, FindingExplanation, EntitlementRunShown,
)  # fmt: skip


# Models that stand in no route: what a problem is, and bodies that are checked by rules of their own.
_NOT_OF_A_ROUTE: dict[str, type[BaseModel]] = {
    "Problem": ProblemBody,
    "EnrolmentTold": EnrolmentTold,
    "TrainingProgram": TrainingProgram,
    "CredentialQuestion": CredentialQuestion,
}


def operation_id(route: APIRoute) -> str:
    """The name of the route's function, so that a generated client has readable methods."""
    return route.name


def complete(app: FastAPI) -> None:
    """Let the description name scopes, know what a problem is, and leave out what no route answers."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:  # it is made once, then kept
            _complete(plain())
        return plain()

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's own way to extend it


def _complete(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    for name in _FASTAPI_ERRORS:
        schemas.pop(name, None)
    for name, read_as_it_comes in _NOT_OF_A_ROUTE.items():
        schema = read_as_it_comes.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas |= {**schema.pop("$defs", {}), name: schema}
    for model in _WITH_EXAMPLE:
        schemas[model.__name__] |= {"examples": _examples(model)}
    for operation in _operations(description):
        _name_scope(operation)
        _leave_out_what_is_not_answered(operation)
        for parameter in operation.get("parameters", []):
            _leave_out_null(parameter)


def _examples(model: type[BaseModel]) -> object:
    extra = model.model_config["json_schema_extra"]
    assert isinstance(extra, dict)
    return extra["examples"]


def _operations(description: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in description["paths"].values():
        yield from path.values()


def _name_scope(operation: dict[str, Any]) -> None:
    if "security" in operation:
        (scope,) = operation["security"][0][SCHEME]
        operation["description"] += f"\n\nNeeds the scope `{scope}`."


def _leave_out_null(parameter: dict[str, Any]) -> None:
    """A parameter has a value or is left out; FastAPI shows an optional one as `null` too."""
    either = parameter["schema"].pop("anyOf", [])
    parameter["schema"] |= next((one for one in either if one != {"type": "null"}), {})


def _leave_out_what_is_not_answered(operation: dict[str, Any]) -> None:
    """FastAPI describes a 422 of its own for every route with parameters that describes none."""
    invalid = operation["responses"].get("422", {}).get("content", {}).get("application/json", {})
    if invalid.get("schema", {}).get("$ref", "").endswith(_FASTAPI_ERRORS):
        del operation["responses"]["422"]
