"""The statements of the match, in the order in which `records.matching` runs them.

Braces are filled with names and fragments, `%(…)s` with values. A ledger item is a payment or a refund;
the same statements work both.
"""

from typing import LiteralString

LINE_FIELDS: LiteralString = (
    "is_refund, reference, gateway_reference, status, amount_minor, fee_minor, currency, occurred_at, "
    "payout_reference"
)

# What a line adds to the money that the gateway pays out: a payment less its fee; a refund and its fee are
# taken off. Null: nothing, as the line is not paid, or not in the rupiah in which gateways pay out.
NET: LiteralString = """CASE WHEN l.status = 'paid' AND l.currency = 'IDR' THEN
    CASE WHEN l.is_refund THEN -l.amount_minor ELSE l.amount_minor END - coalesce(l.fee_minor, 0) END"""

# A line equal in every field to one of another file is worked once: the k-th copy of a line in one file
# and the k-th copy in another are the same line.
OVERLAP: LiteralString = """
DELETE FROM {table} t USING (
    SELECT ctid, row_number() OVER (PARTITION BY {fields}, copy ORDER BY source, line_no) AS nth
    FROM (SELECT ctid, *, row_number() OVER (PARTITION BY {fields}, source ORDER BY line_no) AS copy
          FROM {table}) numbered) ranked
WHERE t.ctid = ranked.ctid AND nth > 1 RETURNING {amount}"""

# A line that a person has paired with a payment counts as a line of that payment from then on.
PAIRED_BY_HAND: LiteralString = """
UPDATE {lines} l SET reference = p.reference
FROM hand_matches h JOIN payments p ON p.id = h.payment_id
WHERE h.gateway = %(gateway)s AND NOT l.is_refund AND l.reference = h.reference
  AND p.reference <> h.reference"""

# References that several lines name, all their lines with them. The hash is a cheap first sieve (sorted:
# hashing a million groups takes twice as long), the rank below is exact.
SIEVE: LiteralString = """
CREATE TEMP TABLE sieve ON COMMIT DROP AS
SELECT hash FROM (SELECT hashtext(reference) AS hash FROM {lines} ORDER BY 1) sorted
GROUP BY 1 HAVING count(*) > 1"""
SEVERAL: LiteralString = """
CREATE TEMP TABLE several ON COMMIT DROP AS
SELECT *, ctid AS place FROM {lines} WHERE hashtext(reference) IN (SELECT hash FROM sieve)"""

# All but *the* line of a reference: the one with our gateway reference, else the smallest by content.
EXTRA: LiteralString = """
CREATE TEMP TABLE extra ON COMMIT DROP AS
SELECT place, source, line_no, is_refund, subject_id, is_repeat
FROM (
    SELECT l.place, l.source, l.line_no, l.is_refund, coalesce(p.id, f.id) AS subject_id,
        row_number() OVER w AS nth,
        l.gateway_reference IS NOT DISTINCT FROM first_value(l.gateway_reference) OVER w AS is_repeat
    FROM several l
    LEFT JOIN payments p ON NOT l.is_refund AND p.reference = l.reference AND p.gateway = %(gateway)s
    LEFT JOIN refunds f ON l.is_refund AND f.reference = l.reference AND f.gateway = %(gateway)s
    WINDOW w AS (PARTITION BY l.is_refund, l.reference ORDER BY
        coalesce(l.gateway_reference = coalesce(p.gateway_reference, f.gateway_reference), false) DESC,
        l.occurred_at, l.gateway_reference NULLS FIRST, l.amount_minor,
        l.status, l.currency, l.fee_minor NULLS FIRST, l.source, l.line_no)
) ranked WHERE nth > 1"""
MARK_EXTRA: LiteralString = "UPDATE {lines} l SET is_extra = true FROM extra x WHERE l.ctid = x.place"

