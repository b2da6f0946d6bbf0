"""The API on a fresh database, and one real Prefect server for all tests that hand something over."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import psycopg
import pytest
from api_world import Day, every_class
from console_browser import SIGN_IN, Browser, Person, key_of

from api import figures, relay
from api.console import signing_in
from common.settings import settings
from deployments.names import RECONCILE_FLOW, REFUND_FLOW
from jembatan.stack import Stack
from records import client as clients
from records import reconciliation
from records.db import engine, unit_of_work

if TYPE_CHECKING:
    from tried import World

FreshDatabase = Callable[[], AbstractContextManager[str]]
PARAMETERS = {
    "type": "object",
    "required": ["gateway"],
    "properties": {
        "gateway": {"type": "string", "enum": ["gopay", "ovo", "linkaja"]},
        "business_date": {"type": "string", "format": "date"},
        "source": {"type": "string"},
        "layout": {"type": "string"},
        "allow_empty": {"type": "boolean"},
    },
}

REFUND_PARAMETERS = {
    "type": "object",
    "properties": {"processes": {"type": "array", "items": {"type": "string", "format": "uuid"}}},
}


@pytest.fixture
def client(database: str, address: str) -> Iterator[httpx.Client]:
    """Calls the API, with a key that may do everything."""
    with unit_of_work() as session:
        _, key = clients.create(session, "tests", ["*"])
    headers = {"Accept": "application/json", "Authorization": f"Bearer {key.text}"}
    with httpx.Client(base_url=address, headers=headers, timeout=60) as calling:
        yield calling


@pytest.fixture
def reader(client: httpx.Client, nobody_tried_before: None) -> httpx.Client:
    """The same, signed in to the console besides."""
    signed_in(client)
    return client


def signed_in(client: httpx.Client) -> None:
    """Sign a client in to the console with its own key."""
    key = client.headers["Authorization"].removeprefix("Bearer ")
    answer = client.post(SIGN_IN, data={"key": key})
    assert answer.headers["location"] == "/console", answer.text


@pytest.fixture(scope="session")
def day(server: str, template: str, address: str, tmp_path_factory: pytest.TempPathFactory) -> Day:
    """What many tests only read, made once, on a database of its own."""
    url = server.replace("/jembatan", "/test_day", 1)
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE test_day TEMPLATE {template}".encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JEMBATAN_DATABASE_URL", url)
        settings.cache_clear()
        statement = every_class(tmp_path_factory.mktemp("day"))
        with unit_of_work() as session:
            at_risk = reconciliation.at_risk_minor(session, statement)
            by_class = figures.by_class(session, statement)

        with unit_of_work() as session:
            headers = {"Authorization": f"Bearer {clients.create(session, 'day', ['*'])[1].text}"}
        with httpx.Client(base_url=address, headers=headers) as finance:
            signed_in(finance)

            def read(path: str) -> httpx.Response:
                return finance.get(f"/reconciliations/{path}").raise_for_status()

            shown = Day(
                statement,
                read(str(statement)).text,
                read(f"{statement}/exceptions.csv").content,
                read("").text,
                at_risk,
                by_class,
            )
    engine(url).dispose()
    settings.cache_clear()
    return shown


@pytest.fixture(scope="module")
def world(fresh_database: FreshDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator["World"]:
    """What schemathesis tries the API in; to load it takes a while, and few need it."""
    from tried import a_world

    with a_world(fresh_database, tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="session")
def deployed(parts: Stack) -> dict[str, str]:
    """Deployments of two flows on the shared Prefect server, which no worker serves. Their name is known here
    only: what the desks of other tests ask for, that server does not take."""
    made = {}
    for flow, parameters in ((RECONCILE_FLOW, PARAMETERS), (REFUND_FLOW, REFUND_PARAMETERS)):
        url, name = parts.prefect_api_url, f"of-{uuid4()}"
        flow_id = httpx.post(f"{url}/flows/", json={"name": flow}).json()["id"]
        deployment = {
            "name": name,
            "flow_id": flow_id,
            "enforce_parameter_schema": True,
            "parameter_openapi_schema": parameters,
        }
        httpx.post(f"{url}/deployments/", json=deployment).raise_for_status()
        made[flow] = f"{flow}/{name}"
    return made


@pytest.fixture
def prefect(
    database: str, parts: Stack, deployed: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    """The relay hands over to those deployments; asks the server what it knows."""
    for flow, name in deployed.items():
        monkeypatch.setitem(relay.DEPLOYMENTS, flow, name)
    with httpx.Client(base_url=str(parts.prefect_api_url), timeout=60) as asking:
        yield asking


@pytest.fixture
def no_prefect(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Our settings point at a Prefect server that is down."""
    monkeypatch.setenv("JEMBATAN_PREFECT_API_URL", "http://127.0.0.1:9/api")
    settings.cache_clear()


@pytest.fixture
def nobody_tried_before() -> Iterator[None]:
    """No address has tried a wrong key."""
    signing_in._wrong.clear()
    yield
    signing_in._wrong.clear()


@pytest.fixture
def person(client: httpx.Client, nobody_tried_before: None) -> Iterator[Person]:
    """Signs people in, each in a browser of their own."""
    opened: list[Browser] = []

    def sign_in(name: str, *scopes: str) -> Browser:
        browser = Browser(base_url=client.base_url, headers={"Accept": "text/html"})
        opened.append(browser)
        answer = browser.post(SIGN_IN, data={"key": key_of(name, *scopes).text})
        assert (answer.status_code, answer.headers["location"]) == (303, "/console"), answer.text
        return browser

    yield sign_in
    for browser in opened:
        browser.close()


@pytest.fixture
def rina(person: Person) -> Browser:
    return person("rina")
