"""The request: views of the scope, and the body through one object."""

from __future__ import annotations

import contextlib
import time
from typing import Any

import pytest
from multidict import CIMultiDictProxy, MultiDictProxy
from yarl import URL

from asgiweb import (
    Application,
    BodyConsumed,
    ClientDisconnected,
    HTTPBadRequest,
    HTTPContentTooLarge,
    HTTPException,
    HTTPUnsupportedMediaType,
    Request,
    Response,
    UrlError,
)
from asgiweb.texts import CHARSETS
from tests.asgiweb.exchange import Exchange, http_scope


def request_of(
    exchange: Exchange | None = None, *, app: Application[Any] | None = None, **scope: Any
) -> Request[Any]:
    exchange = exchange or Exchange()
    return Request(app or Application(), {**exchange.scope, **scope}, exchange.receive, None, {})


def with_headers(*headers: tuple[str, str], body: bytes = b"") -> Request[Any]:
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return request_of(Exchange(body=[body]), headers=pairs)


def json_request(body: bytes) -> Request[Any]:
    return with_headers(("content-length", str(len(body))), body=body)


class TestScope:
    def test_method_and_path(self) -> None:
        request = request_of(method="POST", path="/caf\xe9")
        assert (request.method, request.path) == ("POST", "/caf\xe9")
        assert repr(request) == "<Request POST '/caf\xe9'>"

    def test_the_scope_itself_is_there(self) -> None:
        exchange = Exchange()
        assert Request(Application(), exchange.scope, exchange.receive, None, {}).scope is exchange.scope

    def test_client(self) -> None:
        client = request_of(client=["127.0.0.1", 50000]).client
        assert client is not None
        assert (client.host, client.port) == ("127.0.0.1", 50000)
        assert client == ("127.0.0.1", 50000)

    @pytest.mark.parametrize("port", [None, 0, "0"])
    def test_a_client_without_a_port(self, port: Any) -> None:
        assert request_of(client=("/run/socket", port)).client == ("/run/socket", 0)

    def test_an_unknown_client(self) -> None:
        assert request_of(client=None).client is None

    def test_attributes_of_ones_own_are_refused_and_have_a_place(self) -> None:
        request = request_of()
        with pytest.raises(AttributeError):
            request.user = "me"  # type: ignore[attr-defined]  # that is the point
        request.context["user"] = "me"
        assert request.context == {"user": "me"}
        assert request_of().context == {}


class TestHeaders:
    def test_names_are_found_in_any_case(self) -> None:
        request = with_headers(("x-a", "1"), ("X-A", "2"))
        assert isinstance(request.headers, CIMultiDictProxy)
        assert request.headers.getall("X-a") == ["1", "2"]

    def test_values_are_latin_1(self) -> None:
        assert with_headers(("x", "caf\xe9")).headers["x"] == "caf\xe9"

    def test_they_are_read_once(self) -> None:
        request = request_of()
        assert request.headers is request.headers

    def test_content_type(self) -> None:
        assert with_headers(("content-type", "Text/HTML; charset=x")).content_type == "text/html"
        assert request_of().content_type == ""

    def test_cookies(self) -> None:
        request = with_headers(("cookie", "a=1; b=2"), ("cookie", "c=3"))
        assert request.cookies == {"a": "1", "b": "2", "c": "3"}
        assert request.cookies is request.cookies
        assert request_of().cookies == {}


class TestQuery:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            (b"", []),
            (b"a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
            (b"a", [("a", "")]),
            (b"a=", [("a", "")]),
            (b"a=b+c%20d%2B", [("a", "b c d+")]),
            (b"%E2%82%AC=%E2%82%AC", [("\u20ac", "\u20ac")]),
            (b"a=%ff", [("a", "\ufffd")]),
            (b"a=1;b=2", [("a", "1;b=2")]),
            (b"a=%00&=b", [("a", "\0"), ("", "b")]),
        ],
    )
    def test_parameters_are_decoded(self, text: bytes, expected: list[tuple[str, str]]) -> None:
        query = request_of(query_string=text).query
        assert isinstance(query, MultiDictProxy)
        assert list(query.items()) == expected

    def test_names_are_case_sensitive(self) -> None:
        assert request_of(query_string=b"A=1").query.get("a") is None


