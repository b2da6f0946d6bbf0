"""A browser for the tests, and one page of it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from chromium import CHROMIUM, QUIET

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """One Chromium for a module."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    """A page of a fresh browser window."""
    with browser.new_context(viewport={"width": 1280, "height": 1100}) as window:
        yield window.new_page()
