"""A learner's way through each program in words that a support person understands."""

from collections.abc import Callable, Sequence
from datetime import datetime

from api import words
from api.learner_models import (
    Difference,
    Entry,
    LearnerTimeline,
    ProgramTimeline,
    Stage,
    StageName,
    StageState,
)
from api.rendering import amount
from common import clock
from records.completion import Completion, CompletionCall
from records.enrolment import HAS_SEAT
from records.payment import PAID
from records.timeline import Known, OfProgram

_HELD = PAID - {"refunded"}
_PAYMENTS = {
    "created": "not known yet whether the wallet has it",
    "unknown": "not known yet whether the wallet has it",
    "pending": "waits for the learner to pay",
    "expired": "not paid in time",
    "cancelled": "cancelled before it was paid",
    "denied": "refused by the wallet",
    "refunded": "paid, and all of it given back",
    "partially_refunded": "paid, and a part of it given back",
    "reversed": "taken back by the wallet after it was paid",
}
_PROGRAMS = {
    "pending": "It is being registered with the ministry.",
    "rejected": "The ministry refused it.",
    "unknown": "The ministry's answer was lost; it is asked again.",
    "conflict": "The ministry has another program under this code: a person has to decide.",
}
_COMPLETIONS = {
    "waiting": "waits to be sent to the ministry",
    "sent": "is being sent to the ministry",
    "accepted": "accepted by the ministry",
    "rejected": "refused by the ministry",
    "unknown": "sent, and the ministry's answer was lost",
}
_STATEMENTS = {"enrolled": "Enrolled", "completed": "Completed", "withdrawn": "Withdrawn"}
_TARGETS = {"open_badge": "Open Badge", "europass": "European credential"}
_EXPORTS = {
    "queued": "waits to be made",
    "sent": "is being delivered",
    "unknown": "delivered, and the answer was lost; it is asked again",
    "waiting": "waits for its next try",
    "done": "made",
    "refused": "refused",
    "needs_attention": "needs a person",
}
_REFUNDS_OVER = ("confirmed", "refused")


def timeline(known: Known, *, with_differences: bool = True) -> LearnerTimeline:
    """The timeline of a learner."""
    return LearnerTimeline(
        learner_id=known.learner_id,
        niks=known.niks,
        programs=[_program(one, with_differences) for one in known.programs],
    )


def _program(of: OfProgram, with_differences: bool) -> ProgramTimeline:
    names = [str(version.content.get("program_name")) for _, version in of.programs]
    return ProgramTimeline(
        program_code=of.code,
        program_name=names[0] if names else None,
        stages=[stage(of) for stage in _STAGES],
        differences=[
            Difference.model_validate(
                {
                    "finding_id": one.id,
                    "class": one.class_,
                    "state": one.state,
                    "since": one.since,
                    "text": words.FINDINGS[one.class_].title,
                }
            )
            for one in (of.findings if with_differences else [])
        ],
    )


def _registered(of: OfProgram) -> Stage:
    entries, states = [], set()
    for one, version in of.programs:
        number = one.siplatih_program_id
        states.add("registered" if number else version.status)
        at = one.registered_at if number else version.updated_at
        if number:
            on = f" on {_day(one.registered_at)}" if one.registered_at else ""
            text = f"Registered with the ministry as {number}{on}, for {one.lpk_registration_number}."
        else:
            text = _PROGRAMS.get(version.status, version.status)
        state = "registered" if number else version.status
        entries.append(Entry(at=at, state=state, text=text, reference=number, id=one.id))
    if not entries:
        return _nothing("registered", "Nobody has asked for this program to be registered with the ministry.")
    if "registered" in states:
        numbers = ", ".join(one.reference for one in entries if one.reference)
        return _stage("registered", "done", f"Registered with the ministry as {numbers}.", entries)
    is_under_way = bool(states & {"pending", "unknown"})
    text = "Not registered yet." if is_under_way else "Not registered: a person has to look."
    return _stage("registered", "under_way" if is_under_way else "attention", text, entries)