class TestUrl:
    def test_it_is_what_the_client_asked_for(self) -> None:
        request = request_of(
            headers=[(b"host", b"example.org:8443")],
            scheme="https",
            path="/a b",
            raw_path=b"/a%20b",
            query_string=b"c=%2F",
        )
        assert request.url == URL("https://example.org:8443/a%20b?c=%2F", encoded=True)
        assert str(request.url) == "https://example.org:8443/a%20b?c=%2F"
        assert request.url is request.url

    def test_without_a_raw_path_the_path_is_quoted(self) -> None:
        assert str(request_of(path="/caf\xe9", raw_path=None).url) == "http://test/caf%C3%A9"

    def test_bytes_that_should_have_been_quoted_are(self) -> None:
        request = request_of(path="/é", raw_path="/é".encode(), query_string="é=ü".encode())
        assert str(request.url) == "http://test/%C3%A9?%C3%A9=%C3%BC"
        assert request.query["é"] == "ü"

    def test_a_raw_path_with_a_query_is_cut(self) -> None:
        assert str(request_of(raw_path=b"/?a=b", query_string=b"a=b").url) == "http://test/?a=b"

    @pytest.mark.parametrize("raw_path", [b"/a%2Fb", b"/v%201/a%2Fb"])
    def test_it_has_the_prefix_of_the_mount_whether_the_raw_path_has_it_or_not(self, raw_path: bytes) -> None:
        request = request_of(root_path="/v 1", path="/v 1/a/b", raw_path=raw_path)
        assert str(request.url) == "http://test/v%201/a%2Fb"

    @pytest.mark.parametrize("raw_path", [b"/a%2Fb", None])
    def test_it_has_the_prefix_where_the_server_has_it_nowhere_in_the_path(
        self, raw_path: bytes | None
    ) -> None:
        request = request_of(root_path="/v 1", path="/a/b", raw_path=raw_path)
        assert str(request.url) == f"http://test/v%201{'/a/b' if raw_path is None else '/a%2Fb'}"

    @pytest.mark.parametrize(("path", "expected"), [("/v1", "/v1"), ("/v1/", "/v1/"), ("/v10", "/v1/v10")])
    def test_a_path_that_is_the_prefix_or_only_begins_like_it(self, path: str, expected: str) -> None:
        request = request_of(root_path="/v1", path=path, raw_path=path.encode())
        assert str(request.url) == f"http://test{expected}"

    @pytest.mark.parametrize(
        ("server", "expected"),
        [
            (("127.0.0.1", 8000), "http://127.0.0.1:8000/"),
            (("/run/socket", None), "http://localhost/"),
            (None, "http://localhost/"),
        ],
    )
    def test_without_a_host_the_server_is_named(self, server: Any, expected: str) -> None:
        assert str(request_of(headers=[], server=server).url) == expected

    @pytest.mark.parametrize(
        "host", [b"[::1]:80", b"127.0.0.1", b"xn--caf-dma.example:8000", b"a_b", b"a:", b"[::1]"]
    )
    def test_a_host_may_be_a_name_or_an_address(self, host: bytes) -> None:
        url = request_of(headers=[(b"host", host)]).url
        assert url.raw_authority.rstrip(":") == host.decode().rstrip(":")
        assert url.host
        assert url.port

    @pytest.mark.parametrize(
        "host",
        [b"", b"[::1", b"a:b:c", b"a:65536", b"a b", b"a/b", b"me@a", b"<a>", b"a\xe9", b"a:-1", b"a\n"],
    )
    def test_a_host_that_is_none_is_a_bad_request(self, host: bytes) -> None:
        with pytest.raises(HTTPBadRequest, match="Host"):
            _ = request_of(headers=[(b"host", host)]).url

    def test_url_for_is_below_the_mount(self) -> None:
        app = Application()

        @app.get("/users/{id:int}", name="user")
        async def user(request: Request) -> Response:
            return Response()

        assert str(request_of(app=app).url_for("user", id=7)) == "/users/7"
        assert str(request_of(app=app, root_path="/api").url_for("user", id=7)) == "/api/users/7"
        with pytest.raises(UrlError):
            request_of(app=app).url_for("user")


