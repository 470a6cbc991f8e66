"""The debug page: what it shows, and that nothing on it can run."""

from __future__ import annotations

import logging
from html.parser import HTMLParser
from typing import Any

import pytest

from asgiweb import Application, Request, Response
from tests.asgiweb.exchange import Exchange

ATTACK = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


async def page_of(error: Exception, path: str = "/", cause: Exception | None = None) -> tuple[Exchange, Page]:
    app: Application[Any] = Application(debug=True)

    @app.get("/{x:path}")
    async def faulty_handler(request: Request) -> Response:
        if cause is not None:
            raise error from cause
        raise error  # the line that failed

    exchange = Exchange()
    exchange.scope.update(path=path, raw_path=None)
    await exchange.run(app)
    return exchange, Page(exchange.body.decode())


async def test_it_names_the_exception_the_request_and_the_place() -> None:
    exchange, page = await page_of(KeyError("missing"), "/some/path")
    assert exchange.status == 500
    assert exchange.headers["content-type"] == "text/html; charset=utf-8"
    assert "KeyError: 'missing'" in page.text
    assert "KeyError at GET /some/path" in page.text
    assert f"{__file__}, line" in page.text
    assert "in faulty_handler" in page.text


async def test_it_shows_the_source_around_the_line_that_failed() -> None:
    exchange, page = await page_of(KeyError("x"))
    assert "async def faulty_handler(request: Request) -> Response:" in page.text
    marked = exchange.body.decode().partition("<mark>")[2].partition("</mark>")[0]
    assert "the line that failed" in marked


async def test_the_innermost_call_comes_first() -> None:
    _, page = await page_of(KeyError("x"))
    assert page.text.index("in faulty_handler") < page.text.index("application.py")


async def test_it_shows_what_caused_the_exception() -> None:
    _, page = await page_of(KeyError("x"), cause=ValueError("the cause"))
    assert (
        page.text.index("KeyError: 'x'")
        < page.text.index("This was caused by")
        < page.text.index("the cause")
    )


async def test_it_shows_what_was_being_handled() -> None:
    app: Application[Any] = Application(debug=True)

    @app.get("/")
    async def handler(request: Request) -> Response:
        try:
            raise ValueError("first")
        except ValueError:
            raise KeyError("second")  # noqa: B904 - the context is what is tested

    page = Page((await Exchange().run(app)).body.decode())
    where = page.text.index
    assert where("KeyError: 'second'") < where("while handling") < where("ValueError: first")


@pytest.mark.parametrize("error", [KeyError(ATTACK), type(ATTACK, (Exception,), {})(ATTACK)])
async def test_everything_on_it_is_escaped(error: Exception) -> None:
    _, page = await page_of(error, f"/{ATTACK}")
    assert "script" not in page.tags
    assert page.text.count(ATTACK) >= 2


async def test_it_loads_nothing_and_nothing_could_run() -> None:
    exchange, page = await page_of(KeyError("x"))
    assert not {"script", "link", "img", "iframe", "a"}.intersection(page.tags)
    assert not {"src", "href", "style", "onclick"}.intersection(name for name, _ in page.attributes)
    assert exchange.headers["content-security-policy"] == "default-src 'none'; style-src 'unsafe-inline'"


async def test_an_exception_that_cannot_be_shown_does_not_break_the_page() -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    exchange, page = await page_of(Unprintable())
    assert exchange.status == 500
    assert "Unprintable" in page.text


async def test_text_that_is_no_unicode_is_shown_escaped(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL + 1, "asgiweb")  # such text in a report ends pytest-xdist's workers
    exchange, page = await page_of(ValueError("no file caf\udce9"), "/\udce9")
    assert exchange.status == 500
    assert r"no file caf\udce9" in page.text
    assert r"ValueError at GET /\udce9" in page.text


async def test_source_that_is_gone_does_not_break_the_page() -> None:
    code = compile("def gone():\n    raise KeyError('x')\n", "gone.py", "exec")
    namespace: dict[str, Any] = {}
    exec(code, namespace)
    app: Application[Any] = Application(debug=True)

    @app.get("/")
    async def handler(request: Request) -> Response:
        return Response(namespace["gone"]())

    exchange = await Exchange().run(app)
    assert b"gone.py, line 2, in gone" in exchange.body


async def test_there_is_no_page_unless_it_is_asked_for() -> None:
    app: Application[Any] = Application()

    @app.get("/")
    async def handler(request: Request) -> Response:
        raise KeyError("secret")

    assert (await Exchange().run(app)).body == b"Internal Server Error"
