"""Clients as they are kept: what scopes allow, names, keys, endpoints and their signing secrets."""

import base64
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stack_at_work import wait_until
from standardwebhooks import Webhook

from common.errors import BadInput
from records import client as clients
from records.client import AREAS, SCOPES, ApiKey, Caller, allows
from records.db import connection, driver, unit_of_work

URL = "https://platform.example/events"


def saved(name: str = "platform", *scopes: str) -> str:
    """A client with that name; gives back its key."""
    with unit_of_work() as session:
        return clients.create(session, name, scopes or ["payments"])[1].text


def rotated() -> str:
    with unit_of_work() as session:
        return clients.rotate_secret(session, clients.named(session, "platform"))


def signing_secrets() -> list[str]:
    with unit_of_work() as session:
        return clients.signing_secrets(clients.named(session, "platform"))


@pytest.mark.parametrize(
    ("scopes", "wanted", "is_allowed"),
    [
        (["payments:read"], "payments:read", True),
        (["payments:read"], "payments:write", False),
        (["payments:read"], "payments", False),
        (["payments:write"], "payments:read", True),
        (["payments:write"], "payments", True),
        (["payments"], "payments:read", True),
        (["payments"], "payments:write", True),
        (["payments"], "refunds:read", False),
        (["*"], "learners:write", True),
        (["*"], "*", True),
        (list(AREAS), "*", True),
        (["payments", "refunds"], "*", False),
        (["refunds:read", "payments:read"], "payments:read", True),
        ([], "payments:read", False),
        (["payments:delete", "payments:", "", "bearers", "payment"], "payments:read", False),
    ],
)
def test_a_scope_allows(scopes: list[str], wanted: str, is_allowed: bool) -> None:
    assert allows(scopes, wanted) is is_allowed


def test_nobody_can_ask_for_a_scope_that_does_not_exist() -> None:
    with pytest.raises(KeyError):
        allows(["*"], "payments:delete")


some_scopes = st.lists(st.sampled_from(SCOPES), max_size=6)


@given(some_scopes, some_scopes, st.sampled_from(SCOPES))
def test_more_scopes_never_allow_less_and_nothing_comes_of_itself(
    some: list[str], more: list[str], wanted: str
) -> None:
    assert allows(some, wanted) <= allows(some + more, wanted)
    if allows(some, wanted) and wanted != "*":
        area = wanted.partition(":")[0]
        assert {wanted, area, f"{area}:read", f"{area}:write", "*"} & set(some)


@given(some_scopes, st.sampled_from(AREAS))
def test_who_may_write_may_read(some: list[str], area: str) -> None:
    assert allows(some, f"{area}:write") <= allows(some, f"{area}:read")
    assert allows(some, area) == (allows(some, f"{area}:read") and allows(some, f"{area}:write"))


def test_a_key_is_easy_to_spot_and_only_its_hash_is_kept(database: str) -> None:
    texts = {saved(f"c{n}") for n in range(20)}
    assert len(texts) == 20
    for text in texts:
        assert re.fullmatch(r"jbt_[a-z0-9]{12}_[A-Za-z0-9]{43}", text)
        _, key_id, secret = text.split("_")
        with unit_of_work() as session:
            assert session.get_one(ApiKey, key_id).hash == hashlib.sha256(secret.encode()).digest()


def test_scopes_are_kept_as_asked_for_each_once(database: str) -> None:
    saved("platform", "refunds:read", "payments", "refunds:read")
    with unit_of_work() as session:
        assert clients.named(session, "platform").scopes == ["refunds:read", "payments"]


@pytest.mark.parametrize("scopes", [["payments:delete"], ["payments:read", "Payments"], [""], []])
def test_an_unknown_scope_is_refused_and_the_possible_ones_are_named(
    database: str, scopes: list[str]
) -> None:
    with unit_of_work() as session, pytest.raises(BadInput) as refused:
        clients.create(session, "platform", scopes)
    if scopes:
        assert all(area in str(refused.value) for area in AREAS)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "é", "a\n", "x" * 65])
def test_a_name_that_cannot_be_is_refused(database: str, name: str) -> None:
    with unit_of_work() as session, pytest.raises(BadInput, match="1 to 64 characters"):
        clients.create(session, name, ["payments"])