class TestBody:
    async def test_body_text_and_json_read_the_same_body(self) -> None:
        request = json_request(b'{"a": [1, 2.5, null]}')
        assert await request.json() == {"a": [1, 2.5, None]}
        assert await request.text() == '{"a": [1, 2.5, null]}'
        assert await request.body() == b'{"a": [1, 2.5, null]}'

    async def test_it_can_be_iterated(self) -> None:
        request = request_of(Exchange(body=[b"a", b"b"]), headers=[(b"transfer-encoding", b"chunked")])
        assert [piece async for piece in request] == [b"a", b"b"]
        with pytest.raises(BodyConsumed):
            await request.body()

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"{",
            b"nul",
            b"{'a': 1}",
            b'{"a": 1} x',
            b"\xff",
            b'"\xff"',
            b"[" * 100_000,
            b"NaN",
            b"1" * 5000,
            b"1e999",
        ],
    )
    async def test_what_is_no_json_is_a_bad_request(self, body: bytes) -> None:
        request = json_request(body)
        with pytest.raises(HTTPBadRequest, match="JSON"):
            await request.json()

    async def test_text_is_in_the_charset_that_is_named(self) -> None:
        request = with_headers(("content-type", "text/plain; charset=latin-1"), body=b"caf\xe9")
        assert await request.text() == "caf\xe9"

    @pytest.mark.parametrize("charset", sorted(CHARSETS))
    async def test_every_charset_that_is_accepted_is_known_and_quick(self, charset: str) -> None:
        request = with_headers(("content-type", f"text/plain; charset={charset.upper()}"))
        assert await request.text() == ""
        for body in (b"a" * 999_999, b"a" * 500_000 + b"-" + b"b" * 499_998, b"\x1b$B" * 333_333):
            start = time.process_time()
            with contextlib.suppress(ValueError):
                body.decode(charset)
            assert time.process_time() - start < 0.5

    @pytest.mark.parametrize(
        ("charset", "kind"),
        [
            ("utf-8", HTTPBadRequest),
            ("klingon", HTTPUnsupportedMediaType),
            ("base64", HTTPUnsupportedMediaType),
            # Codecs of Python that take quadratic time, or are no charset: the client has no choice of these.
            ("punycode", HTTPUnsupportedMediaType),
            ("idna", HTTPUnsupportedMediaType),
            ("unicode_escape", HTTPUnsupportedMediaType),
            ("utf-7", HTTPUnsupportedMediaType),
        ],
    )
    async def test_text_that_is_none(self, charset: str, kind: type[HTTPException]) -> None:
        request = with_headers(("content-type", f"text/plain; charset={charset}"), body=b"caf\xe9")
        with pytest.raises(kind):
            await request.text()

    async def test_the_limit_is_the_applications(self) -> None:
        request = request_of(Exchange(body=[b"x" * 11]), app=Application(max_body_size=10))
        with pytest.raises(HTTPContentTooLarge):
            await request.body()

    async def test_the_limit_is_a_million_bytes_by_default(self) -> None:
        assert len(await request_of(Exchange(body=[b"x" * 1_000_000])).body()) == 1_000_000
        with pytest.raises(HTTPContentTooLarge):
            await request_of(Exchange(body=[b"x" * 1_000_001])).body()

    @pytest.mark.parametrize("off", [0, None])
    async def test_the_limit_can_be_turned_off(self, off: int | None) -> None:
        request = request_of(Exchange(body=[b"x" * 2_000_000]), app=Application(max_body_size=off))
        assert len(await request.body()) == 2_000_000

    @pytest.mark.parametrize(("limit", "refused"), [(0, False), (5, True), (20, False), (None, True)])
    async def test_a_route_may_have_a_limit_of_its_own(self, limit: int | None, refused: bool) -> None:
        app = Application(max_body_size=10)

        @app.post("/", max_body_size=limit)
        async def upload(request: Request) -> Response:
            return Response(await request.body())

        exchange = await Exchange(http_scope(method="POST"), body=[b"x" * 11]).run(app)
        assert exchange.status == (413 if refused else 200)

    async def test_a_client_that_leaves(self) -> None:
        request = request_of(Exchange(body=[b"a"], leaves=True), headers=[(b"content-length", b"2")])
        with pytest.raises(ClientDisconnected):
            await request.json()

    async def test_the_body_of_http_2_may_come_without_a_sign(self) -> None:
        exchange = Exchange(body=[b"a"])
        post = request_of(exchange, http_version="2", method="POST")
        get = request_of(Exchange(), http_version="2", method="GET")
        assert (await get.receive_disconnect())["type"] == "http.request"
        assert await post.body() == b"a"
        exchange.leave()
        assert (await post.receive_disconnect())["type"] == "http.disconnect"
