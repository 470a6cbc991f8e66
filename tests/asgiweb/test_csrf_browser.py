"""CSRF in a real browser: a form of another site is refused, and the own one passes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from asgiweb import Application, Request, Response, WebSocket, html_response
from asgiweb.middleware import CSRF, csrf_token
from tests.asgiserve.program import Program
from tests.chromium import PATIENCE, chromium, needs_chromium

pytestmark = needs_chromium

SECRET = "a secret of more than 32 characters for tests"

FORM = """<!doctype html><title>form</title>
<form method="post" action="{action}">
<input type="hidden" name="csrf_token" value="{token}"><button>Send</button>
</form>"""

app: Application[Any] = Application(middlewares=[CSRF(SECRET)])


@app.get("/")
async def form(request: Request) -> Response:
    """The form of this site, or, with `action`, one that sends to another."""
    token = "" if "action" in request.query else csrf_token(request)
    return html_response(FORM.format(action=request.query.get("action", "/send"), token=token))


@app.post("/send")
async def send(request: Request) -> Response:
    return Response("sent")


@app.websocket("/ws")
async def socket(ws: WebSocket) -> None:
    async with ws:
        await ws.send_text("hello")


strict: Application[Any] = Application(middlewares=[CSRF(SECRET, require_token=True)])
strict.router.add_get("/", form)
strict.router.add_post("/send", send)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    with Program("tests.asgiweb.test_csrf_browser:app") as program:
        yield program


def submit(browser: Browser, url: str) -> tuple[int, str]:
    """Open a page, press its button; status and text of what comes back."""
    with browser.new_context() as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(url)
        with page.expect_response(lambda response: response.request.method == "POST") as answered:
            page.get_by_role("button").click()
        page.wait_for_url("**/send")
        return answered.value.status, page.inner_text("body")


def test_the_own_form_passes(browser: Browser, program: Program) -> None:
    assert submit(browser, f"{program.url}/") == (200, "sent")


def test_a_form_of_another_site_is_refused(browser: Browser, program: Program) -> None:
    # To a browser, localhost is another site than 127.0.0.1.
    elsewhere = program.url.replace("127.0.0.1", "localhost")
    status, text = submit(browser, f"{elsewhere}/?action={program.url}/send")
    assert status == 403
    assert "another site" in text


def test_the_token_of_the_own_form_is_valid(browser: Browser) -> None:
    with Program("tests.asgiweb.test_csrf_browser:strict") as program:
        assert submit(browser, f"{program.url}/") == (200, "sent")
        assert submit(browser, f"{program.url}/?action=/send")[0] == 403


OPEN = """url => new Promise(resolve => {
  const ws = new WebSocket(url);
  ws.onmessage = event => resolve(event.data);
  ws.onerror = () => resolve("refused");
})"""


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", "hello"), ("localhost", "refused")])
def test_a_websocket_is_for_the_pages_of_its_own_site(
    browser: Browser, program: Program, host: str, expected: str
) -> None:
    with browser.new_context() as context:
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.goto(program.url.replace("127.0.0.1", host))
        assert page.evaluate(OPEN, f"{program.url.replace('http', 'ws', 1)}/ws") == expected
