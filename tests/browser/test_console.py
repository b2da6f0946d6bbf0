"""The console as a finance officer meets it: in Chromium, with the mouse, by keyboard, on a phone."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from at_work import at_work
from chromium import needs_chromium, picture
from console_world import a_learner, a_week
from refund_desk import Desk, rows, worked
from till import an_invoice, wait_until

from jembatan.stack import Stack
from records import client as clients
from records.db import unit_of_work

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = needs_chromium
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
OFFICER = ["exceptions:write", "refunds:write", "approvals:write", "learners:read"]


@dataclass
class Console:
    """The console at work, a desk behind it, and the keys of two people."""

    desk: Desk
    address: str
    keys: dict[str, str]

    def sign_in(self, page: "Page", name: str, path: str = "/console") -> None:
        """Sign in as one of the two, on the way to a page."""
        page.goto(path)
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
def page(console: Console, browser: "Browser") -> Iterator["Page"]:
    """A page of a fresh window that must not complain: of no script, and of nothing forbidden."""
    window = browser.new_context(viewport={"width": 1280, "height": 1100}, base_url=console.address)
    page = window.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    yield page
    window.close()
    refused = "error: Failed to load resource: the server responded with a status of 4"  # as a form may be
    assert not [text for text in said if text.startswith(("error", "warning")) and refused not in text]


def wide(page: "Page") -> int:
    """How wide the page is, whatever the window."""
    return int(page.evaluate("document.documentElement.scrollWidth"))


def first_of(page: "Page", class_: str, type: str = "payment") -> str:
    """The address of the first open exception of a class."""
    page.goto(f"/console/exceptions?class={class_}&type={type}")
    found = page.locator("table.rows tbody a").first.get_attribute("href")
    assert found
    return found


def asked_for(console: Console, page: "Page") -> tuple[dict[str, Any], str]:
    """A payment of Rp 1,500,000 and the address of the question about its refund, asked for by hand."""
    made = console.desk.till.create(amount=1_500_000, reference=an_invoice())
    console.desk.till.act(made, "pay")
    console.desk.till.becomes(made, "paid")
    page.goto(f"/console/payments/{made['payment_id']}")
    page.get_by_label("Why").fill("Course was cancelled")
    page.get_by_role("button", name="Ask for the refund").click()
    page.get_by_text("goes back once a second person has approved it").wait_for()
    page.get_by_role("link", name="See the question to a second person").click()
    page.get_by_role("heading", name="Take it back").wait_for()
    return made, page.url


@pytest.mark.slow
def test_a_filter_shows_its_list_without_loading_the_page_anew(
    console: Console, page: "Page", tmp_path: Path
) -> None:
    console.sign_in(page, "rina", "/console/exceptions")
    assert page.url.endswith("/console/exceptions")
    page.evaluate("window.stayed = true")
    picture(page, "console-exceptions", tmp_path)
    before = page.get_by_role("status").inner_text()
    page.get_by_label("Wallet").select_option("linkaja")
    page.wait_for_url("**gateway=linkaja**")
    page.wait_for_function("text => document.querySelector('.sum-up').innerText !== text", arg=before)
    assert page.evaluate("window.stayed")
    assert set(page.locator("td[data-label=Wallet]").all_inner_texts()) == {"LinkAja"}
    page.get_by_label("At risk, at least (Rp)").fill("much")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name="Write whole rupiah in digits").wait_for()
    page.go_back()
    page.locator("table.rows td").get_by_text("LinkAja", exact=True).first.wait_for()


def test_a_refund_above_the_limit_is_asked_for_by_one_and_approved_by_another(
    console: Console, page: "Page", browser: "Browser", tmp_path: Path
) -> None:
    console.sign_in(page, "rina")
    made, question = asked_for(console, page)
    assert page.get_by_role("button", name="Approve").count() == 0
    assert "somebody else has to approve it" in page.inner_text("main")
    forged = page.evaluate(
        """async () => {
            const fields = new URLSearchParams(new FormData(document.querySelector("form.work")))
            fields.set("word", "approve")
            const answer = await fetch(location.pathname + "/decide", {method: "POST", body: fields})
            return [answer.status, await answer.text()]
        }"""
    )
    assert forged[0] == 403
    assert "You asked for this yourself" in forged[1]
    assert rows(made["payment_id"])[0].status == "awaiting_approval"
    with browser.new_context(viewport={"width": 1280, "height": 1000}, base_url=console.address) as window:
        other = window.new_page()
        console.sign_in(other, "budi")
        other.get_by_role("link", name=f"Give back Rp 1,500,000 of {made['reference']}").click()
        other.get_by_role("heading", name="Decide").wait_for()
        other.get_by_label("Why").fill("Seen the cancellation of the course")
        picture(other, "console-approval", tmp_path)
        other.get_by_role("button", name="Approve").click()
        other.get_by_text("Approved. What you allowed has begun.").wait_for()
        assert other.url.startswith(question)
    wait_until(
        lambda: worked() is not None and rows(made["payment_id"])[0].status == "confirmed", "the refund"
    )
    page.goto(f"/console/payments/{made['payment_id']}")
    assert "given back" in page.inner_text(".card.refund")
    assert "Rp 1,500,000" in page.inner_text(".figures")
    assert console.desk.given_back(made) == ["1500000.00"]


@pytest.mark.slow
def test_an_exception_is_ended_by_keyboard_alone(console: Console, page: "Page", tmp_path: Path) -> None:
    page.goto("/console")
    focus = "document.activeElement"

    def tab_to(what: str) -> None:
        for _ in range(40):
            page.keyboard.press("Tab")
            style = page.evaluate(f"getComputedStyle({focus}).outlineStyle")
            assert style != "none", page.evaluate(f"{focus}.outerHTML")
            if what in page.evaluate(f"{focus}.outerHTML"):
                return
        raise AssertionError(f"{what} is not reached by Tab")

    page.keyboard.press("Tab")
    assert page.evaluate(f"{focus}.innerText") == "Skip to the content"
    page.keyboard.press("Enter")
    tab_to('name="key"')
    page.keyboard.insert_text(console.keys["rina"])
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Sign out").wait_for()
    page.goto(first_of(page, "amount_mismatch"))
    picture(page, "console-exception", tmp_path)
    tab_to('value="explain"')
    page.keyboard.press("Space")
    tab_to('name="reason"')
    page.keyboard.insert_text("A discount of that day; FIN-118")
    tab_to(">End it<")
    page.keyboard.press("Enter")
    page.get_by_text("Done: it is explained by a person.").wait_for()
    assert "A discount of that day; FIN-118" in page.inner_text(".story")


def test_a_learner_is_found_and_a_difference_explained_by_keyboard(console: Console, page: "Page") -> None:
    a_learner()
    console.sign_in(page, "rina", "/console/learners")
    page.get_by_role("textbox").focus()
    page.keyboard.insert_text("learner-4711")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Welding, level II").wait_for()
    assert page.locator(".stage h3").count() == 7
    page.get_by_role("link", name="Reported without payment").press("Enter")
    page.get_by_label("Why it is right as it is").focus()
    page.keyboard.insert_text("Pays by invoice; FIN-118")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Explained. It stays so").wait_for()


def test_everything_works_without_javascript(console: Console, browser: "Browser") -> None:
    with browser.new_context(base_url=console.address, java_script_enabled=False) as window:
        page = window.new_page()
        console.sign_in(page, "rina", "/console/exceptions")
        page.get_by_label("Wallet").select_option("ovo")
        page.get_by_label("What it is").select_option("amount_mismatch")
        page.get_by_role("button", name="Show").click()
        page.locator("table.rows tbody a").first.click()
        page.get_by_label("Explain").check()
        page.get_by_role("textbox", name="Why").fill("FIN-118")
        page.get_by_role("button", name="End it").click()
        page.get_by_text("Done: it is explained by a person.").wait_for()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_text("You are signed out.").wait_for()


@pytest.mark.slow
def test_every_page_fits_a_phone_and_has_no_barriers(console: Console, page: "Page", tmp_path: Path) -> None:
    from axe_playwright_python.sync_playwright import Axe

    barriers: dict[str, Any] = {}

    def look_for_barriers(name: str) -> None:
        """By daylight and in the dark."""
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)
            barriers[f"{name}, {scheme}"] = Axe().run(page, options=RULES)

    page.goto("/console/sign-in")
    look_for_barriers("sign-in")
    console.sign_in(page, "rina")
    _, question = asked_for(console, page)
    learner, finding = a_learner()
    page.goto("/reconciliations/")
    statement = page.locator("table.list tbody a").first.get_attribute("href") or ""
    seen = {
        "start": "/console",
        "exceptions": "/console/exceptions",
        "fault": "/console/exceptions?from=2026-11-25&to=2026-11-24&risk=x",
        "exception": first_of(page, "amount_mismatch"),
        "line": first_of(page, "missing_in_ledger"),
        "second-charge": first_of(page, "duplicate_at_gateway"),
        "payout": first_of(page, "amount_mismatch", "payout"),
        "payout-entry": first_of(page, "missing_in_ledger", "payout"),
        "approvals": "/console/approvals?state=all",
        "approval": question,
        "payments": "/console/payments",
        "payment": f"/console/payments/{console.desk.paid()['payment_id']}",
        "learners": "/console/learners",
        "learner-not-found": "/console/learners?find=nobody",
        "learner": learner,
        "finding": finding,
        "nothing": "/console/exceptions/99999999",
        "statements": "/reconciliations/",
        "statement": statement,
    }
    widths = {}
    for name, path in seen.items():
        page.set_viewport_size({"width": 1280, "height": 1100})
        page.goto(path)
        for summary in page.locator("summary").all():
            summary.click()
        look_for_barriers(name)
        page.set_viewport_size({"width": 360, "height": 740})
        widths[name] = wide(page)
        if name in ("start", "exception", "approval", "learner"):
            look_for_barriers(f"{name} on a phone")
            page.goto(path)
            picture(page, f"console-{name}-phone", tmp_path)
    assert {name: width for name, width in widths.items() if width > 360} == {}
    found = [f"{name}: {one.generate_report()}" for name, one in barriers.items() if one.violations_count]
    assert not found, "\n".join(found)
    page.set_viewport_size({"width": 1280, "height": 1100})
    for name, path in (("start", "/console"), ("payout", seen["payout"]), ("learner", learner)):
        page.goto(path)
        picture(page, f"console-{name}", tmp_path)
    page.emulate_media(color_scheme="dark")
    page.goto(seen["payout"])
    picture(page, "console-payout-dark", tmp_path)
    _keep_all(page, seen)


def _keep_all(page: "Page", seen: dict[str, str]) -> None:
    """With EVERY_PAGE_TO=FOLDER a picture of every page, wide and narrow, light and dark, to look at."""
    folder = os.environ.get("EVERY_PAGE_TO")
    for name, path in (seen | {"sign-out": "/console"}).items() if folder else ():
        page.goto(path)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            for width in (1280, 360):
                page.set_viewport_size({"width": width, "height": 900})
                page.screenshot(path=f"{folder}/{name}-{scheme}-{width}.png", full_page=True)
