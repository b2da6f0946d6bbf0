"""What must agree across rooms: names, schedules, gateways, layouts."""

from pathlib import Path

import yaml

from common.settings import GATEWAYS, settings
from deployments import names
from providers.reports.layout import FIELDS, layouts

ROOT = Path(__file__).parents[2]
PREFECT = yaml.safe_load((ROOT / "prefect.yaml").read_text())
DEPLOYMENTS = {one["name"]: one for one in PREFECT["deployments"]}


def test_prefect_yaml_registers_the_names_that_others_use() -> None:
    flow = names.RECONCILE_FLOW
    assert {f"{flow}/{name}" for name in DEPLOYMENTS} == {names.RECONCILE_NIGHTLY, names.RECONCILE_ON_DEMAND}
    assert {one["work_pool"]["name"] for one in DEPLOYMENTS.values()} == {names.WORK_POOL}


def test_the_night_has_one_run_for_each_gateway_at_two_in_jakarta() -> None:
    schedules = DEPLOYMENTS["nightly"]["schedules"]
    assert [one["parameters"] for one in schedules] == [
        {"gateway": name, "skip_if_done": True} for name in GATEWAYS
    ]
    assert {(one["cron"], one["timezone"]) for one in schedules} == {("0 2 * * *", "Asia/Jakarta")}
    assert len({one["slug"] for one in schedules}) == len(GATEWAYS)


def test_the_form_offers_every_gateway_and_explains_every_field() -> None:
    from prefect.utilities.callables import parameter_schema

    from flows.reconcile_payments import Wallet, reconcile_payments

    assert [one.value for one in Wallet] == list(GATEWAYS)
    schema = parameter_schema(reconcile_payments).model_dump()
    for name, field in schema["properties"].items():
        assert field.get("description"), name
    assert not schema.get("required")


def test_every_configured_layout_is_shipped_and_complete() -> None:
    shipped = {layout.name: layout for layout in layouts()}
    for name in GATEWAYS:
        assert settings().gateway(name).report.layout in shipped
    assert set(shipped["canonical"].columns) == set(FIELDS)
