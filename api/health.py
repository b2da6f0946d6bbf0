"""Is it alive, is it ready, and what the monitoring counts. No sign-in: nothing here names a payment."""

from collections.abc import Iterable
from typing import Literal

import sqlalchemy as sa
from alembic.script import ScriptDirectory
from fastapi import APIRouter
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector
from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict
from starlette.responses import Response

from api import figures, prefect_server
from api.problem_kinds import OURS, described
from common import clock
from common.errors import NotReachable
from deployments.names import SWEEP_FLOW
from records import charge, notification, platform_events
from records.db import MIGRATIONS, unit_of_work
from records.process import ProcessRun

router = APIRouter(tags=["health"])


_FIGURES = """# HELP jembatan_payments_open Payments that are not final
# TYPE jembatan_payments_open gauge
jembatan_payments_open 12.0
"""


_READY: JsonDict = {
    "status": "ready",
    "database": {"reachable": True, "schema": "0003", "schema_wanted": "0003"},
    "prefect": {"reachable": True},
}


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = Field("ok", description="Nothing else is ever said", examples=["ok"])


class Database(BaseModel):
    """How our database is."""

    reachable: bool = Field(description="Whether it answers", examples=[True])
    # `schema` is an attribute of every pydantic model already.
    schema_: str | None = Field(alias="schema", description="The schema that it has", examples=["0003"])
    schema_wanted: str | None = Field(description="The schema of this version", examples=["0003"])


class Prefect(BaseModel):
    """How the Prefect server is."""

    reachable: bool = Field(
        description="Whether it answers; what is asked for is kept if not", examples=[True]
    )


class Readiness(BaseModel):
    """What is there of all that requests need."""

    model_config = ConfigDict(json_schema_extra={"examples": [_READY]})

    status: Literal["ready", "not ready"] = Field(description="Ready: the database is, with its schema")
    database: Database = Field(description="Without it nothing is accepted")
    prefect: Prefect = Field(description="Only reported")


@router.get("/healthz", summary="Alive", response_description="Alive")
def healthz() -> Alive:
    """The process answers; nothing else is looked at."""
    return Alive()


@router.get(
    "/readyz",
    summary="Ready",
    response_model=Readiness,
    response_description="Ready",
    responses={
        503: {"model": Readiness, "description": "The database does not answer, or has another schema"}
    },
)
def readyz() -> JSONResponse:
    """Ready: the database answers and its schema is ours. Prefect is only reported, as requests are
    accepted while it is down and handed over once it is back."""
    wanted = ScriptDirectory(str(MIGRATIONS)).get_current_head()
    database = {"reachable": True, "schema": None, "schema_wanted": wanted}
    try:
        with unit_of_work() as session:
            database["schema"] = session.scalar(sa.text("SELECT version_num FROM alembic_version"))
    except (NotReachable, sa.exc.OperationalError):
        database["reachable"] = False
    except sa.exc.ProgrammingError:  # no such table: the schema was never brought up
        pass
    is_ready = database["schema"] == wanted
    body = {
        "status": "ready" if is_ready else "not ready",
        "database": database,
        "prefect": {"reachable": prefect_server.is_reachable()},
    }
    return JSONResponse(body, 200 if is_ready else 503)


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    response_description="The figures, in the text format of Prometheus",
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": _FIGURES}}},
        **described(*OURS, as_page=True),
    },
)
def metrics() -> Response:
    """Process runs by state, open exceptions and the money that they speak of, age of the statements."""
    registry = CollectorRegistry()
    registry.register(_Business())
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_PLAIN_0_0_4)


class _Business(Collector):
    """Reads the figures at the moment when somebody asks."""

    def describe(self) -> list[Metric]:
        """Nothing: so that registering does not read."""
        return []

    def collect(self) -> Iterable[Metric]:
        """All families, each from one grouped query."""
        runs = GaugeMetricFamily(
            "jembatan_process_runs", "Process runs by process and state", labels=["process", "state"]
        )
        is_open = GaugeMetricFamily(
            "jembatan_exceptions_open", "Open exceptions of reconciliations", labels=["gateway", "class"]
        )
        at_risk = GaugeMetricFamily(
            "jembatan_exceptions_at_risk_rupiah",
            "Money that the open exceptions speak of, in rupiah",
            labels=["gateway", "class"],
        )
        age = GaugeMetricFamily(
            "jembatan_statement_age_seconds",
            "Seconds since the newest statement that balances was recorded",
            labels=["gateway"],
        )
        told = GaugeMetricFamily(
            "jembatan_notifications",
            "Notifications of gateways that wait to be worked, or were put aside for a person",
            labels=["gateway", "state"],
        )
        open_payments = GaugeMetricFamily("jembatan_payments_open", "Payments that are not final")
        oldest = GaugeMetricFamily(
            "jembatan_payments_open_oldest_seconds", "Age of the oldest payment that is not final"
        )
        events = GaugeMetricFamily(
            "jembatan_platform_events",
            "Events for the platform that are not delivered, by client and state",
            labels=["client", "state"],
        )
        sweep = GaugeMetricFamily(
            "jembatan_sweep_age_seconds", "Seconds since the newest sweep of the payments ended well"
        )
        with unit_of_work() as session:
            ended = sa.select(sa.func.max(ProcessRun.ended_at)).where(
                ProcessRun.process == SWEEP_FLOW, ProcessRun.state == "succeeded"
            )
            if (newest := session.scalar(ended)) is not None:
                sweep.add_metric([], (clock.now() - newest).total_seconds())
            for client, state, count in platform_events.undelivered(session):
                events.add_metric([client, state], count)
            for gateway, state, count in notification.counts(session):
                told.add_metric([gateway, state], count)
            still = charge.still_open(session)
            open_payments.add_metric([], still.count)
            if still.oldest is not None:
                oldest.add_metric([], (clock.now() - still.oldest).total_seconds())
            counted = sa.select(ProcessRun.process, ProcessRun.state, sa.func.count())
            for process, state, count in session.execute(
                counted.group_by(ProcessRun.process, ProcessRun.state)
            ):
                runs.add_metric([process, state], count)
            for gateway, name, count, minor in figures.open_by_gateway(session):
                is_open.add_metric([gateway, name], count)
                at_risk.add_metric([gateway, name], minor / 100)
            for gateway, seconds in figures.statement_ages(session):
                age.add_metric([gateway], seconds)
        return [runs, is_open, at_risk, age, told, open_payments, oldest, sweep, events]
