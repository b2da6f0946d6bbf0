"""The SQL of the nightly look: one row for each pair of learner and program, with what is known of it.

A pair is whatever a payment, an enrolment, a completion or a credential names. A payment belongs to the pairs
whose enrolments name it, else to the pair that it names itself. `due_…`: from when the pair is a finding of
that class, if it is one; `infinity` while its refund is under way; NULL where it is none.
"""

# Times at which each class begins, before its grace; the rules of docs/entitlements.md in one place.
PAIRS = """
CREATE TEMPORARY TABLE entitlement_pairs ON COMMIT DROP AS
WITH named AS (
    SELECT learner_id, program_code, payment_id FROM enrolments
    WHERE learner_id IS NOT NULL AND payment_id IS NOT NULL
), pays AS (
    SELECT n.learner_id, n.program_code, p.id, p.status, p.paid_at, p.created_at
    FROM named n JOIN payments p ON p.id = n.payment_id
    UNION ALL
    SELECT p.learner_id, p.program_code COLLATE "C", p.id, p.status, p.paid_at, p.created_at
    FROM payments p
    WHERE p.learner_id IS NOT NULL AND p.program_code IS NOT NULL
        AND NOT EXISTS (SELECT FROM named n WHERE n.payment_id = p.id)
), gone_back AS (
    SELECT payment_id, max(at) AS at FROM (
        SELECT e.payment_id, coalesce(e.effective_at, e.at) AS at
        FROM payment_events e JOIN payments p ON p.id = e.payment_id
        WHERE p.status IN ('refunded', 'reversed') AND e.to_status IN ('refunded', 'reversed')
            AND e.refund_id IS NULL
        UNION ALL
        SELECT payment_id, confirmed_at FROM refunds WHERE status = 'confirmed' AND charge_reference IS NULL
    ) b GROUP BY payment_id
), going_back AS (
    SELECT DISTINCT payment_id FROM refunds
    WHERE status NOT IN ('confirmed', 'refused') AND charge_reference IS NULL
), money AS (
    SELECT p.learner_id, p.program_code, count(*) AS payments,
        count(*) FILTER (WHERE p.holds) AS held,
        min(p.paid_at) FILTER (WHERE p.holds) AS paid_at,
        max(coalesce(b.at, p.paid_at, p.created_at)) FILTER (WHERE p.status IN ('refunded', 'reversed'))
            AS back_at,
        coalesce(bool_and(g.payment_id IS NOT NULL) FILTER (WHERE p.holds), false) AS is_going_back
    FROM (SELECT *, status IN ('paid', 'partially_refunded') AS holds FROM pays) p
    LEFT JOIN gone_back b ON b.payment_id = p.id
    LEFT JOIN going_back g ON g.payment_id = p.id
    GROUP BY p.learner_id, p.program_code
), told AS (
    SELECT w.learner_id, t.program_code, c.*
    FROM completions c
    JOIN persons w ON w.id = c.person_id
    JOIN training_programs t ON t.id = c.program_id
    WHERE w.learner_id IS NOT NULL
), of_classes AS (
    SELECT learner_id, program_code, count(*) AS completions,
        min(completion_date) FILTER (WHERE superseded_at IS NULL AND completion_status = 'COMPLETED')
            AS completed_on,
        min(coalesce(answered_at, sent_at)) FILTER (WHERE state = 'accepted') AS reported_at
    FROM told GROUP BY learner_id, program_code
), at_the_register AS (
    SELECT learner_id, program_code, bool_or(completion_status = 'COMPLETED') AS has_completed
    FROM (
        SELECT DISTINCT ON (person_id, program_id) learner_id, program_code, completion_status
        FROM told WHERE state = 'accepted' ORDER BY person_id, program_id, created_at DESC, id DESC
    ) newest GROUP BY learner_id, program_code
), certified AS (
    SELECT learner_id, program_code COLLATE "C" AS program_code, count(*) AS credentials,
        min(issued_on) FILTER (WHERE state <> 'revoked') AS issued_on
    FROM credentials WHERE withdrawn_at IS NULL GROUP BY learner_id, 2
), enrolled AS (
    SELECT learner_id, program_code, state, state_at, since, is_free, state <> 'withdrawn' AS has_seat
    FROM enrolments WHERE learner_id IS NOT NULL
), pairs AS (
    SELECT learner_id, program_code FROM money
    UNION SELECT learner_id, program_code FROM enrolled
    UNION SELECT learner_id, program_code FROM of_classes
    UNION SELECT learner_id, program_code FROM certified
), known AS (
    SELECT learner_id, program_code,
        coalesce(m.payments, 0) AS payments, coalesce(m.held, 0) AS held, m.paid_at, m.back_at,
        coalesce(m.is_going_back, false) AS is_going_back,
        e.state AS enrolment, e.since AS enrolment_since, coalesce(e.has_seat, false) AS has_seat,
        coalesce(e.is_free, false) AS is_free,
        coalesce(c.completions, 0) AS completions, c.reported_at,
        coalesce(r.has_completed, false) AS register_has_completed,
        coalesce(d.credentials, 0) AS credentials,
        least(
            c.completed_on::timestamp AT TIME ZONE 'Asia/Jakarta',
            d.issued_on::timestamp AT TIME ZONE 'Asia/Jakarta',
            CASE WHEN e.state = 'completed' THEN e.state_at END) AS completed_at
    FROM pairs
    LEFT JOIN money m USING (learner_id, program_code)
    LEFT JOIN enrolled e USING (learner_id, program_code)
    LEFT JOIN of_classes c USING (learner_id, program_code)
    LEFT JOIN at_the_register r USING (learner_id, program_code)
    LEFT JOIN certified d USING (learner_id, program_code)
), begun AS (
    SELECT *,
        CASE WHEN held > 0 AND NOT has_seat THEN greatest(paid_at, enrolment_since) END
            AS since_paid_not_enrolled,
        CASE WHEN has_seat AND held = 0 AND NOT is_free
                AND (back_at IS NULL OR back_at < enrolment_since) THEN enrolment_since END
            AS since_enrolled_not_paid,
        CASE WHEN NOT register_has_completed THEN completed_at END
            AS since_completed_not_reported,
        CASE WHEN held = 0 AND NOT is_free THEN reported_at END
            AS since_reported_without_payment,
        CASE WHEN has_seat AND held = 0 AND NOT is_free AND back_at >= enrolment_since THEN back_at END
            AS since_refunded_still_enrolled
    FROM known
)
SELECT *,
    CASE WHEN since_paid_not_enrolled >= %(since)s THEN
        CASE WHEN is_going_back THEN 'infinity' ELSE since_paid_not_enrolled + %(enrol_within)s END END
        AS due_paid_not_enrolled,
    CASE WHEN since_enrolled_not_paid >= %(since)s THEN since_enrolled_not_paid + %(pay_within)s END
        AS due_enrolled_not_paid,
    CASE WHEN since_completed_not_reported >= %(since)s
        THEN since_completed_not_reported + %(report_within)s END AS due_completed_not_reported,
    CASE WHEN since_reported_without_payment >= %(since)s
        THEN since_reported_without_payment + %(pay_within)s END AS due_reported_without_payment,
    CASE WHEN since_refunded_still_enrolled >= %(since)s
        THEN since_refunded_still_enrolled + %(withdraw_within)s END AS due_refunded_still_enrolled
FROM begun"""