def _paid(of: OfProgram) -> Stage:
    entries = []
    for one in of.payments:
        told = _PAYMENTS.get(one.status, one.status)
        if one.status == "paid":
            told = f"paid on {words.minute(one.paid_at)}" if one.paid_at else "paid"
        text = f"{amount(one.amount_minor, one.currency)} through {words.gateway(one.gateway)}: {told}."
        at = one.paid_at or one.created_at
        entries.append(Entry(at=at, state=one.status, text=text, reference=one.reference, id=one.id))
    statuses = {one.status for one in of.payments}
    if statuses & _HELD:
        return _stage("paid", "done", "Paid.", entries)
    if of.enrolment is not None and of.enrolment.is_free:
        return _stage("paid", "done", "Nothing is to be paid: the platform says that it is free.", entries)
    if statuses & {"pending", "created", "unknown"}:
        return _stage("paid", "under_way", "Not paid yet.", entries)
    if statuses & {"refunded", "reversed"}:
        return _stage("paid", "attention", "It was paid, and the money is gone again.", entries)
    return _stage("paid", "not_yet", "No payment is known for this program.", entries)


def _enrolled(of: OfProgram) -> Stage:
    entries = [
        Entry(
            at=one.occurred_at,
            state=one.state,
            text=f"{_STATEMENTS[one.state]} on {words.minute(one.occurred_at)}, as "
            f"{words.actor(one.told_by)} told us on {words.minute(one.told_at)}.",
            reference=None,
            id=one.enrolment_id,
        )
        for one in of.statements
    ]
    if of.enrolment is None:
        return _nothing("enrolled", "The platform has not told us of an enrolment.")
    if of.enrolment.state in HAS_SEAT:
        text = f"Enrolled since {words.minute(of.enrolment.since)}, as the platform says."
        return _stage("enrolled", "done", text, entries, of.enrolment.since)
    text = f"Withdrawn since {words.minute(of.enrolment.since)}, as the platform says."
    return _stage("enrolled", "attention", text, entries, of.enrolment.since)


def _completed(of: OfProgram) -> Stage:
    entries = [
        Entry(
            at=None,
            state=one.completion_status,
            text=f"{_outcome(one.completion_status)} on {words.short_day(one.completion_date)}, as its class "
            "was handed in" + (f"; certificate {one.certificate_number}." if one.certificate_number else "."),
            reference=one.certificate_number,
            id=one.report_id,
        )
        for one, _ in of.completions
        if one.superseded_at is None
    ]
    entries += [
        Entry(
            at=one.occurred_at,
            state=one.state,
            text=f"Completed on {words.minute(one.occurred_at)}, as the platform says.",
            reference=None,
            id=one.enrolment_id,
        )
        for one in of.statements
        if one.state == "completed"
    ]
    entries += [
        Entry(
            at=None,
            state="COMPLETED",
            text=f"Certified on {words.short_day(one.issued_on)}; certificate {one.certificate_number}.",
            reference=one.certificate_number,
            id=one.id,
        )
        for one, _ in of.credentials
        if one.state != "revoked"
    ]
    handed_in = {one.completion_status for one, _ in of.completions if one.superseded_at is None}
    is_certified = any(one.state != "revoked" for one, _ in of.credentials)
    platform_says = of.enrolment is not None and of.enrolment.state == "completed"
    if "COMPLETED" in handed_in or platform_says or is_certified:
        return _stage("completed", "done", "Completed.", entries)
    if handed_in:
        outcome = ", ".join(sorted(_outcome(one).lower() for one in handed_in))
        return _stage("completed", "attention", f"Ended otherwise: {outcome}.", entries)
    return _nothing("completed", "Not completed, as far as we know.")


def _reported(of: OfProgram) -> Stage:
    entries = [_report(one, call) for one, call in of.completions]
    newest = [one for one, _ in of.completions if one.superseded_at is None]
    accepted = [one for one, _ in of.completions if one.state == "accepted"]
    if accepted and all(one.state == "accepted" for one in newest):
        at = max((one.answered_at for one in accepted if one.answered_at), default=None)
        on = f" on {words.minute(at)}" if at else ""
        return _stage("reported", "done", f"Reported; the ministry accepted it{on}.", entries, at)
    if accepted and any(one.state == "rejected" for one in newest):
        text = "The ministry refused a correction; it has what it accepted before."
        return _stage("reported", "attention", text, entries)
    if any(one.state == "rejected" for one in newest):
        return _stage("reported", "attention", "Not reported: the ministry refused it.", entries)
    if any(one.state == "unknown" for one in newest):
        return _stage("reported", "attention", "Sent, and the ministry's answer was lost.", entries)
    if newest:
        before = "A correction" if accepted else "It"
        return _stage("reported", "under_way", f"{before} is on its way to the ministry.", entries)
    return _nothing("reported", "Nothing was handed in to be reported to the ministry.")


