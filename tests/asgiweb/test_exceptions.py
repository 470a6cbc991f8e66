"""HTTPException and its classes: one for each status, and the answers they make."""

from __future__ import annotations

import inspect
from http import HTTPStatus

import pytest
from yarl import URL

import asgiweb
from asgiweb import (
    HTTPClientError,
    HTTPException,
    HTTPFound,
    HTTPMethodNotAllowed,
    HTTPNotFound,
    HTTPRedirection,
    HTTPSeeOther,
    HTTPServerError,
    HTTPUnauthorized,
    Response,
)

GROUPS: tuple[type[HTTPException], ...] = (HTTPRedirection, HTTPClientError, HTTPServerError)

STATUSES: list[type[HTTPException]] = [
    kind
    for kind in vars(asgiweb).values()
    if inspect.isclass(kind) and issubclass(kind, GROUPS) and kind not in GROUPS
]

# 1xx and 2xx are no errors, 300, 304 to 306 carry no location, 418 and 510 are jokes or obsolete.
LEFT_OUT = {*range(100, 300), 300, 304, 305, 306, 418, 510}


def test_every_registered_status_has_one_class() -> None:
    assert sorted(kind.status for kind in STATUSES) == sorted({*HTTPStatus} - LEFT_OUT)


@pytest.mark.parametrize("kind", STATUSES, ids=lambda kind: kind.__name__)
def test_a_class_is_called_like_its_status_and_says_so(kind: type[HTTPException]) -> None:
    assert kind.__name__ == "HTTP" + kind.title.removeprefix("HTTP ").replace(" ", "")
    assert (kind.__doc__ or "").startswith(f"{kind.status}: ")
    assert (
        kind.status // 100 == {HTTPRedirection: 3, HTTPClientError: 4, HTTPServerError: 5}[kind.__bases__[0]]
    )


def test_the_answer_is_the_detail_as_plain_text() -> None:
    response = HTTPNotFound("no user <b>3</b>").response()
    assert type(response) is Response
    assert (response.status, response.body) == (404, b"no user <b>3</b>")
    assert response.content_type == "text/plain; charset=utf-8"


def test_without_a_detail_the_answer_is_the_title() -> None:
    assert HTTPNotFound().response().body == b"Not Found"
    assert HTTPNotFound().detail == "Not Found"


def test_a_detail_that_is_no_unicode_is_escaped() -> None:
    assert HTTPNotFound("no file caf\udce9").response().body == rb"no file caf\udce9"


def test_headers_go_into_the_answer() -> None:
    error = HTTPUnauthorized(headers={"WWW-Authenticate": "Basic"})
    assert error.response().headers["www-authenticate"] == "Basic"


def test_each_answer_is_a_new_response() -> None:
    error = HTTPNotFound()
    error.response().headers["x"] = "y"
    assert "x" not in error.response().headers


def test_an_exception_shows_its_status_and_detail() -> None:
    assert str(HTTPNotFound("no user 3")) == "404 no user 3"


def test_a_redirection_carries_its_location() -> None:
    response = HTTPFound("/login?next=/a b").response()
    assert response.status == 302
    assert response.headers["location"] == "/login?next=/a%20b"
    assert HTTPSeeOther(URL("/a")).response().headers["location"] == "/a"


def test_the_headers_of_a_redirection_have_its_location_for_who_answers_it() -> None:
    assert HTTPFound("/a b", headers={"x": "y"}).headers == {"location": "/a%20b", "x": "y"}


def test_a_status_is_no_detail() -> None:
    with pytest.raises(TypeError, match=r"write HTTPNotFound\(\.\.\.\) for 404"):
        HTTPException(404)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="int"):
        HTTPNotFound(7)  # type: ignore[arg-type]


def test_a_redirection_may_have_headers() -> None:
    assert HTTPFound("/", headers={"x": "y"}).response().headers["x"] == "y"


def test_405_names_the_methods_that_work_sorted() -> None:
    error = HTTPMethodNotAllowed(["POST", "GET"], headers={"x": "y"})
    assert error.allow == ["GET", "POST"]
    assert error.response().headers["allow"] == "GET, POST"
    assert error.response().headers["x"] == "y"


def test_a_subclass_is_answered_like_its_parent_unless_it_says_otherwise() -> None:
    class NoSuchUser(HTTPNotFound):
        """A user is missing."""

    class Teapot(HTTPClientError, status=418, title="I'm a Teapot"):
        """Cannot brew coffee."""

    assert NoSuchUser().response().status == 404
    assert Teapot().response().status == 418
    assert Teapot().response().body == b"I'm a Teapot"


def test_an_exception_is_no_response() -> None:
    assert not isinstance(HTTPNotFound(), Response)
    with pytest.raises(HTTPException):
        raise HTTPNotFound
