"""Who may call: keys, scopes, expiry, revocation, the rate, and what is told to whom."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Self

import httpx
import psycopg
import pytest
from api_world import execute

from api.access import allowed
from common import clock
from common.settings import settings
from records import client as clients
from records.client import ApiKey, NewKey
from records.db import at_once, database_url, engine, unit_of_work

PATH = "/api/v1/processes"
NOT_BY_CLIENTS = (
    "/callback"  # under /api/v1 too, but called by gateways and browsers with a proof of their own
)

Knock = Callable[..., httpx.Response]


@pytest.fixture
def knock(database: str, address: str) -> Knock:
    """Asks for the processes with a key, or with headers as given."""

    def ask(key: str | None = None, *headers: tuple[str, str]) -> httpx.Response:
        shown = [("Authorization", f"Bearer {key}")] if key is not None else []
        raw = [(name.encode(), value.encode()) for name, value in (*shown, *headers)]
        return httpx.get(f"{address}{PATH}", headers=raw)

    return ask


def made(name: str = "platform", *scopes: str, **how: Any) -> NewKey:
    with unit_of_work() as session:
        return clients.create(session, name, scopes or ["processes:read"], **how)[1]


def refused(answer: httpx.Response) -> str:
    """The detail of a 401, which must have everything that a 401 has."""
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    body = answer.json()
    assert (body["type"], body["status"]) == ("urn:jembatan:problem:unauthenticated", 401)
    detail: str = body["detail"]
    return detail


def test_a_key_with_the_scope_opens(knock: Knock) -> None:
    assert knock(made().text).status_code == 200


def test_the_word_bearer_is_read_in_any_case(knock: Knock) -> None:
    assert knock(None, ("authorization", f"bEARER {made().text}")).status_code == 200


def test_without_a_key_one_is_told_how_to_show_it(knock: Knock) -> None:
    assert refused(knock()) == "Send one API key as `Authorization: Bearer jbt_…`."
    for header in ("", "Basic amJ0OmtleQ==", made().text):
        assert refused(knock(None, ("Authorization", header))) == refused(knock())


def test_what_is_wrong_with_a_key_helps_nobody_to_guess_one(knock: Knock) -> None:
    key = made().text
    other_secret = key[:-1] + ("a" if key[-1] != "a" else "b")
    other_id = "jbt_" + "0" * 12 + key[16:]
    shapes = [
        "x",
        f"{key}x",
        key[:-1],
        key.upper(),
        key.replace("jbt_", "jbx_"),
        "jbt_%00_",
        f"{key} {key}",
        "é",
    ]
    told = {refused(knock(wrong)) for wrong in (other_secret, other_id, *shapes)}
    assert told == {"The API key is not valid."}


def test_two_keys_at_once_open_nothing(knock: Knock) -> None:
    key = made().text
    again = ("Authorization", f"Bearer {key}")
    assert "Send one API key" in refused(knock(key, again))
    assert "Send one API key" in refused(knock(None, ("Authorization", "Basic eDp5"), again))


def test_an_expired_key_says_so_to_who_knows_its_secret_only(knock: Knock) -> None:
    key = made(expires_at=clock.now()).text
    assert refused(knock(key)) == "The API key has expired."
    assert refused(knock(key[:-1] + ("a" if key[-1] != "a" else "b"))) == "The API key is not valid."
    assert knock(made("later", expires_at=clock.now() + timedelta(minutes=5)).text).status_code == 200


def test_a_revoked_key_is_shut_at_once_and_the_others_of_the_client_stay_open(knock: Knock) -> None:
    old = made()
    with unit_of_work() as session:
        new = clients.new_key(session, clients.named(session, "platform"))
    assert [knock(key.text).status_code for key in (old, new)] == [200, 200]
    with unit_of_work() as session:
        clients.revoke_key(session, clients.named(session, "platform"), old.id)
    assert refused(knock(old.text)) == "The API key is not valid."
    assert knock(new.text).status_code == 200


def test_a_revoked_client_is_shut_at_once_with_all_its_keys(knock: Knock) -> None:
    keys = [made()]
    with unit_of_work() as session:
        keys.append(clients.new_key(session, clients.named(session, "platform")))
    assert [knock(key.text).status_code for key in keys] == [200, 200]
    with unit_of_work() as session:
        clients.revoke(session, clients.named(session, "platform"))
    assert {refused(knock(key.text)) for key in keys} == {"The API key is not valid."}


def test_a_missing_scope_is_named(knock: Knock) -> None:
    answer = knock(made("platform", "payments", "refunds:write").text)
    assert answer.status_code == 403
    assert answer.json()["type"] == "urn:jembatan:problem:missing-scope"
    assert "`processes:read`" in answer.json()["detail"]


def test_a_scope_that_does_not_exist_protects_no_route() -> None:
    with pytest.raises(ValueError, match="payments:delete"):
        allowed("payments:delete")


def test_who_may_not_call_learns_nothing_about_the_request(knock: Knock, address: str) -> None:
    assert httpx.get(f"{address}{PATH}/x").status_code == 401
    assert httpx.get(f"{address}{PATH}?limit=0").status_code == 401


def test_too_many_requests_a_minute_are_told_when_to_come_back(knock: Knock) -> None:
    few, other = made("few", rate_per_minute=3), made("other", rate_per_minute=3)
    wrong = few.text[:-1] + ("a" if few.text[-1] != "a" else "b")
    assert {knock(wrong).status_code for _ in range(5)} == {401}  # who guesses uses nothing up
    assert [knock(few.text).status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = knock(few.text)
    assert answer.json()["type"] == "urn:jembatan:problem:too-many-requests"
    seconds = answer.headers["retry-after"]
    assert 1 <= int(seconds) <= 60
    shown = {name: answer.headers[f"ratelimit-{name}"] for name in ("limit", "remaining", "reset")}
    assert shown == {"limit": "3", "remaining": "0", "reset": seconds}
    assert knock(other.text).status_code == 200


def test_a_request_without_its_scope_counts_too(knock: Knock) -> None:
    key = made("few", "payments", rate_per_minute=2)
    assert [knock(key.text).status_code for _ in range(3)] == [403, 403, 429]


@pytest.fixture
def uses(database: str) -> Callable[[], list[Any]]:
    """Every time that was ever noted as the last use of a key."""
    execute("CREATE TABLE uses (at timestamptz)")
    execute(
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN INSERT INTO uses VALUES (NEW.last_used_at); RETURN NULL; END $$"
    )
    execute("CREATE TRIGGER noted AFTER UPDATE ON api_keys FOR EACH ROW EXECUTE FUNCTION noted()")

    def read() -> list[Any]:
        with psycopg.connect(database) as db:
            return [at for (at,) in db.execute("SELECT at FROM uses").fetchall()]

    return read


def test_fifty_requests_at_once_note_one_use(knock: Knock, uses: Callable[[], list[Any]]) -> None:
    key = made()
    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(lambda _: knock(key.text).status_code, range(50))) == {200}
    assert len(uses()) == 1
    execute("UPDATE api_keys SET last_used_at = last_used_at - interval '30 seconds'")
    knock(key.text)
    assert len(uses()) == 2  # that of the line above
    execute("UPDATE api_keys SET last_used_at = last_used_at - interval '31 seconds'")
    knock(key.text)
    assert len(uses()) == 4
    with unit_of_work() as session:
        assert session.get_one(ApiKey, key.id).last_used_at == max(uses())


def test_of_two_requests_that_find_it_time_to_note_the_use_the_later_leaves_it(
    database: str, uses: Callable[[], list[Any]]
) -> None:
    key, check, statements = made(), allowed("processes:read"), []

    def overtake(seen: str) -> None:
        """Another request comes and goes between this one's look at the row and its note."""
        statements.append(seen)
        if sum("UPDATE api_keys" in one for one in statements) == 1 and "UPDATE api_keys" in seen:
            check(key.text)

    with listening(overtake):
        check(key.text)
    assert sum("UPDATE api_keys" in one for one in statements) == 2
    assert len(uses()) == 1


