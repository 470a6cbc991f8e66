"""What type checkers have to know of exceptions and their handlers; nothing of it runs.

Each mistake is marked as one.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, assert_type

from asgiweb import (
    Application,
    ErrorHandler,
    HTTPException,
    HTTPMethodNotAllowed,
    HTTPNotFound,
    HTTPSeeOther,
    HTTPServerError,
    Request,
    Response,
)

app: Application[list[str]] = Application()


@app.error_handler(KeyError)
async def missing(request: Request[list[str]], error: KeyError) -> Response:
    assert_type(request.state, list[str])
    return Response(f"no {error.args[0]}", 404)


@app.error_handler(HTTPNotFound)
async def not_found(request: Request[list[str]], error: HTTPException) -> Response:
    return error.response(request)


@app.error_handler(404)
async def by_status(request: Request[list[str]], error: HTTPNotFound) -> Response:
    assert_type(error.members.get("a", None) is None, bool)
    return error.response()


# What is decorated keeps its type.
assert_type(by_status, Callable[[Request[list[str]], HTTPNotFound], Coroutine[Any, Any, Response]])
assert_type(missing, Callable[[Request[list[str]], KeyError], Coroutine[Any, Any, Response]])


class Unavailable(HTTPServerError, status=503, title="Try Again"):
    """A status of one's own."""


known: ErrorHandler[list[str], KeyError] = missing
Application(error_handlers={KeyError: missing, 404: by_status})
HTTPNotFound("why", headers={"x": "y"}, members={"errors": [{"pointer": "#/a"}]})
HTTPMethodNotAllowed(["GET"], "why")
HTTPSeeOther("/elsewhere")


@app.error_handler(KeyError)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # of another class
async def of_another_class(request: Request[list[str]], error: ValueError) -> Response:
    return Response()


@app.error_handler(404)  # type: ignore[type-var]  # pyright: ignore[reportArgumentType]  # that is what is raised
async def of_a_number(request: Request[list[str]], error: int) -> Response:
    return Response()


@app.error_handler(KeyError)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a str is no Response
async def with_text(request: Request[list[str]], error: KeyError) -> str:
    return "missing"


@app.error_handler(KeyError)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # there is an error
async def without_the_error(request: Request[list[str]]) -> Response:
    return Response()


@app.error_handler("404")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportCallIssue, reportArgumentType]
async def by_a_text(request: Request[list[str]], error: HTTPNotFound) -> Response:
    return Response()


HTTPNotFound(7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
HTTPNotFound("why", {"x": "y"})  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # headers=
HTTPMethodNotAllowed()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # which are allowed?
HTTPSeeOther()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # where to?
