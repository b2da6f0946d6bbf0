"""What must agree across rooms: names, schedules, gateways, layouts."""

import importlib
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from api import relay
from common.settings import GATEWAYS, settings
from deployments import names
from providers.reports.layout import FIELDS, layouts

ROOT = Path(__file__).parents[2]
PREFECT = yaml.safe_load((ROOT / "prefect.yaml").read_text())


def flow_of(deployment: dict[str, Any]) -> Any:
    """The flow behind a deployment's entrypoint."""
    module, _, name = deployment["entrypoint"].rpartition(".")
    return getattr(importlib.import_module(module), name)


@cache
def deployments() -> dict[str, dict[str, Any]]:
    """What is registered, by its whole name; every process collects this file, and few load the flows."""
    return {f"{flow_of(one).name}/{one['name']}": one for one in PREFECT["deployments"]}


@cache
def flows() -> dict[str, Any]:
    return {flow.name: flow for flow in map(flow_of, PREFECT["deployments"])}


def test_prefect_yaml_registers_the_names_that_others_use() -> None:
    said = {value for name, value in vars(names).items() if name.isupper()}
    assert set(deployments()) == {value for value in said if "/" in value}
    assert set(flows()) == {value for value in said if "/" not in value} - {names.WORK_POOL}
    assert {one["work_pool"]["name"] for one in deployments().values()} == {names.WORK_POOL}


def test_every_flow_can_be_started_on_demand_and_by_the_relay() -> None:
    assert {f"{name}/on-demand" for name in flows()} <= set(deployments())
    assert {name: f"{name}/on-demand" for name in flows()} == relay.DEPLOYMENTS


def test_the_sweep_comes_each_minute() -> None:
    (schedule,) = deployments()[names.SWEEP_SCHEDULED]["schedules"]
    assert schedule["cron"] == "* * * * *"


def test_the_night_has_one_run_for_each_gateway_at_two_in_jakarta() -> None:
    schedules = deployments()[names.RECONCILE_NIGHTLY]["schedules"]
    assert [one["parameters"] for one in schedules] == [
        {"gateway": name, "skip_if_done": True} for name in GATEWAYS
    ]
    assert {(one["cron"], one["timezone"]) for one in schedules} == {("0 2 * * *", "Asia/Jakarta")}
    assert len({one["slug"] for one in schedules}) == len(GATEWAYS)


def test_the_form_offers_every_gateway_and_explains_every_field() -> None:
    from prefect.utilities.callables import parameter_schema

    from flows.wallet import Wallet

    assert [one.value for one in Wallet] == list(GATEWAYS)
    for name, flow in flows().items():
        schema = parameter_schema(flow).model_dump()
        for member, field in schema["properties"].items():
            assert field.get("description"), (name, member)
        assert not schema.get("required"), name


def test_every_configured_layout_is_shipped_and_complete() -> None:
    shipped = {layout.name: layout for layout in layouts()}
    for name in GATEWAYS:
        assert settings().gateway(name).report.layout in shipped
    assert set(shipped["canonical"].columns) == set(FIELDS)
