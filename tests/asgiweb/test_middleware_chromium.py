"""What a real browser makes of CORS, compressed bodies and a Content-Security-Policy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, Page

from tests.asgiserve.program import Program
from tests.chromium import PATIENCE, chromium, needs_chromium

pytestmark = needs_chromium

#: A fetch, and what the page can know of it.
FETCH = """([url, options]) => fetch(url, options).then(
    async (response) => [response.status, await response.text(), response.headers.get("x-total")],
    (error) => error.name)
"""
CONNECT = """(url) => new Promise((resolve) => {
    const ws = new WebSocket(url);
    ws.onmessage = (event) => resolve(event.data);
    ws.onerror = () => resolve("error");
})
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


class Sites(NamedTuple):
    """A page of a site that may ask, one of a site that may not, and whom they ask."""

    allowed: Page
    refused: Page
    asked: str


@pytest.fixture(scope="module")
def sites(browser: Browser) -> Iterator[Sites]:
    with (
        Program("examples.hello:app") as other,
        Program("tests.asgiweb.pages:asked", environment={"PAGE_ORIGIN": other.url}) as asked,
    ):
        context = browser.new_context()
        context.set_default_timeout(PATIENCE)
        pages = [context.new_page(), context.new_page()]
        pages[0].goto(f"{other.url}/page")
        # The same server by another name: another origin.
        pages[1].goto(f"{other.url.replace('127.0.0.1', 'localhost')}/page")
        yield Sites(pages[0], pages[1], asked.url)
        context.close()


def fetch(page: Page, url: str, **options: Any) -> Any:
    """Let a page fetch: status, text and an exposed header, or the error's name."""
    return page.evaluate(FETCH, [url, options])


def test_a_page_of_a_site_that_is_allowed_reads_the_answer(sites: Sites) -> None:
    assert fetch(sites.allowed, f"{sites.asked}/data") == [200, "data", "3"]


def test_another_sites_page_does_not(sites: Sites) -> None:
    assert fetch(sites.refused, f"{sites.asked}/data") == "TypeError"
    assert fetch(sites.refused, f"{sites.asked}/data", method="PUT", body="x") == "TypeError"


def test_neither_does_a_page_without_an_origin(sites: Sites) -> None:
    page = sites.allowed.context.new_page()
    page.set_content("a page of nobody's")
    assert page.evaluate("origin") == "null"
    assert fetch(page, f"{sites.asked}/data") == "TypeError"


def test_a_preflighted_request_with_credentials(sites: Sites) -> None:
    assert fetch(sites.allowed, f"{sites.asked}/data", credentials="include") == [200, "data", "3"]
    options = {"method": "PUT", "body": "{}", "headers": {"content-type": "application/json"}}
    url = f"{sites.asked}/data"
    assert fetch(sites.allowed, url, credentials="include", **options) == [200, "put {} of Ada", None]
    assert fetch(sites.allowed, url, credentials="omit", **options) == [200, "put {} of None", None]


def test_a_preflight_refuses_headers_that_are_not_listed(sites: Sites) -> None:
    assert fetch(sites.allowed, f"{sites.asked}/data", headers={"x-other": "1"}) == "TypeError"


def test_complaint_4_a_page_can_read_errors(sites: Sites) -> None:
    assert fetch(sites.allowed, f"{sites.asked}/fault")[0] == 500
    assert fetch(sites.allowed, f"{sites.asked}/nothing")[0] == 404
    assert fetch(sites.allowed, f"{sites.asked}/nothing", method="DELETE")[0] == 404
    assert fetch(sites.allowed, f"{sites.asked}/data", method="DELETE")[0] == 405


def test_websockets_are_for_the_site_that_is_allowed(sites: Sites) -> None:
    url = sites.asked.replace("http", "ws") + "/ws"
    assert sites.allowed.evaluate(CONNECT, url) == "hello"
    assert sites.refused.evaluate(CONNECT, url) == "error"


def test_a_compressed_stream_is_read_as_it_was(sites: Sites) -> None:
    url = f"{sites.asked}/stream"
    with sites.allowed.expect_response(url) as waiting:
        result = fetch(sites.allowed, url)
    assert result == [200, "".join(f"{number} " * 1000 for number in range(3)), None]
    assert waiting.value.all_headers()["content-encoding"] in ("zstd", "br", "gzip")


def test_a_part_of_a_file_that_the_browser_has_compressed_is_one_of_the_file(sites: Sites) -> None:
    url = f"{sites.asked}/file"
    whole = fetch(sites.allowed, url)[1]
    # It has the whole now, and asks with the tag of that.
    assert fetch(sites.allowed, url, headers={"range": "bytes=10-19"}) == [206, whole[10:20], None]
    assert fetch(sites.allowed, url, headers={"range": "bytes=100-"}) == [206, whole[100:], None]
    assert fetch(sites.allowed, url) == [200, whole, None]


def test_scripts_and_styles_run_by_nonce_alone(browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    with Program("tests.asgiweb.pages:careful") as careful:
        page.goto(careful.url)
        page.get_by_role("heading").click(timeout=PATIENCE)
        assert page.evaluate("window.ran") == ["nonce"]
        style = "(name) => getComputedStyle(document.querySelector('h1'))[name]"
        assert page.evaluate(style, "color") == "rgb(1, 2, 3)"
        assert page.evaluate(style, "marginTop") != "77px"
    context.close()