@contextmanager
def listening(to: Callable[[str], None]) -> Iterator[None]:
    """Tells of each statement, before it goes to the database."""

    class Telling(psycopg.Cursor[Any]):
        def execute(self, query: Any, *more: Any, **options: Any) -> Self:
            to(query.decode() if isinstance(query, bytes) else str(query))
            return super().execute(query, *more, **options)

    with at_once() as one, at_once() as another:  # the next two requests get these
        one.cursor_factory = another.cursor_factory = Telling
    try:
        yield
    finally:
        engine(database_url()).dispose()


def test_a_use_is_not_noted_rather_than_waited_for(knock: Knock) -> None:
    key = made()
    with psycopg.connect(database_url()) as db:
        db.execute("SELECT FROM api_keys FOR UPDATE")
        assert knock(key.text).status_code == 200  # it would wait for this very transaction
    with unit_of_work() as session:
        assert session.get_one(ApiKey, key.id).last_used_at is None


def test_a_check_is_one_question_to_the_database(database: str) -> None:
    key, check, asked = made(), allowed("processes:read"), []
    check(key.text)  # the first one of the minute notes that the key is used
    with listening(asked.append):
        assert check(key.text).name == "platform"
    assert len(asked) == 1


def test_a_refused_key_is_not_noted_as_used(knock: Knock) -> None:
    key = made(expires_at=clock.now())
    knock(key.text)
    knock(key.text[:-1] + "_")
    with unit_of_work() as session:
        assert session.get_one(ApiKey, key.id).last_used_at is None


