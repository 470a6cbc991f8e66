"""The forms of an error's answer: which one a client gets, what is in it, and that it is safe."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from asgiweb import (
    Application,
    Handler,
    HTTPClientError,
    HTTPException,
    HTTPFound,
    HTTPMethodNotAllowed,
    HTTPNotFound,
    HTTPRedirection,
    HTTPUnauthorized,
    HTTPUnprocessableContent,
    Request,
    Response,
)
from tests.asgiweb.exchange import Exchange, http_scope
from tests.asgiweb.test_exceptions import STATUSES

BROWSER = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)
TEXT, PAGE, PROBLEM = "text/plain; charset=utf-8", "text/html; charset=utf-8", "application/problem+json"
ATTACK = "<script>alert(1)</script>"


async def answer(error: Exception, *accept: str, content_type: str | None = None) -> Exchange:
    """What a client with these Accept headers gets for what a handler raises."""
    app: Application[Any] = Application()

    @app.post("/")
    async def fail(request: Request) -> Response:
        raise error

    headers = [(b"accept", value.encode()) for value in accept]
    if content_type is not None:
        headers.append((b"content-type", content_type.encode()))
    return await Exchange(http_scope("/", "POST", headers=headers)).run(app)


def make(kind: type[HTTPException]) -> HTTPException:
    if issubclass(kind, HTTPRedirection):
        return kind("/elsewhere")
    return kind(["GET"], "why") if issubclass(kind, HTTPMethodNotAllowed) else kind("why")


class Page(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, str | None] = {}
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.update(attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


class TestAnAnswerForEveryStatus:
    @pytest.mark.parametrize("kind", STATUSES, ids=lambda kind: kind.__name__)
    async def test_as_text_page_and_problem(self, kind: type[HTTPException]) -> None:
        for accept, content_type in (("*/*", TEXT), (BROWSER, PAGE), ("application/json", PROBLEM)):
            exchange = await answer(make(kind), accept)
            assert exchange.status == kind.status
            assert exchange.complete
            if issubclass(kind, HTTPRedirection):
                assert (exchange.headers["location"], exchange.body) == ("/elsewhere", b"")
                assert "vary" not in exchange.headers
                continue
            assert exchange.headers["content-type"] == content_type
            assert exchange.headers["content-length"] == str(len(exchange.body))
            assert exchange.headers["vary"] == "accept"
            assert b"why" in exchange.body
            if content_type is PAGE:
                assert f"{kind.status} {kind.title}" in Page(exchange.body.decode()).text
            if content_type is PROBLEM:
                assert json.loads(exchange.body) == {
                    "type": "about:blank",
                    "title": kind.title,
                    "status": kind.status,
                    "detail": "why",
                }


class TestPreference:
    @pytest.mark.parametrize(
        ("accept", "content_type"),
        [
            ([], TEXT),
            (["*/*"], TEXT),
            (["text/*"], TEXT),
            (["image/avif,image/webp,*/*;q=0.8"], TEXT),
            (["image/png"], TEXT),
            (["text/event-stream"], TEXT),
            (["*/*;q=0"], TEXT),
            (["text/plain"], TEXT),
            (["text/plain, text/html;q=0.9"], TEXT),
            (["text/plain", "text/html;q=0.9"], TEXT),
            (["text/html;q=0.9, text/plain"], TEXT),
            (["text/plain;q=high, application/json;q=0.1"], PROBLEM),
            ([BROWSER], PAGE),
            (["text/html"], PAGE),
            (["TEXT/HTML ; Q=0.5 , */* ; q=0.1"], PAGE),
            (["application/xhtml+xml"], PAGE),
            (["text/html, application/json;q=0.9"], PAGE),
            (["application/json"], PROBLEM),
            (["application/problem+json"], PROBLEM),
            (["application/json, text/plain, */*"], PROBLEM),
            (["application/json, text/javascript, */*; q=0.01"], PROBLEM),
            (["application/*"], PROBLEM),
            (["application/json;q=0.9, text/html;q=0.8"], PROBLEM),
            (["application/json;q=0, */*"], TEXT),
            (["application/json;charset=utf-8"], PROBLEM),
            (["application/json, " + ", ".join(f"x/{number}" for number in range(200))], PROBLEM),
            ([",;=,;q,"], TEXT),
        ],
    )
    async def test_the_highest_weight_and_then_what_is_named(
        self, accept: list[str], content_type: str
    ) -> None:
        exchange = await answer(HTTPNotFound(), *accept)
        assert exchange.headers["content-type"] == content_type

    @pytest.mark.parametrize(
        ("content_type", "expected"),
        [
            ("application/json", PROBLEM),
            ("application/merge-patch+json; charset=utf-8", PROBLEM),
            ("application/x-www-form-urlencoded", TEXT),
        ],
    )
    async def test_who_takes_everything_and_has_sent_json_gets_json(
        self, content_type: str, expected: str
    ) -> None:
        for accept in ([], ["*/*"]):
            exchange = await answer(HTTPNotFound(), *accept, content_type=content_type)
            assert exchange.headers["content-type"] == expected
        exchange = await answer(HTTPNotFound(), BROWSER, content_type=content_type)
        assert exchange.headers["content-type"] == PAGE

    async def test_it_counts_for_faults_and_unknown_paths(self) -> None:
        fault = await answer(KeyError("secret"), "application/json")
        assert json.loads(fault.body) == {
            "type": "about:blank",
            "title": "Internal Server Error",
            "status": 500,
        }
        scope = http_scope("/nowhere", headers=[(b"accept", b"text/html")])
        assert (await Exchange(scope).run(Application())).headers["content-type"] == PAGE

    async def test_it_is_added_to_what_the_answer_varies_by(self) -> None:
        exchange = await answer(HTTPNotFound(headers={"Vary": "Cookie"}), "text/html")
        assert exchange.headers["vary"] == "Cookie, accept"

    async def test_headers_of_the_exception_are_in_every_form(self) -> None:
        for accept in ("*/*", "text/html", "application/json"):
            exchange = await answer(HTTPUnauthorized(headers={"WWW-Authenticate": "Basic"}), accept)
            assert exchange.headers["www-authenticate"] == "Basic"


class TestProblemDetails:
    """RFC 9457."""

    async def test_3_2_members_of_the_exception_are_members(self) -> None:
        errors = [{"detail": "must be positive", "pointer": "#/age"}]
        error = HTTPUnprocessableContent("wrong", members={"errors": errors})
        assert json.loads((await answer(error, "application/json")).body) == {
            "type": "about:blank",
            "title": "Unprocessable Content",
            "status": 422,
            "detail": "wrong",
            "errors": errors,
        }

    async def test_3_1_a_type_of_ones_own_brings_its_title_and_instance(self) -> None:
        class OutOfCredit(HTTPClientError, status=403, title="You do not have enough credit"):
            """The account is empty."""

        members = {"type": "https://example.com/out-of-credit", "instance": "/account/12345/msgs/abc"}
        problem = json.loads((await answer(OutOfCredit(members=members), "application/json")).body)
        assert problem == {"title": "You do not have enough credit", "status": 403, **members}

    async def test_what_is_no_unicode_is_escaped(self) -> None:
        for accept in ("*/*", "text/html", "application/json"):
            exchange = await answer(HTTPNotFound("no file caf\udce9"), accept)
            assert exchange.status == 404
            assert rb"caf\udce9" in exchange.body.replace(rb"\\", b"\\")

    async def test_members_that_are_no_json_are_a_fault(self, caplog: pytest.LogCaptureFixture) -> None:
        exchange = await answer(HTTPNotFound(members={"x": object()}), "application/json")
        assert (exchange.status, exchange.headers["content-type"]) == (500, PROBLEM)
        assert "TypeError" in caplog.text


class TestPage:
    async def test_everything_on_it_is_escaped(self) -> None:
        class Odd(HTTPClientError, status=418, title=ATTACK):
            """Its title is no title."""

        page = Page((await answer(Odd(ATTACK + "!"), BROWSER)).body.decode())
        assert "script" not in page.tags
        assert page.text.count(ATTACK) == 3

    async def test_it_loads_nothing_and_nothing_could_run(self) -> None:
        exchange = await answer(HTTPNotFound("why"), BROWSER)
        page = Page(exchange.body.decode())
        assert not {"script", "link", "img", "iframe", "a"}.intersection(page.tags)
        assert not {"src", "href", "style", "onclick"}.intersection(page.attributes)
        policy = exchange.headers["content-security-policy"]
        assert policy.startswith(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        assert "unsafe" not in policy

    async def test_the_policy_allows_its_own_style(self) -> None:
        exchange = await answer(HTTPNotFound(), BROWSER)
        style = re.findall(r"<style>(.*?)</style>", exchange.body.decode(), re.DOTALL)[0]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'" in exchange.headers["content-security-policy"]

    async def test_it_can_be_read_by_everybody(self) -> None:
        page = Page((await answer(HTTPNotFound("why"), BROWSER)).body.decode())
        assert page.attributes["lang"] == "en"
        assert {"title", "main", "h1", "meta"} <= set(page.tags)
        assert page.attributes["content"] == "width=device-width,initial-scale=1"
        assert "404 Not Found" in page.text


class TestChain:
    async def test_middlewares_see_the_form_that_the_client_gets(self) -> None:
        seen = []

        async def watching(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            seen.append(response.content_type)
            return response

        app: Application[Any] = Application(middlewares=[watching])
        await Exchange(http_scope("/x", headers=[(b"accept", b"application/json")])).run(app)
        assert seen == [PROBLEM]

    async def test_an_error_handler_can_ask_for_the_answer_that_there_would_be(self) -> None:
        app: Application[Any] = Application()

        @app.error_handler(404)
        async def missing(request: Request, error: HTTPNotFound) -> Response:
            response = error.response(request)
            response.headers["x-handled"] = "yes"
            return response

        exchange = await Exchange(http_scope("/x", headers=[(b"accept", b"text/html")])).run(app)
        assert (exchange.headers["content-type"], exchange.headers["x-handled"]) == (PAGE, "yes")

    def test_without_a_request_the_answer_is_text(self) -> None:
        response = HTTPNotFound("why").response()
        assert (response.body, response.content_type) == (b"why", TEXT)
        assert "vary" not in response.headers

    async def test_what_a_middleware_raises_is_answered_in_its_form_too(self) -> None:
        async def refusing(request: Request, handler: Handler) -> Response:
            raise HTTPUnauthorized("who are you?")

        async def failing(request: Request, handler: Handler) -> Response:
            raise KeyError("secret")

        for middleware, status in ((refusing, 401), (failing, 500)):
            app: Application[Any] = Application(middlewares=[middleware])
            exchange = await Exchange(http_scope(headers=[(b"accept", b"application/json")])).run(app)
            assert (exchange.status, exchange.headers["content-type"]) == (status, PROBLEM)
            assert b"secret" not in exchange.body

    async def test_a_redirection_has_no_form(self) -> None:
        exchange = await answer(HTTPFound("/a"), BROWSER)
        assert (exchange.body, exchange.headers["location"]) == (b"", "/a")
        assert "content-type" not in exchange.headers