def test_a_name_is_given_once_even_after_its_client_was_revoked(database: str) -> None:
    saved("A.b_c-9" + "x" * 57)
    saved()
    with unit_of_work() as session, pytest.raises(BadInput, match="clients new-key platform"):
        clients.create(session, "platform", ["payments"])
    with unit_of_work() as session:
        clients.revoke(session, clients.named(session, "platform"))
    with unit_of_work() as session, pytest.raises(BadInput, match="choose another name"):
        clients.create(session, "platform", ["payments"])


def test_a_revoked_client_gets_neither_key_nor_endpoint_and_stays_revoked_since_then(database: str) -> None:
    saved()
    with unit_of_work() as session:
        clients.revoke(session, clients.named(session, "platform"))
    with unit_of_work() as session:
        client = clients.named(session, "platform")
        since = client.revoked_at
        clients.revoke(session, client)
        assert client.revoked_at == since
        with pytest.raises(BadInput, match="revoked for good"):
            clients.new_key(session, client)
        with pytest.raises(BadInput, match="revoked for good"):
            clients.set_endpoint(session, client, URL)


def test_a_key_is_revoked_by_its_id_or_as_it_leaked_but_only_for_its_own_client(database: str) -> None:
    first, other = saved(), saved("other")
    with unit_of_work() as session:
        client = clients.named(session, "platform")
        second = clients.new_key(session, client)
        clients.revoke_key(session, client, first)
        clients.revoke_key(session, client, second.id)
        assert [clients.find(driver(session), text) for text in (first, second.text)] == [
            "revoked",
            "revoked",
        ]
        for strange in (other, "nope"):
            with pytest.raises(BadInput) as refused:
                clients.revoke_key(session, client, strange)
            assert strange not in str(refused.value)
        found = clients.find(driver(session), other)
        assert isinstance(found, Caller)
        assert found.name == "other"


def test_a_signing_secret_is_one_of_standard_webhooks_and_kept_sealed(database: str) -> None:
    saved()
    with unit_of_work() as session:
        client = clients.named(session, "platform")
        secret = clients.set_endpoint(session, client, URL)
        sealed = client.endpoint_secrets
    assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) >= 24
    assert Webhook(secret)
    assert sealed is not None
    assert secret.encode() not in sealed
    assert signing_secrets() == [secret]


def test_a_rotation_keeps_the_secret_before_and_no_older_one(database: str) -> None:
    saved()
    with unit_of_work() as session:
        first = clients.set_endpoint(session, clients.named(session, "platform"), URL)
    second = rotated()
    assert signing_secrets() == [second, first]
    third = rotated()
    assert signing_secrets() == [third, second]
    with unit_of_work() as session:
        client = clients.named(session, "platform")
        fourth = clients.set_endpoint(session, client, f"{URL}/2")
        assert client.endpoint_url == f"{URL}/2"
    assert signing_secrets() == [fourth, third]


def test_two_rotations_at_once_both_count(database: str) -> None:
    saved()
    with unit_of_work() as session:
        clients.set_endpoint(session, clients.named(session, "platform"), URL)
    with ThreadPoolExecutor(1) as pool:
        with unit_of_work() as session:
            client = clients.named(session, "platform")
            one = clients.rotate_secret(session, client)
            session.flush()
            another = pool.submit(rotated)
            wait_until(somebody_waits, "the other one to wait for us")
        two = another.result()
    assert signing_secrets() == [two, one]


def somebody_waits() -> bool:
    with connection() as db:
        waits = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return db.execute(waits).fetchone() is not None


def test_without_an_endpoint_there_is_no_secret(database: str) -> None:
    saved()
    with pytest.raises(BadInput, match="has no endpoint"):
        rotated()
    with unit_of_work() as session:
        clients.set_endpoint(session, clients.named(session, "platform"), URL)
    with unit_of_work() as session:
        client = clients.named(session, "platform")
        clients.remove_endpoint(session, client)
        assert (client.endpoint_url, client.endpoint_secrets) == (None, None)
    assert signing_secrets() == []