def test_keys_and_signing_secrets_are_in_no_row_no_log_and_no_answer(
    knock: Knock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    key = made()
    with unit_of_work() as session:
        client = clients.named(session, "platform")
        signing = clients.set_endpoint(session, client, "https://platform.example/events")
        signing_again = clients.rotate_secret(session, client)
    secret = key.text.rpartition("_")[2]
    answers = [knock(key.text), knock(f"{key.text}x"), knock(f"jbt_{'0' * 12}_{secret}")]
    with unit_of_work() as session:
        clients.revoke(session, clients.named(session, "platform"))
    answers.append(knock(key.text))
    rows = everything_stored()
    monkeypatch.setenv("JEMBATAN_DATABASE_URL", "postgresql://127.0.0.1:9/none")
    settings.cache_clear()
    answers.append(knock(key.text))
    assert [one.status_code for one in answers] == [200, 401, 401, 401, 503]
    said = "".join(f"{one.headers}{one.text}" for one in answers)
    for text in (secret, signing.removeprefix("whsec_"), signing_again.removeprefix("whsec_")):
        for form in (text, text.encode().hex()):
            assert form not in rows
            assert form not in said
            assert form not in caplog.text
    assert key.id in rows  # the rows were really read
    assert caplog.text
    assert secret not in repr(key)


def everything_stored() -> str:
    """Every row of every table, as text."""
    with psycopg.connect(database_url()) as db:
        tables = db.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        return "".join(
            str(row) for (table,) in tables for row in db.execute(f"SELECT t::text FROM {table} t".encode())
        )


def test_health_and_documentation_ask_for_no_key(database: str, address: str) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"):
        assert httpx.get(f"{address}{path}").status_code == 200


def test_the_documentation_names_the_scheme_and_the_scope_of_each_endpoint(address: str) -> None:
    for _ in range(2):  # it is made at the first request and kept for the second
        described = httpx.get(f"{address}/openapi.json").json()
        scheme = described["components"]["securitySchemes"]["ApiKey"]
        assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
        one = described["paths"][f"{PATH}/{{process_id}}"]["get"]
        assert one["security"] == [{"ApiKey": ["processes:read"]}]
        assert one["description"].endswith("\n\nNeeds the scope `processes:read`.")
        assert one["description"].count("Needs the scope") == 1
        assert {"Retry-After", "RateLimit-Limit"} <= one["responses"]["429"]["headers"].keys()


def test_every_endpoint_for_clients_asks_for_a_key_and_says_how_it_refuses(address: str) -> None:
    paths = httpx.get(f"{address}/openapi.json").json()["paths"]
    for path, operations in paths.items():
        for operation in operations.values():
            if not path.startswith("/api/") or NOT_BY_CLIENTS in path:
                assert "security" not in operation, path
            else:
                assert len(operation["security"]) == 1, path
                assert {"401", "403", "429"} <= operation["responses"].keys(), path