FOUND = """
CREATE TEMPORARY TABLE entitlement_found ON COMMIT DROP AS
SELECT p.learner_id, p.program_code, one.class, one.since,
    jsonb_strip_nulls(jsonb_build_object(
        'payments', p.payments, 'payments_held', p.held, 'enrolment', p.enrolment,
        'completions', p.completions, 'credentials', p.credentials)) AS facts
FROM entitlement_pairs p
CROSS JOIN LATERAL (VALUES
    ('paid_not_enrolled', since_paid_not_enrolled, due_paid_not_enrolled),
    ('enrolled_not_paid', since_enrolled_not_paid, due_enrolled_not_paid),
    ('completed_not_reported', since_completed_not_reported, due_completed_not_reported),
    ('reported_without_payment', since_reported_without_payment, due_reported_without_payment),
    ('refunded_still_enrolled', since_refunded_still_enrolled, due_refunded_still_enrolled)
) one (class, since, due)
WHERE one.due <= %(now)s"""

_DUES = """due_paid_not_enrolled, due_enrolled_not_paid, due_completed_not_reported,
    due_reported_without_payment, due_refunded_still_enrolled"""

VERDICTS = f"""
SELECT count(*),
    count(*) FILTER (WHERE first_due IS NULL),
    count(*) FILTER (WHERE first_due > %(now)s),
    count(*) FILTER (WHERE first_due <= %(now)s),
    count(*) FILTER (WHERE due_paid_not_enrolled > %(now)s),
    count(*) FILTER (WHERE due_enrolled_not_paid > %(now)s),
    count(*) FILTER (WHERE due_completed_not_reported > %(now)s),
    count(*) FILTER (WHERE due_reported_without_payment > %(now)s),
    count(*) FILTER (WHERE due_refunded_still_enrolled > %(now)s)
FROM (SELECT *, least({_DUES}) AS first_due FROM entitlement_pairs) p"""  # noqa: S608 - our own text

