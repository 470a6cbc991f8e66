"""Error handlers: which one answers, what is logged, and what the client learns."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from asgiweb import (
    Application,
    ClientDisconnected,
    Handler,
    HTTPClientError,
    HTTPException,
    HTTPForbidden,
    HTTPNotFound,
    HTTPSeeOther,
    HTTPServiceUnavailable,
    RegistrationError,
    Request,
    Response,
    json_response,
)
from tests.asgiweb.exchange import Exchange, client_of


def failing(error: Exception, **settings: Any) -> Application[Any]:
    """An application whose only handler raises."""
    app: Application[Any] = Application(**settings)

    @app.get("/")
    async def fail(request: Request) -> Response:
        raise error

    return app


def answering(text: str) -> Any:
    async def handler(request: Request, error: Exception) -> Response:
        return Response(f"{text}: {error}", 418)

    return handler


class TestChoice:
    @pytest.mark.parametrize(
        ("error", "handled", "expected"),
        [
            (KeyError("x"), [KeyError, LookupError, Exception], "KeyError"),
            (KeyError("x"), [LookupError, Exception], "LookupError"),
            (KeyError("x"), [Exception], "Exception"),
            (KeyError("x"), [Exception, 500], "Exception"),
            (KeyError("x"), [HTTPException, 500, ValueError], "500"),
            (HTTPNotFound("x"), [404, HTTPNotFound, Exception], "404"),
            (HTTPNotFound("x"), [403, HTTPNotFound, HTTPException], "HTTPNotFound"),
            (HTTPNotFound("x"), [HTTPClientError, HTTPException], "HTTPClientError"),
            (HTTPNotFound("x"), [HTTPException, Exception], "HTTPException"),
            (HTTPNotFound("x"), [Exception], "Exception"),
            (HTTPServiceUnavailable("x"), [500, 503], "503"),
        ],
    )
    async def test_a_status_comes_before_classes_and_the_nearest_class_first(
        self, error: Exception, handled: list[type[Exception] | int], expected: str
    ) -> None:
        handlers = {key: answering(key.__name__ if isinstance(key, type) else str(key)) for key in handled}
        exchange = await Exchange().run(failing(error, error_handlers=handlers))
        assert exchange.status == 418
        assert exchange.body.decode().startswith(f"{expected}: ")

    async def test_handlers_can_be_registered_by_a_decorator(self) -> None:
        app = failing(KeyError("x"))

        @app.error_handler(KeyError)
        async def missing(request: Request, error: KeyError) -> Response:
            return Response(f"no {error.args[0]}", 404)

        @app.error_handler(405)
        async def wrong_method(request: Request, error: HTTPException) -> Response:
            return Response("wrong", error.status, headers=error.headers)

        assert (await Exchange().run(app)).body == b"no x"
        exchange = Exchange()
        exchange.scope["method"] = "POST"
        await exchange.run(app)
        assert (exchange.body, exchange.headers["allow"]) == (b"wrong", "GET, HEAD, OPTIONS")

    async def test_the_answer_to_an_unknown_path_can_be_made_by_a_handler(self) -> None:
        app = failing(KeyError("x"), error_handlers={404: answering("nothing")})
        exchange = Exchange()
        exchange.scope["path"] = "/unknown"
        assert (await exchange.run(app)).body == b"nothing: 404 Not Found"

    async def test_a_response_with_a_status_is_not_an_error(self) -> None:
        app: Application[Any] = Application(error_handlers={404: answering("handler")})

        @app.get("/")
        async def handler(request: Request) -> Response:
            return Response("mine", 404)

        assert (await Exchange().run(app)).body == b"mine"

    def test_one_handler_for_each(self) -> None:
        app: Application[Any] = Application(error_handlers={404: answering("a")})
        with pytest.raises(RegistrationError, match="404 is handled already"):
            app.error_handler(404)(answering("b"))

    def test_a_handler_of_the_wrong_shape_is_refused(self) -> None:
        async def handler(request: Request) -> Response:
            return Response()

        with pytest.raises(RegistrationError, match="the request and the exception"):
            Application(error_handlers={404: handler})  # type: ignore[dict-item]  # that is the point


class TestFaults:
    async def test_they_are_answered_500_without_a_word_of_the_inside(self) -> None:
        exchange = await Exchange().run(failing(KeyError("secret")))
        assert exchange.status == 500
        assert exchange.body == b"Internal Server Error"
        assert exchange.headers["content-type"] == "text/plain; charset=utf-8"

    async def test_they_are_logged_once_with_the_traceback(self, caplog: pytest.LogCaptureFixture) -> None:
        async def passing(request: Request, handler: Handler) -> Response:
            return await handler(request)

        await Exchange().run(failing(KeyError("x"), middlewares=[passing, passing]))
        (record,) = caplog.records
        assert (record.name, record.levelno) == ("asgiweb", logging.ERROR)
        assert record.getMessage() == "GET '/' failed"
        assert record.exc_info is not None
        assert isinstance(record.exc_info[1], KeyError)

    async def test_the_log_is_not_for_the_client_to_write(self, caplog: pytest.LogCaptureFixture) -> None:
        app: Application[Any] = Application()

        @app.get("/{x}")
        async def fail(request: Request) -> Response:
            raise KeyError

        exchange = Exchange()
        exchange.scope.update(path="/a\nERROR forged", raw_path=b"/a%0AERROR%20forged")
        await exchange.run(app)
        assert caplog.records[0].getMessage() == r"GET '/a\nERROR forged' failed"

    async def test_the_handler_of_500_answers_them_and_they_are_logged_still(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        exchange = await Exchange().run(failing(KeyError("x"), error_handlers={500: answering("sorry")}))
        assert exchange.body == b"sorry: 'x'"
        assert len(caplog.records) == 1

    @pytest.mark.parametrize("error", [HTTPNotFound(), HTTPServiceUnavailable()])
    async def test_answers_are_not_logged(
        self, error: HTTPException, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert (await Exchange().run(failing(error))).status == error.status
        assert caplog.records == []

    async def test_what_a_class_handler_answers_is_not_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        await Exchange().run(failing(KeyError("x"), error_handlers={KeyError: answering("x")}))
        assert caplog.records == []

    async def test_in_debug_mode_the_page_comes_before_the_handler_of_500(self) -> None:
        app = failing(KeyError("x"), debug=True, error_handlers={500: answering("sorry")})
        exchange = await Exchange().run(app)
        assert exchange.status == 500
        assert b"KeyError" in exchange.body


class TestFaultsOfHandlers:
    async def test_they_are_answered_and_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        async def failing_too(request: Request, error: Exception) -> Response:
            raise ValueError("second")

        for debug, body in ((False, b"Internal Server Error"), (True, b"ValueError")):
            caplog.clear()
            app = failing(HTTPNotFound(), error_handlers={404: failing_too}, debug=debug)
            exchange = await Exchange().run(app)
            assert exchange.status == 500
            assert body in exchange.body
            assert "second" in caplog.text

    async def test_a_handler_may_raise_an_answer(self, caplog: pytest.LogCaptureFixture) -> None:
        async def forbidding(request: Request, error: Exception) -> Response:
            raise HTTPForbidden

        app = failing(KeyError("x"), error_handlers={KeyError: forbidding, 403: forbidding})
        assert (await Exchange().run(app)).status == 403
        assert caplog.records == []

    async def test_a_handler_that_returns_no_response_is_explained(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def forgetful(request: Request, error: Exception) -> Response:
            return None  # type: ignore[return-value]  # that is the point

        app = failing(HTTPNotFound(), error_handlers={404: forgetful})
        assert (await Exchange().run(app)).status == 500
        assert "forgetful returned NoneType, not a Response" in caplog.text

    async def test_an_exception_that_fails_to_answer_is_a_fault(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Unanswerable(HTTPNotFound):
            def response(self, request: Request | None = None) -> Response:
                raise ValueError("second")

        async def failing_too(request: Request, error: Exception) -> Response:
            raise Unanswerable

        for handlers in ({}, {404: failing_too}):
            caplog.clear()
            exchange = await Exchange().run(failing(Unanswerable(), error_handlers=handlers))
            assert (exchange.status, exchange.body) == (500, b"Internal Server Error")
            assert caplog.text.count("ValueError: second") == 1

    async def test_a_client_that_leaves_meanwhile_is_no_fault(self, caplog: pytest.LogCaptureFixture) -> None:
        async def reading(request: Request, error: Exception) -> Response:
            return Response(await request.body())

        app = failing(HTTPNotFound(), error_handlers={404: reading})
        exchange = await Exchange(body=[b"a"], leaves=True).run(app)
        assert exchange.sent == []
        assert caplog.records == []


async def test_a_client_that_leaves_has_no_answer_and_no_handler(caplog: pytest.LogCaptureFixture) -> None:
    async def passing(request: Request, handler: Handler) -> Response:
        return await handler(request)

    app = failing(
        ClientDisconnected("left"), error_handlers={Exception: answering("x")}, middlewares=[passing]
    )
    exchange = await Exchange().run(app)
    assert exchange.sent == []
    assert caplog.records == []


async def test_a_handler_of_all_http_exceptions_that_keeps_their_headers_redirects() -> None:
    app = Application()

    @app.error_handler(HTTPException)
    async def answer(request: Request, error: HTTPException) -> Response:
        return json_response({"error": error.title}, error.status, headers=error.headers)

    @app.get("/a")
    async def a(request: Request) -> Response:
        raise HTTPSeeOther("/login page")

    async with client_of(app) as client:
        response = await client.get("/a/")
        assert (response.status_code, response.headers["location"]) == (308, "/a")
        response = await client.get("/a")
        assert (response.status_code, response.headers["location"]) == (303, "/login%20page")
