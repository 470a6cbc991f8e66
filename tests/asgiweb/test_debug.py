"""The debug page: what it shows, and that nothing on it can run."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import jinja2
import pytest

from asgiweb import Application, Handler, Request, Response
from asgiweb.asgi import HeaderPair
from asgiweb.debug.secrets import MASK, is_secret, masked
from asgiweb.debug.values import LENGTH, Values
from tests.asgiweb.exchange import Exchange, http_scope
from tests.chromium import chromium, needs_chromium

#: Those of a browser.
HEADERS = [(b"host", b"test"), (b"accept", b"text/html,application/xhtml+xml,*/*;q=0.8")]

ATTACK = "<script>alert(1)</script>"


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        #: For each <details>: its class, and whether it is open.
        self.details: list[tuple[str | None, bool]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag == "details":
            self.details.append((dict(attrs).get("class"), "open" in dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags[-1] != "style":
            self.text += data


async def page_of(
    error: Exception, path: str = "/", cause: Exception | None = None, headers: Sequence[HeaderPair] = ()
) -> tuple[Exchange, Page]:
    app: Application[Any] = Application(debug=True)

    @app.get("/{x:path}")
    async def faulty_handler(request: Request) -> Response:
        if cause is not None:
            raise error from cause
        raise error  # the line that failed

    exchange = Exchange(http_scope(headers=[*HEADERS, *headers]))
    exchange.scope.update(path=path, raw_path=None)
    await exchange.run(app)
    return exchange, Page(exchange.body.decode())


async def visit(app: Application[Any], path: str = "/", **scope: Any) -> Page:
    exchange = await Exchange(http_scope(path, headers=HEADERS, **scope)).run(app)
    assert exchange.status == 500
    return Page(exchange.body.decode())


async def test_it_names_the_exception_the_request_and_the_place() -> None:
    exchange, page = await page_of(KeyError("missing"), "/some/path")
    assert exchange.status == 500
    assert exchange.headers["content-type"] == "text/html; charset=utf-8"
    assert "KeyError: 'missing'" in page.text
    assert "KeyError at GET /some/path" in page.text
    assert f"{__file__}, line" in page.text
    assert "faulty_handler" in page.text


async def test_it_shows_the_source_around_the_line_that_failed() -> None:
    exchange, page = await page_of(KeyError("x"))
    assert "async def faulty_handler(request: Request) -> Response:" in page.text
    marked = exchange.body.decode().partition("<mark>")[2].partition("</mark>")[0]
    assert "the line that failed" in marked


async def test_the_innermost_call_comes_first() -> None:
    _, page = await page_of(KeyError("x"))
    assert page.text.index("faulty_handler") < page.text.index("application.py")


async def test_it_shows_what_caused_the_exception() -> None:
    _, page = await page_of(KeyError("x"), cause=ValueError("the cause"))
    assert (
        page.text.index("KeyError: 'x'")
        < page.text.index("This was caused by")
        < page.text.index("ValueError: the cause")
    )


async def test_it_shows_what_was_being_handled() -> None:
    app: Application[Any] = Application(debug=True)

    @app.get("/")
    async def handler(request: Request) -> Response:
        try:
            raise ValueError("first")
        except ValueError:
            raise KeyError("second")  # noqa: B904 - the context is what is tested

    page = await visit(app)
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
    policy = exchange.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "unsafe" not in policy
    style = re.findall(r"<style>(.*?)</style>", exchange.body.decode(), re.DOTALL)[0]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy.endswith(f"; style-src 'sha256-{digest}'")


async def test_an_exception_that_cannot_be_shown_does_not_break_the_page() -> None:
    class Unprintable(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    exchange, page = await page_of(Unprintable())
    assert exchange.status == 500
    assert "Unprintable" in page.text


async def test_a_page_that_cannot_be_made_is_a_fault_that_is_logged_and_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Nameless:
        def __str__(self) -> str:
            raise RuntimeError("this key has no name")

    app: Application[Any] = Application(debug=True)

    @app.get("/")
    async def handler(request: Request) -> Response:
        request.context[Nameless()] = 1  # type: ignore[index]  # whatever it is
        raise KeyError("x")

    exchange = await Exchange(http_scope(headers=HEADERS)).run(app)
    assert exchange.status == 500
    assert "Internal Server Error" in exchange.body.decode()
    assert "KeyError: 'x'" in caplog.text
    assert "this key has no name" in caplog.text


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

    page = await visit(app)
    assert "gone.py, line 2" in page.text
    assert "Its source is not there" in page.text


def failing_with(**variables: Any) -> Application[Any]:
    """An application whose handler fails while it has these variables."""
    app: Application[Any] = Application(debug=True)

    async def handler(request: Request) -> Response:
        raise KeyError(found)

    code = "async def handler(request):\n    a = 1\n"
    code += "".join(f"    {name} = given[{name!r}]\n" for name in variables) + "    raise KeyError('x')\n"
    namespace: dict[str, Any] = {"given": variables}
    exec(code, namespace)
    found = namespace["handler"]
    app.get("/")(found)
    return app


class TestVariables:
    async def test_those_of_each_call_are_shown(self) -> None:
        page = await visit(failing_with(number=7, text="seven"))
        assert "request<Request GET '/'>a1number7text'seven'" in page.text

    async def test_whatever_their_repr_does(self) -> None:
        class Raising:
            def __repr__(self) -> str:
                raise ValueError("no")

        class Endless:
            def __repr__(self) -> str:
                while True:
                    pass

        class Deep:
            def __repr__(self) -> str:
                return repr(self)

        class Huge:
            def __repr__(self) -> str:
                return "y" * 10**7

        class NoText:
            def __repr__(self) -> str:
                return 7  # type: ignore[return-value]  # that is the point

        looped: list[Any] = []
        looped.append(looped)
        started = time.monotonic()
        page = await visit(
            failing_with(
                a_raising=Raising(),
                b_endless=Endless(),
                c_deep=Deep(),
                d_huge=Huge(),
                e_no_text=NoText(),
                f_looped=looped,
                g_long="z" * 10**6,
                h_many=[Endless() for _ in range(1000)],
                i_last="seen",
            )
        )
        assert "a_raising<Raising: its repr() raises ValueError>" in page.text
        assert "b_endless<Endless: its repr() takes too long>" in page.text
        assert "c_deep<Deep: its repr() raises RecursionError>" in page.text
        assert "d_huge" + "y" * 100 in page.text
        assert "e_no_text<NoText: its repr() raises TypeError>" in page.text
        assert "h_many<list: its repr() takes too long>" in page.text
        assert "i_last'seen'" in page.text
        assert page.text.count("y") + page.text.count("z") < 3 * LENGTH
        assert time.monotonic() - started < 30

    def test_there_is_a_limit_of_time_for_all_of_them(self) -> None:
        class Endless:
            def __repr__(self) -> str:
                while True:
                    try:
                        time.sleep(0)
                    except Exception:
                        pass

        values = Values()
        written = [values.write("x", Endless()) for _ in range(100)]
        assert written[0] == "<Endless: its repr() takes too long>"
        assert written[-1] == "<Endless: there was no time left to write it>"

    def test_a_debugger_is_left_in_its_place(self) -> None:
        before = sys.gettrace()
        Values().write("x", object())
        assert sys.gettrace() is before


@dataclass
class Settings:
    user: str
    db_password: str
    url: str = "postgres://ada:hunter2@db/notes"


class TestSecrets:
    @pytest.mark.parametrize(
        "name",
        "password PASSWORD db_password dbPassword secret client-secret SECRET_KEY token accessToken "
        "csrf_token authorization Proxy-Authorization x-api-key api_key apikey key private_key cookie "
        "set-cookie session session_id credentials passphrase".split(),
    )
    def test_names_of_secrets(self, name: str) -> None:
        assert is_secret(name)

    @pytest.mark.parametrize("name", "user author monkey keyboard tokenizer_ path compass secretary".split())
    def test_other_names(self, name: str) -> None:
        assert not is_secret(name)

    @pytest.mark.parametrize(
        "value",
        [
            {"password": "hunter2"},
            {"outer": {"inner": [{"api-key": "hunter2"}]}},
            {b"token": b"hunter2"},
            [(b"authorization", b"Bearer hunter2")],
            [("cookie", "a=b; session=hunter2")],
            Settings("ada", "hunter2"),
            "https://example.org/?a=b&token=hunter2&c=d",
            b"token=hunter2",
            "redis://:hunter2@localhost",
            "password: hunter2",
            "authorization: Bearer hunter2",
            Settings("ada", ["hunter1", "hunter2"]),  # type: ignore[arg-type]  # whatever it is
            [Settings("ada", Settings("eve", "hunter2"))],  # type: ignore[arg-type]
            '{"secret": "hunter2"}',
        ],
    )
    async def test_their_values_are_masked_wherever_they_are(self, value: object) -> None:
        written = Values().write("value", value)
        assert "hunter2" not in written
        assert MASK in written

    def test_what_is_cut_short_shows_none(self) -> None:
        settings = Settings("x" * 990, "hunter2")
        assert "hunter" not in Values().write("settings", settings)

    def test_the_rest_of_a_text_is_left(self) -> None:
        text = "user=ada, password='hun\\'ter2', page=2"
        assert masked(text) == f"user=ada, password={MASK}, page=2"

    @pytest.mark.parametrize("accept", ["text/html", "application/json", "text/plain"])
    async def test_messages_of_exceptions_show_none(self, accept: str) -> None:
        class InvalidToken(Exception):
            pass

        async def connect(request: Request) -> Response:
            parts = ["hun", "ter2"]
            secret = "".join(parts)
            try:
                raise OSError(f"no connection to postgres://ada:{secret}@db/notes, password={secret}")
            except OSError as error:
                error.add_note(f"token: {secret}")
                raise ExceptionGroup("all of it", [InvalidToken(f"expired: api_key={secret}")]) from error

        app: Application[Any] = Application(debug=True)
        app.router.add_get("/", connect)
        headers = [(b"host", b"test"), (b"accept", accept.encode())]
        body = (await Exchange(http_scope(headers=headers)).run(app)).body.decode()
        assert "hunter2" not in body
        assert "InvalidToken: expired: api_key=" in body
        assert "no connection to postgres://ada:" in body

    def test_a_repr_that_wants_to_end_the_server_does_not(self) -> None:
        class Ending:
            def __repr__(self) -> str:
                raise SystemExit

        assert Values().write("x", [Ending()]) == "<list: its repr() raises SystemExit>"

    async def test_none_is_on_the_page(self) -> None:
        app = failing_with(password="hunter2", settings=Settings("ada", "hunter2"))

        async def remembering(request: Request, handler: Handler) -> Response:
            request.context["session"] = {"id": "hunter2"}
            return await handler(request)

        app.middleware(remembering)
        secrets = [
            (b"authorization", b"Bearer hunter2"),
            (b"proxy-authorization", b"Basic hunter2"),
            (b"cookie", b"theme=hunter2"),
            (b"x-api-key", b"hunter2"),
        ]
        scope = http_scope(headers=[*HEADERS, *secrets], query_string=b"token=hunter2&page=2")
        exchange = await Exchange(scope).run(app)
        assert b"hunter2" not in exchange.body
        assert exchange.body.decode().count(MASK) >= 10

    @pytest.mark.parametrize("accept", [b"text/html", b"text/plain", b"application/json"])
    @pytest.mark.parametrize(
        "path", ["/reset/hunter2-hunter2", "/m/hunter2-hunter2/reset", "/reset/%E2%82%AChunter2"]
    )
    async def test_those_in_the_path_are_masked_wherever_it_is_shown(self, path: str, accept: bytes) -> None:
        app, inner = Application[Any](debug=True), Application[Any](debug=True)
        app.mount("/m/{token}", inner)

        @app.get("/reset/{token}")
        async def reset(request: Request, token: str) -> Response:
            raise KeyError(f"nobody has asked for {token} at {request.url}")

        @inner.get("/reset")
        async def reset_below(request: Request) -> Response:
            raise KeyError(request.path)

        exchange = Exchange(http_scope(headers=[(b"host", b"test"), (b"accept", accept)]))
        exchange.scope.update(path=unquote(path), raw_path=path.encode())
        await exchange.run(app)
        assert exchange.status == 500
        assert b"KeyError" in exchange.body
        assert b"hunter2" not in exchange.body

    async def test_what_is_too_short_for_a_secret_masks_no_other_words(self) -> None:
        app = Application[Any](debug=True)

        @app.get("/words/{key}")
        async def handler(request: Request, key: str) -> Response:
            raise KeyError("x")

        page = await visit(app, "/words/handler")
        assert "URLhttp://test/words/handler" in page.text


class TestRequestAndRoutes:
    async def test_what_was_asked_for(self) -> None:
        app: Application[Any] = Application(debug=True)

        async def knowing(request: Request, handler: Handler) -> Response:
            request.context["user"] = "ada"
            return await handler(request)

        @app.post("/notes/{id:int}", name="note", middlewares=[knowing])
        async def handler(request: Request, id: int) -> Response:
            raise KeyError

        @app.websocket("/live")
        async def live(ws: Any) -> None: ...

        page = await visit(app, "/notes/7", method="POST", query_string=b"page=2&q=%3Cb%3E")
        for row in (
            "methodPOST",
            "URLhttp://test/notes/7?page=2&q=%3Cb%3E",
            "client127.0.0.1:50000",
            "route/notes/{id:int}",
            f"handler{__file__}:",
            "namenote",
            "id7",
            "page2",
            "q<b>",
            "hosttest",
            "userada",
            "Routes (2)",
            "websocket/live",
            "POST/notes/{id:int}note",
        ):
            assert row in page.text

    async def test_a_request_that_has_no_url(self) -> None:
        exchange, page = await page_of(KeyError("x"), headers=[(b"host", b"no host")])
        assert exchange.status == 500
        assert "URLnone: 400 there is no URL" in page.text or "URLhttp://test" in page.text


class TestCalls:
    async def test_those_of_libraries_are_folded_up(self) -> None:
        _, page = await page_of(KeyError("x"))
        kinds = [kind for kind in page.details if kind[0] in ("own", "library")]
        assert kinds[0] == ("own", True)
        assert set(kinds[1:]) == {("library", False)}

    async def test_the_part_of_the_line_that_failed_is_marked(self) -> None:
        app: Application[Any] = Application(debug=True)

        @app.get("/")
        async def handler(request: Request) -> Response:
            é = {"a": 1}
            return Response(str(é["a"] + é["missing"]))

        exchange = await Exchange(http_scope(headers=HEADERS)).run(app)
        marked = re.findall(r"<mark>.*?<b>(.*?)</b>", exchange.body.decode())
        assert marked[0] == "é[&quot;missing&quot;]"

    async def test_a_deep_recursion_is_cut_in_the_middle(self) -> None:
        def down(n: int) -> int:
            return down(n + 1)

        app: Application[Any] = Application(debug=True)

        @app.get("/")
        async def handler(request: Request) -> Response:
            return Response(str(down(0)))

        page = await visit(app)
        assert "more calls are left out here" in page.text
        assert len(page.details) < 120

    async def test_the_members_of_a_group_are_shown_with_their_calls(self) -> None:
        async def fail(number: int) -> None:
            raise ValueError(f"task {number}")

        app: Application[Any] = Application(debug=True)

        @app.get("/")
        async def handler(request: Request) -> Response:
            async with asyncio.TaskGroup() as tasks:
                for number in range(3):
                    tasks.create_task(fail(number))
            return Response()

        page = await visit(app)
        assert "ExceptionGroup: unhandled errors in a TaskGroup (3 sub-exceptions)" in page.text
        for number in range(3):
            assert f"ValueError: task {number}" in page.text
        assert page.details.count(("member", True)) == 3

    async def test_exceptions_that_cause_each_other_come_to_an_end(self) -> None:
        first, second = KeyError("first"), ValueError("second")
        first.__cause__, second.__cause__ = second, first
        _, page = await page_of(first, cause=second)
        assert page.text.count("This was caused by") == 2

    async def test_notes_are_shown(self) -> None:
        error = KeyError("x")
        error.add_note("the third of twelve")
        _, page = await page_of(error)
        assert "the third of twelve" in page.text

    async def test_a_template_shows_its_own_line(self, tmp_path: Path) -> None:
        (tmp_path / "page.html").write_text("<h1>Notes</h1>\n<p>{{ 1 // nothing }}</p>\n")
        template = jinja2.Environment(loader=jinja2.FileSystemLoader(tmp_path)).get_template("page.html")
        app: Application[Any] = Application(debug=True)

        @app.get("/")
        async def handler(request: Request) -> Response:
            return Response(template.render(nothing=0))

        page = await visit(app)
        assert f"{tmp_path}/page.html, line 2" in page.text
        assert "<p>{{ 1 // nothing }}</p>" in page.text
        assert "nothing0" in page.text


class TestOtherForms:
    async def test_text_is_the_traceback(self) -> None:
        app = failing_with()
        exchange = await Exchange(http_scope(headers=[(b"accept", b"*/*")])).run(app)
        assert (exchange.status, exchange.headers["vary"]) == (500, "accept")
        assert exchange.headers["content-type"] == "text/plain; charset=utf-8"
        assert exchange.body.startswith(b"GET /\n\nTraceback (most recent call last):\n")
        assert exchange.body.endswith(b"KeyError: 'x'\n")

    async def test_problem_details_have_the_traceback(self) -> None:
        exchange = await Exchange(http_scope(headers=[(b"accept", b"application/json")])).run(failing_with())
        assert exchange.headers["content-type"] == "application/problem+json"
        problem = json.loads(exchange.body)
        assert (problem["status"], problem["detail"]) == (500, "KeyError: 'x'")
        assert problem["traceback"][-1] == "KeyError: 'x'"


@pytest.mark.parametrize("accept", [b"*/*", b"text/html", b"application/json"])
async def test_nothing_of_it_is_shown_or_loaded_unless_it_is_asked_for(accept: bytes) -> None:
    app: Application[Any] = Application()

    @app.get("/")
    async def handler(request: Request) -> Response:
        password = "hunter2"
        raise KeyError(f"secret {password}")

    exchange = await Exchange(http_scope(headers=[(b"accept", accept)])).run(app)
    assert exchange.status == 500
    for word in (b"secret", b"hunter2", b"KeyError", b"Traceback", __file__.encode()):
        assert word not in exchange.body


async def test_debug_may_be_set_later() -> None:
    app: Application[Any] = Application()

    @app.get("/")
    async def handler(request: Request) -> Response:
        raise KeyError("x")

    for debug in (True, False):
        app.debug = debug
        assert (b"KeyError" in (await Exchange().run(app)).body) is debug


@needs_chromium
def test_it_fits_on_a_screen_and_on_a_phone(tmp_path: Path) -> None:
    app = failing_with(a_list=list(range(1000)), a_long_line="x" * 500)
    exchange = asyncio.run(Exchange(http_scope("/", headers=HEADERS)).run(app))
    problems: list[str] = []
    with chromium() as browser:
        for width in (1280, 360):
            page = browser.new_page(viewport={"width": width, "height": 800})
            page.route(
                "http://test/",
                lambda route: route.fulfill(status=500, headers=dict(exchange.headers), body=exchange.body),
            )
            problems.clear()
            page.on("console", lambda message: problems.append(message.text))
            page.goto("http://test/")
            assert page.evaluate("document.documentElement.scrollWidth") == width
            heading = page.locator("h1")
            assert heading.inner_text() == "KeyError: 'x'"
            # The style is there: the policy has let it in.
            assert heading.evaluate("element => getComputedStyle(element).fontWeight") == "600"
            assert page.get_by_text("a_list").is_visible()
            assert not [text for text in problems if "Content Security Policy" in text]
            page.close()
