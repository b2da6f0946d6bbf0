"""All models in one place, for migrations and for the test that holds them against the database."""

from typing import Any

from records.approval import Approval
from records.audit import AuditLine
from records.bank import BankCoverage, BankEntry, BankMalformedLine, BankStatement
from records.charge import IdempotencyKey
from records.client import ApiKey, Client
from records.completion import Completion, CompletionCall, CompletionReport
from records.console_session import ConsoleSession
from records.credential import Achievement, Credential, CredentialEvent, OpenBadge
from records.credential_check import CredentialCheck
from records.credential_export import CredentialExport
from records.db import Base
from records.enrolment import Enrolment, EnrolmentStatement
from records.entitlement import EntitlementRun, Finding, FindingEvent
from records.european_credential import EuropeanCredential
from records.exception_requests import ExceptionRequest, ExceptionRequestItem
from records.exceptions import ExceptionEvent, ReconciliationException
from records.files import KeptFile
from records.gateway_token import GatewayToken
from records.hand_match import HandMatch
from records.learner_session import LearnerSession, LearnerTicket
from records.linkedin_connection import LinkedInConnection
from records.linkedin_share import LinkedInShare
from records.notification import Notification
from records.payment import Payment, PaymentEvent
from records.payout import Payout, PayoutOutcome, PayoutRun
from records.payout_match import PayoutMatch
from records.payout_sums import SettledSum
from records.person import Person
from records.platform_events import PlatformEvent
from records.process import ProcessRun
from records.program import Program, ProgramEvent, ProgramVersion
from records.reconciliation import Reconciliation
from records.refund import Refund
from records.service_gate import ServiceGate
from records.signing_key import SigningKey
from records.status_list import StatusList
from records.training_centre import TrainingCentre

__all__ = [
    "Achievement",
    "ApiKey",
    "Approval",
    "AuditLine",
    "BankCoverage",
    "BankEntry",
    "BankMalformedLine",
    "BankStatement",
    "Base",
    "Client",
    "Completion",
    "CompletionCall",
    "CompletionReport",
    "ConsoleSession",
    "Credential",
    "CredentialCheck",
    "CredentialEvent",
    "CredentialExport",
    "Enrolment",
    "EnrolmentStatement",
    "EntitlementRun",
    "EuropeanCredential",
    "ExceptionEvent",
    "ExceptionRequest",
    "ExceptionRequestItem",
    "Finding",
    "FindingEvent",
    "GatewayToken",
    "HandMatch",
    "IdempotencyKey",
    "KeptFile",
    "LearnerSession",
    "LearnerTicket",
    "LinkedInConnection",
    "LinkedInShare",
    "Notification",
    "OpenBadge",
    "Payment",
    "PaymentEvent",
    "Payout",
    "PayoutMatch",
    "PayoutOutcome",
    "PayoutRun",
    "Person",
    "PlatformEvent",
    "ProcessRun",
    "Program",
    "ProgramEvent",
    "ProgramVersion",
    "Reconciliation",
    "ReconciliationException",
    "Refund",
    "ServiceGate",
    "SettledSum",
    "SigningKey",
    "StatusList",
    "TrainingCentre",
]


def is_ours(name: str | None, kind: str, parents: Any) -> bool:
    """Whether a database object belongs to the models (outcome partitions do not)."""
    return not (kind == "table" and name is not None and name.startswith("reconciliation_outcomes"))