# What an earlier day has matched though it was paid on this day (the gateway's clock ran ahead), or a person
# has paired with a line of an earlier day.
EARLY: LiteralString = """
SELECT o.subject_id FROM reconciliations r
JOIN reconciliation_outcomes o ON o.run_no = r.no AND o.late_days < 0 AND o.class = 'matched'
WHERE r.gateway = %(gateway)s AND r.is_current AND r.early_rows > 0
  AND r.business_date < %(day)s AND r.business_date >= %(day)s - 7
UNION SELECT p.id FROM hand_matches h JOIN payments p ON p.id = h.payment_id
WHERE h.gateway = %(gateway)s AND h.business_date < %(day)s
  AND p.paid_at >= %(start)s AND p.paid_at < %(end)s"""

# Items that the day before left as `timing`, and nobody has paired with a line since.
YESTERDAY: LiteralString = """
SELECT o.subject_id FROM reconciliations r
JOIN reconciliation_outcomes o ON o.run_no = r.no AND o.class = 'timing'
WHERE r.gateway = %(gateway)s AND r.is_current AND r.business_date = %(day)s - 1
  AND NOT EXISTS (SELECT FROM hand_matches h
                  WHERE h.payment_id = o.subject_id AND NOT o.is_refund AND h.business_date < %(day)s)"""

# A status that this reconciliation itself has healed counts as it was found: a re-run finds the same.
# What was healed had the other paid-or-not, so one array of ids is enough.
HEALED: LiteralString = """
CREATE TEMP TABLE healed ON COMMIT DROP AS
SELECT subject_id, expected->>'status' AS status FROM reconciliation_exceptions
WHERE gateway = %(gateway)s AND business_date = %(day)s AND class = 'status_mismatch' AND state = 'healed'"""
IS_PAID: LiteralString = "(i.{paid}) <> (i.id = ANY (%(healed)s))"

PAIRED_CLASS: LiteralString = """CASE
    WHEN l.currency <> s.currency THEN 'currency_mismatch'
    WHEN l.amount_minor NOT BETWEEN s.amount_minor - %(tolerance)s AND s.amount_minor + %(tolerance)s
        THEN 'amount_mismatch'
    WHEN (l.status = 'paid') <> s.is_paid THEN 'status_mismatch'
    WHEN l.status = 'paid' AND l.fee_minor IS NOT NULL AND NOT ({fee_plan}) THEN 'fee_mismatch'
    ELSE 'matched'::reconciliation_class END"""

PAIRED_REASON: LiteralString = """CASE
    WHEN l.currency <> s.currency THEN NULL
    WHEN l.amount_minor > s.amount_minor + %(tolerance)s THEN 'over'
    WHEN l.amount_minor < s.amount_minor - %(tolerance)s THEN 'under' END"""

PAIRED_NOTE: LiteralString = (
    "CASE WHEN l.gateway_reference <> s.gateway_reference THEN 'gateway_reference_differs' END"
)

# A refund that was made at the gateway without us says so.
PAIRED_REFUND_NOTE: LiteralString = (
    "nullif(concat_ws(', ', CASE WHEN s.is_foreign AND l.reference IS NOT NULL THEN 'foreign_refund' END, "
    + PAIRED_NOTE
    + "), '')"
)

# First pass: the day's own items and yesterday's open ones against the lines. A line without such an
# item is `missing_in_ledger` for now; the second pass looks for its item on other days.
THE_DAY: LiteralString = """
SELECT %(no)s::integer AS run_no,
    CASE WHEN s.id IS NULL THEN 'missing_in_ledger'
         WHEN l.reference IS NULL AND s.at >= %(grace)s AND s.at < %(end)s THEN 'timing'
         WHEN l.reference IS NULL THEN 'missing_at_gateway'
         ELSE {paired_class} END AS class,
    {is_refund} AS is_refund, s.id AS subject_id, l.source, l.line_no,
    CASE WHEN s.id IS NULL THEN l.reference END AS reference, s.amount_minor AS ledger_minor,
    l.amount_minor AS report_minor, l.fee_minor, l.gateway_reference, l.occurred_at,
    CASE WHEN l.reference IS NOT NULL AND s.at < %(start)s THEN 1 END AS late_days,
    CASE WHEN s.id IS NULL THEN l.remark WHEN l.reference IS NOT NULL THEN {paired_reason} END AS reason,
    {paired_note} AS note, {net} AS net_minor, l.payout_reference
FROM (
    SELECT i.id, i.reference, i.gateway_reference, i.amount_minor, i.currency, i.{time} AS at,
        {is_paid} AS is_paid, {is_foreign} AS is_foreign
    FROM {table} i
    WHERE i.gateway = %(gateway)s
      AND ((i.{time} >= %(start)s AND i.{time} < %(end)s AND i.id <> ALL (%(early)s))
           OR i.id = ANY (%(yesterday)s))
) s
FULL JOIN (SELECT * FROM {lines} WHERE is_refund = {is_refund} AND NOT is_extra) l
    ON l.reference = s.reference"""

