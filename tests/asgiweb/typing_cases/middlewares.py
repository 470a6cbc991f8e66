"""What type checkers have to know of middlewares; nothing of it runs. Each mistake is marked as one."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, assert_type

from asgiweb import Application, Handler, Middleware, Request, Response

app: Application[list[str]] = Application()


@app.middleware
async def timing(request: Request[list[str]], handler: Handler) -> Response:
    assert_type(request.state, list[str])
    assert_type(handler(request), Awaitable[Response])
    response = await handler(request)
    assert_type(response, Response)
    response.headers["x"] = "y"
    return response


async def of_any_state(request: Request, handler: Handler) -> Response:
    return await handler(request)


class Limit:
    """An object whose settings are in ``__init__``."""

    def __init__(self, *, size: int) -> None:
        self.size = size

    async def __call__(self, request: Request[Any], handler: Handler) -> Response:
        return await handler(request)


known: Middleware[list[str]] = timing
wrapped: Application[list[str]] = Application(middlewares=[timing, of_any_state, Limit(size=7)])
app.middleware(Limit(size=7))


@app.get("/", middlewares=[of_any_state, Limit(size=1)])
async def handler(request: Request[list[str]]) -> Response:
    return Response()


@app.middleware  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # there is a handler to take
async def without_a_handler(request: Request[list[str]]) -> Response:
    return Response()


@app.middleware  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the request comes first
async def the_wrong_way_round(handler: Handler, request: Request[list[str]]) -> Response:
    return await handler(request)


@app.middleware  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it has to answer
async def without_an_answer(request: Request[list[str]], handler: Handler) -> None:
    await handler(request)


@app.middleware  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # it would block
def not_async(request: Request[list[str]], handler: Handler) -> Response:
    return Response()


@app.middleware  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the state is of another type
async def of_another_state(request: Request[int], handler: Handler) -> Response:
    return await handler(request)


@app.middleware
async def forgetful(request: Request[list[str]], handler: Handler) -> Response:
    return handler(request)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # await is missing


@app.middleware
async def forgetting_the_request(request: Request[list[str]], handler: Handler) -> Response:
    return await handler()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


app.middleware(Limit)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # an object, not its class
Application(middlewares=[Limit(size="7")])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
