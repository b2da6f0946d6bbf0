"""The checklist of the README names every system, flow and endpoint, and tests that are there."""

import ast
import re
from functools import cache
from pathlib import Path

from test_house import deployments

from api.app import app
from common.settings import GATEWAYS, SERVICES
from providers.snap.profiles import PROFILES

ROOT = Path(__file__).parents[2]
TESTS = {path.name: path for path in (ROOT / "tests").rglob("test_*.py")}


@cache
def operations() -> set[str]:
    return {
        f"{method.upper()} {path}" for path, methods in app.openapi()["paths"].items() for method in methods
    }


def rows() -> list[tuple[str, str]]:
    """Of each line of the table: where it is, and what shows it."""
    section = (
        (ROOT / "README.md").read_text(encoding="utf-8").split("\n## The checklist\n")[1].split("\n## ")[0]
    )
    cells = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [(where, shown) for _, where, shown in cells[1:]]


def named(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


@cache
def functions(file: str) -> set[str]:
    """The tests of a file."""
    tree = ast.parse(TESTS[file].read_text(encoding="utf-8"))
    return {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)}


def test_every_operation_deployment_and_system_is_in_the_checklist() -> None:
    there = {name for where, _ in rows() for name in named(where)}
    assert sorted(operations() - there) == []
    assert sorted(deployments().keys() - there) == []
    assert sorted({*GATEWAYS, *SERVICES, *PROFILES} - there) == []


def test_the_checklist_names_nothing_that_is_not_there() -> None:
    for where, shown in rows():
        for name in named(where):
            if re.match(r"(GET|POST|PUT|PATCH|DELETE) /", name):
                assert name in operations()
            elif "/" in name and not name.startswith("/"):
                assert name in deployments()
        assert named(shown), where
        file = ""
        for test in named(shown):
            file, name = test.split("::")[0] or file, test.split("::")[1]
            assert name in functions(file), test
