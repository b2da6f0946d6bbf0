"""A headless Chromium, and pictures of what it shows.

With SCREENSHOTS_TO=FOLDER the pictures are kept there (those of the docs were made so).
"""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
QUIET += ["--disable-background-networking", "--disable-component-update"]

needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine; on Debian `make browser` installs it"
)


def picture(page: "Page", name: str, tmp_path: Path, *, whole: bool = False) -> None:
    """Keep a picture of what can be seen, or of the whole page."""
    folder = Path(os.environ.get("SCREENSHOTS_TO", tmp_path))
    page.screenshot(path=folder / f"{name}.png", full_page=whole)
