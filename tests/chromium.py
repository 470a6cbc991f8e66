"""Debian's Chromium without a screen, for tests of pages: what people see, and where they click and type."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

#: Milliseconds for what a page does at once, on a busy machine.
PATIENCE = 30_000

PROGRAM = "chromium"

#: Tests that need the program; CI has to have it.
needs_chromium = pytest.mark.skipif(
    shutil.which(PROGRAM) is None and not os.environ.get("CI"),
    reason="chromium is missing: apt install chromium",
)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser until the end of the ``with``; its contexts know nothing of each other."""
    path = shutil.which(PROGRAM)
    assert path is not None, "chromium is missing: apt install chromium"
    # Its sandbox does not work for root, as which containers run; it sees no page but ours.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, chromium_sandbox=False, timeout=PATIENCE)
        try:
            yield browser
        finally:
            browser.close()