# The lines that ended in anything but `matched` are few: everything below works on a copy of them. `place`
# is that of the outcome; extra lines have none yet.
NOTED: tuple[LiteralString, ...] = (
    "ANALYZE {outcomes} (class, line_no, subject_id)",
    """
CREATE TEMP TABLE noted ON COMMIT DROP AS
SELECT l.*, o.ctid AS place, o.class FROM {outcomes} o JOIN {lines} l USING (source, line_no)
WHERE o.class <> 'matched'
UNION ALL SELECT s.*, 'duplicate_at_gateway' FROM several s JOIN extra USING (source, line_no)""",
    "ANALYZE noted",
)

# Lines whose item was paid on another day, or never: with what an earlier day has matched of them.
STRAYS: LiteralString = """
CREATE TEMP TABLE strays ON COMMIT DROP AS
SELECT l.place, i.id, i.{time} AS at, i.created_at
FROM noted l JOIN {table} i ON i.reference = l.reference AND i.gateway = %(gateway)s
WHERE l.class = 'missing_in_ledger' AND l.is_refund = {is_refund}"""

# An item cannot have been matched before it existed; two days of slack for the gateway's clock. A line that
# a person has paired with it is a match of the line's day.
MATCHED_BEFORE: LiteralString = """
CREATE TEMP TABLE matched_before ON COMMIT DROP AS
SELECT s.id, e.gateway_reference FROM (
    SELECT DISTINCT i.id, (i.created_at AT TIME ZONE 'Asia/Jakarta')::date - 2 AS since
    FROM {table} i WHERE i.id IN (SELECT id FROM strays
                                  UNION SELECT subject_id FROM extra WHERE is_refund = {is_refund})) s
CROSS JOIN LATERAL (
    SELECT gateway_reference FROM (
        SELECT o.gateway_reference, r.business_date FROM reconciliations r
        JOIN reconciliation_outcomes o ON o.run_no = r.no AND o.subject_id = s.id AND o.class = 'matched'
        WHERE r.gateway = %(gateway)s AND r.is_current
          AND r.business_date < %(day)s AND r.business_date >= s.since
        UNION ALL
        SELECT h.gateway_reference, h.business_date FROM hand_matches h
        WHERE NOT {is_refund} AND h.payment_id = s.id AND h.business_date < %(day)s) m
    ORDER BY business_date LIMIT 1) e"""

OTHER_DAYS: LiteralString = """
UPDATE {outcomes} o SET
    subject_id = x.id,
    class = CASE WHEN b.id IS NOT NULL THEN 'duplicate_at_gateway' ELSE {paired_class} END,
    ledger_minor = CASE WHEN b.id IS NULL THEN s.amount_minor END,
    late_days = CASE WHEN b.id IS NULL
        THEN nullif(%(day)s - (x.at AT TIME ZONE 'Asia/Jakarta')::date, 0) END,
    reason = CASE WHEN b.id IS NULL THEN {paired_reason}
        WHEN b.gateway_reference IS NOT DISTINCT FROM l.gateway_reference THEN 'repeated_line'
        ELSE 'second_charge' END,
    -- Money of a line that was settled on an earlier day is paid once, and taken back by a chargeback.
    net_minor = CASE WHEN b.id IS NULL THEN o.net_minor
        WHEN l.status = 'reversed' AND NOT l.is_refund AND l.currency = 'IDR' THEN -l.amount_minor
        WHEN b.gateway_reference IS DISTINCT FROM l.gateway_reference THEN o.net_minor END,
    note = CASE WHEN b.id IS NULL THEN {paired_note}
        WHEN l.status = 'paid' THEN 'matched_on_an_earlier_day'
        ELSE 'matched_on_an_earlier_day, now ' || l.status END
FROM strays x
LEFT JOIN matched_before b ON b.id = x.id
JOIN (SELECT i.id, i.amount_minor, i.currency, i.gateway_reference, {is_paid} AS is_paid,
        {is_foreign} AS is_foreign
      FROM {table} i) s ON s.id = x.id,
noted l
WHERE o.ctid = x.place AND l.source = o.source AND l.line_no = o.line_no"""

