"""Responses: bodies, headers, cookies, and what reaches the server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import pytest
from multidict import CIMultiDict
from yarl import URL

from asgiweb import ClientDisconnected, HeaderError, Response, html_response, json_response, redirect
from tests.asgiweb.exchange import Exchange, http_scope


async def sent(response: Response, method: str = "GET") -> Exchange:
    return await Exchange(http_scope(method=method)).run(response)


async def pieces() -> AsyncIterator[bytes | str]:
    yield b"a"
    yield "\xe9"


class TestBody:
    async def test_text_is_sent_as_utf_8(self) -> None:
        exchange = await sent(Response("caf\xe9"))
        assert exchange.body == "caf\xe9".encode()
        assert exchange.headers["content-type"] == "text/plain; charset=utf-8"

    async def test_the_length_is_counted_in_bytes(self) -> None:
        assert (await sent(Response("caf\xe9"))).headers["content-length"] == "5"

    async def test_bytes_are_sent_as_they_are(self) -> None:
        exchange = await sent(Response(b"\0\xff"))
        assert exchange.body == b"\0\xff"
        assert exchange.headers["content-type"] == "application/octet-stream"

    async def test_no_body_is_an_empty_one_without_a_type(self) -> None:
        exchange = await sent(Response())
        assert exchange.header_pairs == [(b"content-length", b"0")]
        assert exchange.body == b""

    async def test_a_stream_has_no_length(self) -> None:
        exchange = await sent(Response(pieces()))
        assert exchange.headers == {"content-type": "application/octet-stream"}
        assert exchange.body == b"a\xc3\xa9"
        assert exchange.complete

    @pytest.mark.parametrize("body", [{"a": 1}, 7, [b"a"], bytearray(b"a"), iter([b"a"])])
    def test_other_bodies_are_refused_with_advice(self, body: Any) -> None:
        with pytest.raises(TypeError, match="json_response"):
            Response(body)

    async def test_a_middleware_may_exchange_the_body(self) -> None:
        response = Response("a")
        response.body = b"longer"
        exchange = await sent(response)
        assert exchange.body == b"longer"
        assert exchange.headers["content-length"] == "6"

    async def test_there_are_two_messages_for_a_whole_body(self) -> None:
        exchange = await sent(Response("a"))
        assert [message["type"] for message in exchange.sent] == ["http.response.start", "http.response.body"]
        assert exchange.complete


class TestContentType:
    async def test_it_can_be_given(self) -> None:
        assert (await sent(Response(b"", content_type="image/png"))).headers["content-type"] == "image/png"

    @pytest.mark.parametrize(
        ("body", "given", "expected"),
        [
            ("a", "text/csv", "text/csv; charset=utf-8"),
            ("a", "text/csv; charset=utf-8", "text/csv; charset=utf-8"),
            ("a", "application/xml", "application/xml"),
            (b"a", "text/csv", "text/csv"),
        ],
    )
    def test_text_gets_its_charset(self, body: bytes | str, given: str, expected: str) -> None:
        assert Response(body, content_type=given).content_type == expected

    def test_a_header_counts_unless_the_argument_is_given(self) -> None:
        headers = {"Content-Type": "image/png"}
        assert Response(b"", headers=headers).content_type == "image/png"
        assert Response(b"", headers=headers, content_type="image/gif").content_type == "image/gif"
        assert Response(b"", headers=headers).headers.getall("content-type") == ["image/png"]

    async def test_it_can_be_changed(self) -> None:
        response = Response(b"")
        response.content_type = "image/png"
        assert (await sent(response)).headers["content-type"] == "image/png"

    def test_it_can_be_taken_away(self) -> None:
        response = Response(b"")
        del response.headers["content-type"]
        assert response.content_type is None


class TestHeaders:
    def test_they_are_a_multidict_without_regard_to_case(self) -> None:
        response = Response("a", headers=[("X-A", "1"), ("x-a", "2")])
        assert isinstance(response.headers, CIMultiDict)
        assert response.headers.getall("X-a") == ["1", "2"]

    async def test_several_of_one_name_are_all_sent_in_order(self) -> None:
        exchange = await sent(Response(headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]))
        assert exchange.header_pairs[:2] == [(b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]

    async def test_they_can_be_changed_until_the_response_is_sent(self) -> None:
        response = Response("a")
        response.headers["X-A"] = "1"
        del response.headers["content-type"]
        assert (await sent(response)).headers == {"x-a": "1", "content-length": "1"}

    def test_the_given_mapping_is_not_changed(self) -> None:
        headers = {"x-a": "1"}
        Response("a", headers=headers).headers["x-b"] = "2"
        assert headers == {"x-a": "1"}

    @pytest.mark.parametrize(
        ("name", "value"), [("x", "a\r\nb: c"), ("x\r\ny", "a"), ("x", "a\0"), ("x y", "a")]
    )
    async def test_nothing_is_sent_when_a_header_cannot_be(self, name: str, value: str) -> None:
        exchange = Exchange()
        with pytest.raises(HeaderError):
            await exchange.run(Response("a", headers={name: value}))
        assert exchange.sent == []

    async def test_a_content_type_is_checked_too(self) -> None:
        with pytest.raises(HeaderError):
            await sent(Response("a", content_type="text/html\r\nx: y"))

    async def test_a_wrong_length_is_put_right(self) -> None:
        exchange = await sent(Response("abc", headers={"Content-Length": "100"}))
        assert exchange.header_pairs.count((b"content-length", b"3")) == 1
        assert (b"content-length", b"100") not in exchange.header_pairs

    async def test_a_stream_may_know_its_length(self) -> None:
        exchange = await sent(Response(pieces(), headers={"content-length": "3"}))
        assert exchange.headers["content-length"] == "3"


class TestWithoutBody:
    async def test_head_gets_the_headers_of_the_body_and_not_the_body(self) -> None:
        exchange = await sent(Response("caf\xe9"), "HEAD")
        assert exchange.headers == {"content-type": "text/plain; charset=utf-8", "content-length": "5"}
        assert exchange.body == b""
        assert exchange.complete

    async def test_the_answer_to_head_may_say_a_length_of_its_own(self) -> None:
        exchange = await sent(Response(headers={"content-length": "1000"}), "HEAD")
        assert exchange.header_pairs == [(b"content-length", b"1000")]

    async def test_head_on_a_stream_does_not_run_it(self) -> None:
        started = []

        async def stream() -> AsyncIterator[bytes]:
            started.append(True)
            yield b"a"

        exchange = await sent(Response(stream()), "HEAD")
        assert exchange.body == b""
        assert exchange.complete
        assert not started

    @pytest.mark.parametrize("status", [204, 304])
    async def test_statuses_without_a_body_have_none_and_no_length(self, status: int) -> None:
        exchange = await sent(Response("ignored", status))
        assert "content-length" not in exchange.headers
        assert exchange.body == b""
        assert exchange.complete

    @pytest.mark.parametrize("method", ["GET", "HEAD"])
    @pytest.mark.parametrize("stream", [True, False])
    async def test_a_204_has_no_length_whoever_has_set_it(self, method: str, stream: bool) -> None:
        # RFC 9110, 8.6.
        response = Response(pieces() if stream else None, 204, headers={"content-length": "0"})
        assert "content-length" not in (await sent(response, method)).headers

    async def test_a_stream_with_such_a_status_is_not_sent(self) -> None:
        exchange = await sent(Response(pieces(), 204))
        assert exchange.body == b""
        assert exchange.complete


class TestCookies:
    async def test_each_cookie_is_a_header_of_its_own(self) -> None:
        response = Response("a")
        response.set_cookie("a", "1", max_age=60, expires=datetime(2030, 1, 1, tzinfo=UTC), secure=True)
        response.set_cookie("b", "2", httponly=False, samesite=None, path=None)
        assert response.headers.getall("set-cookie") == [
            "a=1; Max-Age=60; Expires=Tue, 01 Jan 2030 00:00:00 GMT; Path=/; SameSite=Lax; Secure; HttpOnly",
            "b=2",
        ]
        assert [name for name, _ in (await sent(response)).header_pairs].count(b"set-cookie") == 2

    def test_a_cookie_is_deleted_by_one_that_has_expired(self) -> None:
        response = Response("a")
        response.delete_cookie("a", path="/x", domain="example.org")
        assert response.headers["set-cookie"] == (
            "a=; Max-Age=0; Domain=example.org; Path=/x; SameSite=Lax; HttpOnly"
        )

    def test_one_of_an_embedded_page_is_deleted_where_it_is(self) -> None:
        response = Response("a")
        response.delete_cookie("a", secure=True, samesite="none", partitioned=True)
        assert response.headers["set-cookie"] == (
            "a=; Max-Age=0; Path=/; SameSite=None; Secure; HttpOnly; Partitioned"
        )

    def test_an_attribute_that_there_is_not_is_an_error(self) -> None:
        with pytest.raises(TypeError, match="maxage"):
            Response().set_cookie("a", "1", maxage=60)  # type: ignore[call-arg]  # that is the point

    def test_a_cookie_that_cannot_be_is_refused(self) -> None:
        with pytest.raises(HeaderError):
            Response().set_cookie("a", "1; domain=evil")


@dataclass
class User:
    id: UUID
    since: datetime


class TestFactories:
    async def test_json_of_what_msgspec_encodes(self) -> None:
        user = User(UUID(int=7), datetime(2030, 1, 1, tzinfo=UTC))
        exchange = await sent(json_response({"user": user, "tags": ("\xe9", None, 1.5)}))
        assert exchange.headers["content-type"] == "application/json"
        assert (
            exchange.body
            == (
                '{"user":{"id":"00000000-0000-0000-0000-000000000007","since":"2030-01-01T00:00:00Z"},'
                '"tags":["\xe9",null,1.5]}'
            ).encode()
        )

    def test_json_has_status_headers_and_another_type_if_asked(self) -> None:
        response = json_response([], 201, headers={"x": "y"}, content_type="application/problem+json")
        assert (response.status, response.headers["x"]) == (201, "y")
        assert response.content_type == "application/problem+json"

    def test_what_is_no_json_is_an_error_at_once(self) -> None:
        with pytest.raises(TypeError):
            json_response(object())

    async def test_html(self) -> None:
        exchange = await sent(html_response("<p>\xe9</p>", 201, headers={"x": "y"}))
        assert exchange.headers["content-type"] == "text/html; charset=utf-8"
        assert exchange.headers["x"] == "y"
        assert (exchange.status, exchange.body) == (201, "<p>\xe9</p>".encode())

    async def test_a_redirect_makes_the_next_request_a_get(self) -> None:
        exchange = await sent(redirect("/a"))
        assert exchange.status == 303
        assert exchange.headers == {"location": "/a", "content-length": "0"}

    @pytest.mark.parametrize(
        ("location", "expected"),
        [
            ("/caf\xe9?a=b c", "/caf%C3%A9?a=b%20c"),
            ("/a%20b#c", "/a%20b#c"),
            ("https://example.org:8000/?a=[1]&b=~", "https://example.org:8000/?a=[1]&b=~"),
            ("../up", "../up"),
            ("/a\r\nset-cookie: b=c", "/a%0D%0Aset-cookie:%20b=c"),
            (URL("/a b"), "/a%20b"),
        ],
    )
    def test_a_location_is_quoted_where_it_has_to_be(self, location: str | URL, expected: str) -> None:
        assert redirect(location, 308).headers["location"] == expected

    async def test_a_status_may_be_an_enum(self) -> None:
        assert (await sent(Response(status=HTTPStatus.CREATED))).status == 201


class TestDisconnect:
    @pytest.mark.parametrize("sends", [0, 1])
    async def test_a_client_that_does_not_stay_is_told_of_by_an_exception(self, sends: int) -> None:
        exchange = Exchange(sends=sends, send_error=OSError("gone"))
        with pytest.raises(ClientDisconnected) as caught:
            await exchange.run(Response("a"))
        assert isinstance(caught.value.__cause__, OSError)
