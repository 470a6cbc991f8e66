"""The notes of `examples/`, as people use them: windows of a real browser, two workers, two databases."""

from __future__ import annotations

import base64
import contextlib
import http.server
import itertools
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from tests.asgiserve.program import Program
from tests.chromium import PATIENCE, chromium, needs_chromium
from tests.postgresql_server import needs_postgresql, postgresql_server

pytestmark = needs_chromium

#: Names of users, one for each test, so that nobody meets the notes of another.
NAMES = (f"user {number}" for number in itertools.count())

PASSWORD = "correct horse"

#: Keeps what the progress bar of an upload has shown.
PROGRESS = """
window.shown = [];
new MutationObserver((changes) => {
  for (const { target } of changes)
    if (target.matches?.("form[data-upload] [role=status]")) shown.push(target.textContent);
}).observe(document, { subtree: true, childList: true });
"""

#: How many colours a picture has, and how much of it has the commonest one.
COLOURS = """async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const pixels = new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer);
  const counts = new Map();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  return { colours: counts.size, commonest: Math.max(...counts.values()) / pixels.length };
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=needs_postgresql)])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """What NOTES_DATABASE is set to."""
    if request.param == "sqlite":
        yield str(tmp_path_factory.mktemp("notes") / "notes.sqlite3")
    else:
        with postgresql_server() as url:
            yield url


@pytest.fixture(scope="module")
def url(address: str) -> Iterator[str]:
    """Where two workers serve the notes."""
    settings = {"NOTES_DATABASE": address, "NOTES_SECRET": "a secret of these tests, 32 bytes"}
    with Program("examples.notes:app", "--workers", "2", environment=settings) as program:
        yield program.url
        assert "Traceback" not in program.output


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of one person, whose pages have no faults."""
    context = browser.new_context(locale="en-GB", viewport={"width": 900, "height": 700})
    context.set_default_timeout(PATIENCE)
    context.add_init_script(PROGRESS)
    faults: list[str] = []
    context.on("weberror", lambda fault: faults.append(str(fault.error)))
    context.on("dialog", lambda dialog: faults.append(dialog.message))
    yield context
    context.close()
    assert faults == []


@pytest.fixture
def page(context: BrowserContext, url: str) -> Page:
    """The window of somebody who has just registered."""
    page = context.new_page()
    page.goto(url)
    expect(page.get_by_role("heading")).to_have_text("Log in")
    log_in(page, next(NAMES), "Register")
    return page


def log_in(page: Page, name: str, button: str) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name=button).click()


def write(page: Page, title: str, text: str) -> None:
    page.get_by_label("Title").fill(title)
    page.get_by_label("Text").fill(text)
    page.get_by_role("button", name=re.compile("Add|Save")).click()


def key_of(page: Page) -> str:
    """The header with which programs of the user come to the API."""
    return page.get_by_text(re.compile("^Authorization: ")).inner_text().removeprefix("Authorization: ")


def test_notes_are_written_found_changed_and_deleted(page: Page) -> None:
    listed = page.get_by_role("list", name="Notes").get_by_role("link")
    write(page, "Plants <script>alert(1)</script>", "water & light")
    write(page, "Shopping", "bread, 100% juice")
    expect(listed).to_have_text(["Shopping", "Plants <script>alert(1)</script>"])

    page.get_by_label("Search").fill("100%")
    page.get_by_role("button", name="Search").click()
    expect(listed).to_have_text(["Shopping"])

    listed.click()
    write(page, "Shopping list", "bread")
    expect(listed).to_have_text(["Shopping list", "Plants <script>alert(1)</script>"])

    listed.first.click()
    page.get_by_role("button", name="Delete").click()
    expect(listed).to_have_text(["Plants <script>alert(1)</script>"])


def test_a_draft_that_does_not_fit_is_refused(page: Page, url: str) -> None:
    page.get_by_label("Title").evaluate("field => { field.required = false; field.maxLength = 1000 }")
    with page.expect_response(f"{url}/") as answer:
        write(page, "x" * 101, "")
    assert answer.value.status == 422


def test_lists_change_while_one_looks_whichever_worker_was_told(
    page: Page, context: BrowserContext, url: str
) -> None:
    other = context.new_page()
    other.goto(url)
    for window in (page, other):
        expect(window.get_by_role("status")).to_have_text("Live")
    expected: list[str] = []
    for number in range(8):
        # A connection each: now this worker takes it, now the other one.
        answer = httpx.post(
            f"{url}/api/notes/",
            json={"title": f"note {number}"},
            headers={"authorization": key_of(page)},
        )
        assert answer.status_code == 201
        expected.insert(0, f"note {number}")
        for window in (page, other):
            expect(window.get_by_role("list", name="Notes").get_by_role("link")).to_have_text(expected)


