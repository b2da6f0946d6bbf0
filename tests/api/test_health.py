"""Health for whoever watches: alive, ready, and in figures."""

from pathlib import Path

import httpx
import pytest
from api_world import every_class, execute
from prometheus_client.parser import text_string_to_metric_families

from common.settings import settings
from records import reconciliation
from records.db import unit_of_work


def metrics(client: httpx.Client) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {(s.name, *sorted(s.labels.values())): s.value for family in families for s in family.samples}


@pytest.fixture
def no_database(client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> httpx.Client:
    monkeypatch.setenv("JEMBATAN_DATABASE_URL", "postgresql://127.0.0.1:9/none")
    settings.cache_clear()
    return client


def test_it_is_alive_whatever_else_is_down(no_database: httpx.Client) -> None:
    assert no_database.get("/healthz").json() == {"status": "ok"}


def test_it_is_ready_with_prefect_down_and_says_so(client: httpx.Client, no_prefect: None) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready"
    assert answer.json()["prefect"] == {"reachable": False}


def test_it_is_not_ready_on_another_schema(client: httpx.Client, no_prefect: None) -> None:
    execute("UPDATE alembic_version SET version_num = 'older'")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"]["schema"] == "older"
    execute("DROP TABLE alembic_version")
    assert client.get("/readyz").json()["database"] == {
        "reachable": True,
        "schema": None,
        "schema_wanted": answer.json()["database"]["schema_wanted"],
    }


def test_it_is_not_ready_without_the_database(no_database: httpx.Client) -> None:
    answer = no_database.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["database"]["reachable"] is False


def test_without_the_database_a_request_is_told_to_come_back(no_database: httpx.Client) -> None:
    for path in ("/metrics", "/api/v1/processes"):
        answer = no_database.get(path)
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:jembatan:problem:database-unavailable"
        assert int(answer.headers["retry-after"]) > 0


def test_the_figures_are_those_of_the_records(client: httpx.Client, tmp_path: Path) -> None:
    statement = every_class(tmp_path)
    seen = metrics(client)
    assert seen["jembatan_process_runs", "reconcile-payments", "succeeded"] == 1
    assert seen["jembatan_exceptions_open", "amount_mismatch", "gopay"] == 1
    assert seen["jembatan_exceptions_at_risk_rupiah", "amount_mismatch", "gopay"] == 5000
    assert ("jembatan_exceptions_open", "gopay", "timing") not in seen
    assert 0 <= seen["jembatan_statement_age_seconds", "gopay"] < 60
    with unit_of_work() as session:
        whole = reconciliation.at_risk_minor(session, statement)
    assert sum(v for k, v in seen.items() if k[0] == "jembatan_exceptions_at_risk_rupiah") == whole / 100


def test_the_documentation_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs").text
    assert "://" not in page
    for path in ("/static/swagger/swagger-ui.css", "/static/swagger/swagger-ui-bundle.js", "/static/docs.js"):
        assert path in page
        assert client.get(path).status_code == 200
    described = client.get("/openapi.json").json()
    assert described["info"]["title"] == "Jembatan"
    assert "/api/v1/processes/{process_id}" in described["paths"]