def _report(one: Completion, call: CompletionCall | None) -> Entry:
    text = f"{_outcome(one.completion_status)}: {_COMPLETIONS[one.state]}"
    if one.answered_at:
        text += f" on {words.minute(one.answered_at)}"
    if one.problem and one.state == "rejected":
        text += f" ({one.problem})"
    text += "." if one.superseded_at is None else ". A correction came after it."
    receipt = None
    if one.state == "accepted" and call is not None:
        if call.decided_by is None:
            receipt = str(call.id)
            text += f" Receipt {receipt}."
        else:  # its answer was lost, and the ministry was asked
            text += f" Found out by {words.actor(call.decided_by)}."
    return Entry(
        at=one.answered_at or one.sent_at or one.created_at,
        state=one.state,
        text=text,
        reference=receipt,
        id=one.report_id,
    )


def _credential(of: OfProgram) -> Stage:
    entries, states = [], []
    for one, exports in of.credentials:
        state = one.state_on(clock.business_date(clock.now()))
        states.append(state)
        text = f"Credential {one.certificate_number}, issued on {words.short_day(one.issued_on)}: {state}."
        number = one.certificate_number
        entries.append(Entry(at=one.created_at, state=state, text=text, reference=number, id=one.id))
        for export in exports:
            told = f"{_TARGETS.get(export.target, export.target)}: {_EXPORTS[export.state]}."
            names = {"reference": export.target, "id": one.id}
            entries.append(Entry(at=export.done_at, state=export.state, text=told, **names))
    if not states:
        return _nothing("credential", "There is no credential.")
    if "valid" in states:
        failed = [one for one in entries if one.state in ("refused", "needs_attention")]
        text = "A valid credential is there" + ("; an export of it needs a person." if failed else ".")
        return _stage("credential", "attention" if failed else "done", text, entries)
    return _stage("credential", "attention", f"The credential is {states[-1]}.", entries)


def _refunded(of: OfProgram) -> Stage:
    references = {one.id: one.reference for one in of.payments}
    entries = [
        Entry(
            at=one.confirmed_at or one.created_at,
            state=one.status,
            text=f"{amount(one.amount_minor, one.currency)} of {references[one.payment_id]}: "
            f"{words.refund_status(one.status)}"
            + (f" on {words.minute(one.confirmed_at)}." if one.confirmed_at else "."),
            reference=one.refund_key or one.reference,
            id=one.id,
        )
        for one in of.refunds
    ]
    if not entries:
        return _nothing("refunds", "Nothing has gone back.")
    if any(one.status not in _REFUNDS_OVER for one in of.refunds):
        return _stage("refunds", "under_way", "Money is on its way back.", entries)
    if any(one.status == "confirmed" for one in of.refunds):
        return _stage("refunds", "done", "Money went back.", entries)
    return _stage("refunds", "attention", "A refund was refused: nothing has gone back.", entries)


_STAGES: tuple[Callable[[OfProgram], Stage], ...] = (
    _registered, _paid, _enrolled, _completed, _reported, _credential, _refunded,
)  # fmt: skip


def _stage(
    name: StageName, state: StageState, text: str, entries: Sequence[Entry], at: datetime | None = None
) -> Stage:
    newest = max((one.at for one in entries if one.at is not None), default=None)
    return Stage(stage=name, state=state, at=at or newest, text=text, entries=list(entries))


def _nothing(name: StageName, text: str) -> Stage:
    return Stage(stage=name, state="not_yet", at=None, text=text, entries=[])


def _outcome(status: str) -> str:
    """The outcome of a class as a word of a sentence."""
    return status.replace("_", " ").capitalize()


def _day(at: datetime) -> str:
    return words.short_day(clock.business_date(at))