def test_uploads_show_their_progress_and_come_back_as_they_were(page: Page, tmp_path: Path) -> None:
    content = bytes(range(256)) * 8192
    (tmp_path / "Grüße.bin").write_bytes(content)
    write(page, "with a file", "")
    page.get_by_role("link", name="with a file").click()
    page.evaluate("addEventListener('beforeunload', () => sessionStorage.shown = JSON.stringify(shown))")
    page.get_by_label("File").set_input_files(tmp_path / "Grüße.bin")
    page.get_by_role("button", name="Upload").click()
    attachments = page.get_by_role("list", name="Attachments")
    expect(attachments).to_contain_text(f"Grüße.bin ({len(content)} bytes)")
    assert page.evaluate("JSON.parse(sessionStorage.shown).at(-1)") == "100 %"
    with page.expect_download() as download:
        attachments.get_by_role("link").click()
    assert download.value.suggested_filename == "Grüße.bin"
    assert Path(download.value.path()).read_bytes() == content


def test_an_upload_that_is_too_large_is_told(page: Page, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 10_500_000)
    write(page, "with a file", "")
    page.get_by_role("link", name="with a file").click()
    page.get_by_label("File").set_input_files(tmp_path / "large")
    page.get_by_role("button", name="Upload").click()
    # Chromium may see the end of the connection before the answer.
    expect(page.get_by_role("status")).to_have_text(re.compile("larger than|cannot be reached"))


def test_who_logs_out_has_to_log_in_again(page: Page, url: str) -> None:
    name = page.get_by_role("banner").locator("span").inner_text()
    write(page, "mine", "")
    page.get_by_role("button", name="Log out").click()
    page.goto(url)
    expect(page.get_by_role("heading")).to_have_text("Log in")

    log_in(page, name, "Register")
    expect(page.get_by_role("alert")).to_have_text("Somebody has this name already.")
    log_in(page, name, "Log in")
    expect(page.get_by_role("list", name="Notes").get_by_role("link")).to_have_text(["mine"])


def test_nobody_sees_the_notes_of_others(page: Page, browser: Browser, url: str) -> None:
    write(page, "mine", "")
    note = page.get_by_role("link", name="mine").get_attribute("href")
    with browser.new_context() as others:
        window = others.new_page()
        window.goto(url)
        log_in(window, next(NAMES), "Register")
        expect(window.get_by_text("There are none.")).to_be_visible()
        answer = window.goto(f"{url}{note}")
        assert answer is not None
        assert answer.status == 404


def test_a_page_of_another_site_cannot_write_notes(page: Page, url: str) -> None:
    form = (
        f'<form method="post" action="{url}/"><input name="title" value="forged"><button>Win!</button></form>'
    )

    class OtherSite(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html")
            self.end_headers()
            self.wfile.write(form.encode())

        def log_message(self, format: str, *args: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), OtherSite) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        # Another name of this machine: another site, to which cookies are not sent along.
        page.goto(f"http://localhost:{server.server_port}/")
        with page.expect_response(f"{url}/") as answer:
            page.get_by_role("button", name="Win!").click()
        server.shutdown()
    assert answer.value.status == 403
    page.goto(url)
    expect(page.get_by_text("There are none.")).to_be_visible()


def test_the_api_says_what_is_wrong(page: Page, url: str) -> None:
    with httpx.Client(base_url=f"{url}/api/notes", headers={"accept": "application/json"}) as api:
        refused = api.get("/")
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"] == "Bearer"
        assert refused.headers["content-type"] == "application/problem+json"

        api.headers["authorization"] = key_of(page)
        created = api.post("/", json={"title": "By a program", "text": "1"})
        assert created.status_code == 201
        note = httpx.URL(url).join(created.headers["location"])
        assert api.get(note).json() == created.json()
        assert api.put(note, json={"title": "Changed"}).json()["title"] == "Changed"
        assert [each["title"] for each in api.get("/", params={"containing": "change"}).json()] == ["Changed"]

        wrong = api.put(note, json={"title": "", "text": "x"})
        assert wrong.status_code == 422
        assert wrong.json()["errors"][0]["pointer"] == "#/title"
        assert api.delete(note).status_code == 204
        assert api.get(note).status_code == 404


def picture_of(page: Page) -> bytes:
    """A screenshot; on a busy machine Chromium may have no frame in time for the first one."""
    for _ in range(4):
        with contextlib.suppress(Error):
            return page.screenshot()
    return page.screenshot()


def test_the_page_looks_like_one(page: Page) -> None:
    for number in range(3):
        write(page, f"note {number}", "What is in it.")
    picture = picture_of(page)
    width, height = (int.from_bytes(picture[start : start + 4], "big") for start in (16, 20))
    assert (width, height) == (900, 700)
    # Not in the page itself, whose Content-Security-Policy refuses that.
    blank = page.context.new_page()
    seen = blank.evaluate(COLOURS, f"data:image/png;base64,{base64.b64encode(picture).decode()}")
    assert seen["colours"] > 20, "letters have many shades"
    assert 0.3 < seen["commonest"] < 0.97, "there is a background, and something on it"
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