# The other side of the proof: the same counted from the tables themselves, each in its own way.
COUNTED = """
SELECT
    (SELECT count(*) FROM (
        SELECT e.learner_id, e.program_code FROM enrolments e WHERE e.learner_id IS NOT NULL
        UNION
        SELECT p.learner_id, p.program_code COLLATE "C" FROM payments p
        WHERE p.learner_id IS NOT NULL AND p.program_code IS NOT NULL AND p.id NOT IN (
            SELECT payment_id FROM enrolments WHERE learner_id IS NOT NULL AND payment_id IS NOT NULL)
        UNION
        SELECT c.learner_id, c.program_code COLLATE "C" FROM credentials c WHERE c.withdrawn_at IS NULL
        UNION
        SELECT w.learner_id, (SELECT t.program_code FROM training_programs t WHERE t.id = c.program_id)
        FROM persons w JOIN completions c ON c.person_id = w.id WHERE w.learner_id IS NOT NULL) pairs),
    (SELECT count(*) FROM enrolments WHERE learner_id IS NOT NULL AND payment_id IS NOT NULL)
        + (SELECT count(*) FROM payments WHERE learner_id IS NOT NULL AND program_code IS NOT NULL)
        - (SELECT count(DISTINCT p.id) FROM enrolments e JOIN payments p ON p.id = e.payment_id
           WHERE e.learner_id IS NOT NULL AND p.learner_id IS NOT NULL AND p.program_code IS NOT NULL),
    (SELECT count(*) FROM enrolments) - (SELECT count(*) FROM enrolments WHERE learner_id IS NULL),
    (SELECT count(*) FROM completions c
     WHERE (SELECT w.learner_id FROM persons w WHERE w.id = c.person_id) IS NOT NULL),
    (SELECT count(*) FROM credentials) - (SELECT count(*) FROM credentials WHERE withdrawn_at IS NOT NULL)"""

LOOKED_AT = """
SELECT count(*), count(DISTINCT (learner_id, program_code)), coalesce(sum(payments), 0),
    count(enrolment), coalesce(sum(completions), 0), coalesce(sum(credentials), 0)
FROM entitlement_pairs"""

LEFT_OUT = """
SELECT
    (SELECT count(*) FROM payments p WHERE (p.learner_id IS NULL OR p.program_code IS NULL)
        AND NOT EXISTS (SELECT FROM enrolments e WHERE e.payment_id = p.id AND e.learner_id IS NOT NULL)),
    (SELECT count(*) FROM completions c JOIN persons w ON w.id = c.person_id WHERE w.learner_id IS NULL)"""

# What was resolved and is found again is open again; what a person explained stays so while it is there.
REOPENED = """
WITH again AS (
    UPDATE entitlement_findings f SET state = 'open', closed_at = NULL, opened_at = %(now)s
    FROM entitlement_found n
    WHERE f.learner_id = n.learner_id AND f.program_code = n.program_code AND f.class = n.class
        AND f.state = 'resolved'
    RETURNING f.id, f.class
), noted AS (
    INSERT INTO entitlement_events (finding_id, at, from_state, to_state, actor, reason)
    SELECT id, %(now)s, 'resolved', 'open', %(actor)s, 'Found again.' FROM again)
SELECT class, count(*) FROM again GROUP BY class"""

KEPT = """
UPDATE entitlement_findings f SET last_run_id = %(run)s, since = n.since, facts = n.facts
FROM entitlement_found n
WHERE f.learner_id = n.learner_id AND f.program_code = n.program_code AND f.class = n.class"""

OPENED = """
WITH new AS (
    INSERT INTO entitlement_findings
        (learner_id, program_code, class, state, since, facts, opened_at, first_run_id, last_run_id)
    SELECT learner_id, program_code, class, 'open', since, facts, %(now)s, %(run)s, %(run)s
    FROM entitlement_found ORDER BY since, learner_id COLLATE "C", program_code, class
    ON CONFLICT ON CONSTRAINT entitlement_findings_identity DO NOTHING
    RETURNING id, class
), noted AS (
    INSERT INTO entitlement_events (finding_id, at, to_state, actor, reason)
    SELECT id, %(now)s, 'open', %(actor)s, 'Found.' FROM new)
SELECT class, count(*) FROM new GROUP BY class"""

RESOLVED = """
WITH gone AS (
    SELECT f.id, f.class, f.state FROM entitlement_findings f
    WHERE f.state <> 'resolved' AND NOT EXISTS (
        SELECT FROM entitlement_found n
        WHERE n.learner_id = f.learner_id AND n.program_code = f.program_code AND n.class = f.class)
), ended AS (
    UPDATE entitlement_findings f SET state = 'resolved', closed_at = %(now)s FROM gone WHERE f.id = gone.id
), noted AS (
    INSERT INTO entitlement_events (finding_id, at, from_state, to_state, actor, reason)
    SELECT id, %(now)s, state, 'resolved', %(actor)s, 'The difference is gone.' FROM gone)
SELECT class, count(*) FROM gone GROUP BY class"""

PRESENT = """
SELECT class, state, count(*) FROM entitlement_findings
WHERE last_run_id = %(run)s AND state <> 'resolved' GROUP BY class, state"""
FLAGGED = "SELECT class, count(*) FROM entitlement_found GROUP BY class"
