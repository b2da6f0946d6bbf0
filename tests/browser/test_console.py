"""The console as a finance officer meets it: in Chromium, with the mouse, by keyboard, on a phone."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from at_work import at_work
from chromium import needs_chromium, picture
from console_world import a_week
from refund_desk import Desk

from jembatan.stack import Stack
from records import client as clients
from records.db import unit_of_work

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = needs_chromium
OFFICER = ["exceptions:write", "refunds:write", "approvals:write"]


@dataclass
class Console:
    """The console at work, a desk behind it, and the keys of two people."""

    desk: Desk
    address: str
    keys: dict[str, str]

    def sign_in(self, page: "Page", name: str, path: str = "/console") -> None:
        """Sign in as one of the two, on the way to a page."""
        page.goto(self.address + path)
        page.get_by_label("Your key").fill(self.keys[name])
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("button", name="Sign out").wait_for()


@pytest.fixture
def console(
    parts: Stack, database: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Console]:
    """The API with the console, on a database with a week of business."""
    with at_work(parts, monkeypatch) as till:
        with unit_of_work() as session:
            keys = {name: clients.create(session, name, OFFICER)[1].text for name in ("rina", "budi")}
        a_week(tmp_path)
        yield Console(Desk(till), str(till.http.base_url), keys)


@pytest.fixture
def page(page: "Page") -> Iterator["Page"]:
    """A page that must not complain: no error in its console, no refused script or style."""
    said: list[str] = []
    page.on(
        "console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: said.append(str(error)))
    yield page
    expected = (
        "Failed to load resource: the server responded with a status of 4",
    )  # a form that was refused
    assert not [text for text in said if not text.startswith(expected)]


def test_look(console: Console, page: "Page", tmp_path: Path) -> None:
    page.goto(console.address + "/console")
    picture(page, "sign-in", tmp_path)
    console.sign_in(page, "rina")
    made = console.desk.paid(amount=1_500_000)
    pid = made["payment_id"]
    page.goto(f"{console.address}/console/payments/{pid}")
    picture(page, "payment", tmp_path, whole=True)
    page.get_by_label("Why").fill("Course was cancelled")
    page.get_by_role("button", name="Ask for the refund").click()
    page.get_by_role("status").wait_for()
    picture(page, "payment-asked", tmp_path, whole=True)
    page.get_by_role("link", name="See the question").click()
    page.wait_for_url("**/approvals/**")
    picture(page, "approval-own", tmp_path, whole=True)
    approval = page.url
    page.goto(console.address + "/console")
    picture(page, "start", tmp_path, whole=True)
    page.goto(console.address + "/console/exceptions")
    picture(page, "exceptions", tmp_path, whole=True)
    urls = {}
    for name, cls in (
        ("twice", "duplicate_at_gateway"),
        ("unknown", "missing_in_ledger"),
        ("absent", "missing_at_gateway"),
    ):
        page.goto(f"{console.address}/console/exceptions?class={cls}")
        page.locator("table.rows tbody a").first.click()
        page.wait_for_url("**/exceptions/*")
        urls[name] = page.url
        picture(page, f"exception-{name}", tmp_path, whole=True)
    page.get_by_role("button", name="End it").click()
    page.set_viewport_size({"width": 360, "height": 740})
    for name, path in {
        "start": f"{console.address}/console",
        "exceptions": f"{console.address}/console/exceptions",
        "approval": approval,
        "payment": f"{console.address}/console/payments/{pid}",
        **{f"exception-{n}": u for n, u in urls.items()},
    }.items():
        page.goto(path)
        picture(page, f"phone-{name}", tmp_path, whole=True)
        print(name, page.evaluate("document.documentElement.scrollWidth"))
