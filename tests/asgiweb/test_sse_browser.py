"""Server-sent events as a browser's EventSource has them (WHATWG HTML, 9.2.3), served by asgiserve."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.asgiserve.program import Program
from tests.chromium import PATIENCE, chromium, needs_chromium

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with chromium() as browser:
        yield browser


def test_a_browser_goes_on_where_it_was_also_after_a_restart(browser: Browser) -> None:
    page = browser.new_page()
    items = page.locator("li")
    with Program("tests.asgiweb.event_page:app") as program:
        page.goto(program.url)
        # The stream ends after the third event, and the next one begins after Last-Event-ID.
        expect(items).to_have_count(6, timeout=PATIENCE)
        program.signal(signal.SIGTERM)
        assert program.exit_code() == 0
    with Program("tests.asgiweb.event_page:app", port=int(program.url.rpartition(":")[2])):
        expect(items.last).to_have_text('["message","№9","end"]', timeout=PATIENCE)
    seen = [json.loads(text) for text in items.all_text_contents()]
    assert seen[:-1] == [
        ["tick", f"№{number}", f"line {number}\n  with spaces \u2028\u20ac\n"] for number in range(1, 10)
    ]
    page.close()