DUPLICATES: LiteralString = """
INSERT INTO {outcomes} (run_no, class, is_refund, subject_id, source, line_no, reference, report_minor,
    fee_minor, gateway_reference, occurred_at, reason, net_minor, payout_reference)
SELECT %(no)s, 'duplicate_at_gateway', x.is_refund, x.subject_id, l.source, l.line_no, l.reference,
    l.amount_minor, l.fee_minor, l.gateway_reference, l.occurred_at,
    CASE WHEN r.is_repeat THEN 'repeated_line' ELSE 'second_charge' END,
    CASE WHEN NOT r.is_repeat THEN {net} END, l.payout_reference
FROM extra x JOIN noted l ON l.source = x.source AND l.line_no = x.line_no
LEFT JOIN matched_before b ON b.id = x.subject_id
CROSS JOIN LATERAL (SELECT CASE WHEN b.id IS NULL THEN x.is_repeat
    ELSE b.gateway_reference IS NOT DISTINCT FROM l.gateway_reference END AS is_repeat) r
WHERE x.is_refund = {is_refund}"""

MALFORMED: LiteralString = """
INSERT INTO {outcomes} (run_no, class, is_refund, source, line_no, reference, report_minor, reason)
SELECT %(no)s, 'malformed_line', false, source, line_no, reference, 0,
    coalesce(column_name || ': ', '') || reason
FROM {malformed}"""

# A malformed line pairs with nothing, but its payment's absence says where the line stands.
NAMED_BY_MALFORMED: LiteralString = """
UPDATE {outcomes} o SET reason = 'line ' || m.line_no || ' names it but is malformed'
FROM (SELECT reference, min(line_no) AS line_no FROM {malformed} GROUP BY 1) m
JOIN {table} i ON i.reference = m.reference AND i.gateway = %(gateway)s
WHERE o.subject_id = i.id AND o.class IN ('timing', 'missing_at_gateway') AND o.is_refund = {is_refund}"""

# The ledger's side of the proof, counted from the ledger and not from the outcomes.
SCOPE: LiteralString = """
SELECT count(*), coalesce(sum(i.amount_minor), 0) FROM {table} i
WHERE i.gateway = %(gateway)s
  AND ((i.{time} >= %(start)s AND i.{time} < %(end)s AND i.id <> ALL (%(early)s))
       OR i.id = ANY (%(yesterday)s))"""
SCOPE_NAMED: LiteralString = """
SELECT count(*), coalesce(sum(i.amount_minor), 0)
FROM (SELECT DISTINCT id FROM strays EXCEPT SELECT id FROM matched_before) x JOIN {table} i USING (id)"""

TOTALS: LiteralString = """
SELECT class::text, count(*), coalesce(sum(ledger_minor), 0), coalesce(sum(report_minor), 0),
    count(*) FILTER (WHERE late_days < 0)
FROM {outcomes} GROUP BY class"""

# What is known before the match, then what is done for payments and for refunds.
PREPARE: tuple[LiteralString, ...] = (
    PAIRED_BY_HAND,
    SIEVE,
    "ANALYZE sieve",
    SEVERAL,
    "ANALYZE several",
    EXTRA,
    "ANALYZE extra",
    MARK_EXTRA,
    HEALED,
)
MATCH: tuple[LiteralString, ...] = (STRAYS, "ANALYZE strays", MATCHED_BEFORE, OTHER_DAYS, DUPLICATES)
COUNT: tuple[LiteralString, ...] = (SCOPE, SCOPE_NAMED)
