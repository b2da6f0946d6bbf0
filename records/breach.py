"""What a data-protection officer has to know within the hour: whose data was seen or received, by whom, when.

UU 27/2022, article 46, gives 3 × 24 hours for a written notice to the persons and to the authority.
"""

import csv
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from common.cells import neutral

# The audit has every act on a person's data. A payment's learner goes to its gateway when it is created; a
# credential may be checked of somebody of whom we have no more than the question.
_GROUPS = sa.text(
    """SELECT act, recipient, by, origin, fields,
           count(DISTINCT coalesce(person_id::text, encode(learner_hash, 'hex'))) AS persons,
           count(*) AS lines, min(at) AS first_at, max(at) AS last_at
       FROM personal_data_audit WHERE at >= :since AND at < :until
       GROUP BY act, recipient, by, origin, fields
     UNION ALL
       SELECT 'sent', p.gateway, coalesce('client:' || c.name, 'unknown'), 'api',
           ARRAY['learner of a payment: name, e-mail, phone as far as given'],
           count(DISTINCT p.learner_id), count(*), min(p.created_at), max(p.created_at)
       FROM payments p LEFT JOIN clients c ON c.id = p.client_id
       WHERE p.learner IS NOT NULL AND p.created_at >= :since AND p.created_at < :until
       GROUP BY p.gateway, c.name
     UNION ALL
       SELECT 'sent', 'siplatih', requested_by, 'process', ARRAY['nik of somebody known by nothing else'],
           count(DISTINCT nik_hash), count(*), min(sent_unknown_at), max(sent_unknown_at)
       FROM credential_checks WHERE sent_unknown_at >= :since AND sent_unknown_at < :until
       GROUP BY requested_by
     ORDER BY first_at, act, recipient"""
)
_LINES = sa.text(
    """SELECT a.at, a.person_id, p.learner_id, a.act, a.fields, a.by, a.recipient, a.reason, a.origin
       FROM personal_data_audit a LEFT JOIN persons p ON p.id = a.person_id
       WHERE a.at >= :since AND a.at < :until ORDER BY a.id"""
)
_PERSONS = sa.text(
    """SELECT count(DISTINCT coalesce(person_id::text, encode(learner_hash, 'hex')))
       FROM personal_data_audit WHERE at >= :since AND at < :until"""
)
LINE = ("at", "person_id", "learner_id", "act", "fields", "by", "recipient", "reason", "origin")


def report(session: Session, since: datetime, until: datetime) -> dict[str, Any]:
    """What was seen or received in that time, as JSON values: one group for each who, what and from where."""
    groups = [
        {
            "act": one.act,
            "recipient": one.recipient,
            "by": one.by,
            "origin": one.origin,
            "fields": list(one.fields),
            "persons": int(one.persons),
            "times": int(one.lines),
            "first_at": _iso(one.first_at),
            "last_at": _iso(one.last_at),
        }
        for one in session.execute(_GROUPS, {"since": since, "until": until})
    ]
    persons = session.scalar(_PERSONS, {"since": since, "until": until})
    return {"since": _iso(since), "until": _iso(until), "persons": int(persons or 0), "groups": groups}


def lines(session: Session, since: datetime, until: datetime) -> Iterator[list[str]]:
    """Each line of that time, for the list of persons who get a notice: by our id and the platform's."""
    found = session.execute(_LINES, {"since": since, "until": until}, execution_options={"yield_per": 5_000})
    for one in found:
        yield [
            _iso(one.at),
            str(one.person_id or ""),
            one.learner_id or "",
            one.act,
            " ".join(one.fields),
            one.by,
            one.recipient,
            one.reason,
            one.origin,
        ]


def write(session: Session, since: datetime, until: datetime, out: IO[str]) -> int:
    """The lines as CSV; tells how many."""
    writer = csv.writer(out)
    writer.writerow(LINE)
    count = 0
    for line in lines(session, since, until):
        writer.writerow(map(neutral, line))
        count += 1
    return count


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
