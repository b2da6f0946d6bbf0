"""What must agree across rooms: names, schedules, gateways, layouts."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.settings import GATEWAYS, settings
from deployments import names
from providers.reports.layout import FIELDS, layouts

ROOT = Path(__file__).parents[2]
PREFECT = yaml.safe_load((ROOT / "prefect.yaml").read_text())


def flow_of(deployment: dict[str, Any]) -> Any:
    """The flow behind a deployment's entrypoint."""
    module, _, name = deployment["entrypoint"].rpartition(".")
    return getattr(importlib.import_module(module), name)


DEPLOYMENTS = {f"{flow_of(one).name}/{one['name']}": one for one in PREFECT["deployments"]}
FLOWS = {flow.name: flow for flow in map(flow_of, PREFECT["deployments"])}


def test_prefect_yaml_registers_the_names_that_others_use() -> None:
    said = {value for name, value in vars(names).items() if name.isupper()}
    assert set(DEPLOYMENTS) == {value for value in said if "/" in value}
    assert set(FLOWS) == {value for value in said if "/" not in value} - {names.WORK_POOL}
    assert {one["work_pool"]["name"] for one in DEPLOYMENTS.values()} == {names.WORK_POOL}


def test_every_flow_can_be_started_on_demand() -> None:
    assert {f"{name}/on-demand" for name in FLOWS} <= set(DEPLOYMENTS)


def test_the_sweep_comes_each_minute() -> None:
    (schedule,) = DEPLOYMENTS[names.SWEEP_SCHEDULED]["schedules"]
    assert schedule["cron"] == "* * * * *"


def test_the_night_has_one_run_for_each_gateway_at_two_in_jakarta() -> None:
    schedules = DEPLOYMENTS[names.RECONCILE_NIGHTLY]["schedules"]
    assert [one["parameters"] for one in schedules] == [
        {"gateway": name, "skip_if_done": True} for name in GATEWAYS
    ]
    assert {(one["cron"], one["timezone"]) for one in schedules} == {("0 2 * * *", "Asia/Jakarta")}
    assert len({one["slug"] for one in schedules}) == len(GATEWAYS)


@pytest.mark.parametrize("name", sorted(FLOWS))
def test_the_form_offers_every_gateway_and_explains_every_field(name: str) -> None:
    from prefect.utilities.callables import parameter_schema

    from flows.wallet import Wallet

    assert [one.value for one in Wallet] == list(GATEWAYS)
    schema = parameter_schema(FLOWS[name]).model_dump()
    for name, field in schema["properties"].items():
        assert field.get("description"), name
    assert not schema.get("required")


def test_every_configured_layout_is_shipped_and_complete() -> None:
    shipped = {layout.name: layout for layout in layouts()}
    for name in GATEWAYS:
        assert settings().gateway(name).report.layout in shipped
    assert set(shipped["canonical"].columns) == set(FIELDS)
