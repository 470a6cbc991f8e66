"""The chain: order, plain calls in one task, and responses on the way back whatever was raised."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from functools import partial
from typing import Any

import pytest

from asgiweb import Application, Handler, HTTPForbidden, Middleware, Request, Response
from asgiweb.chain import compose
from tests.asgiweb.exchange import Exchange, client_of


def marking(mark: str, order: list[str]) -> Middleware[Any]:
    async def middleware(request: Request, handler: Handler) -> Response:
        order.append(mark)
        response = await handler(request)
        order.append(f"/{mark}")
        response.headers.add("x-mark", mark)
        return response

    return middleware


async def hello(request: Request) -> Response:
    return Response("hello")


async def raising(request: Request) -> Response:
    raise KeyError("secret")


async def test_the_first_middleware_is_outermost() -> None:
    order: list[str] = []
    app = Application(middlewares=[marking("a", order), marking("b", order)])
    app.router.add_get("/", hello, middlewares=[marking("c", order), marking("d", order)])
    exchange = await Exchange().run(app)
    assert order == ["a", "b", "c", "d", "/d", "/c", "/b", "/a"]
    assert [value for name, value in exchange.header_pairs if name == b"x-mark"] == [b"d", b"c", b"b", b"a"]


async def test_a_middleware_may_answer_itself() -> None:
    async def closed(request: Request, handler: Handler) -> Response:
        return Response("closed", 503)

    app = Application(middlewares=[closed])
    app.router.add_get("/", raising)
    assert (await Exchange().run(app)).status == 503


async def test_a_middleware_may_call_the_handler_again() -> None:
    calls = []

    async def again(request: Request, handler: Handler) -> Response:
        await handler(request)
        return await handler(request)

    async def counting(request: Request) -> Response:
        calls.append(request)
        return Response(str(len(calls)))

    app = Application(middlewares=[again])
    app.router.add_get("/", counting)
    assert (await Exchange().run(app)).body == b"2"
    assert calls[0] is calls[1]


async def test_everybody_sees_the_same_request_and_may_read_its_body() -> None:
    async def reading(request: Request, handler: Handler) -> Response:
        request.context["length"] = len(await request.body())
        return await handler(request)

    async def echo(request: Request) -> Response:
        return Response(f"{request.context['length']} {await request.text()}")

    app = Application(middlewares=[reading])
    app.router.add_post("/", echo)
    async with client_of(app) as client:
        assert (await client.post("/", content=b"abc")).text == "3 abc"


async def test_everything_runs_in_one_task_and_context() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")
    tasks = []

    async def outer(request: Request, handler: Handler) -> Response:
        tasks.append(asyncio.current_task())
        variable.set("from the middleware")
        response = await handler(request)
        response.headers["x"] = variable.get()
        return response

    async def inner(request: Request) -> Response:
        tasks.append(asyncio.current_task())
        text = variable.get()
        variable.set("from the handler")
        return Response(text)

    app = Application(middlewares=[outer])
    app.router.add_get("/", inner)
    exchange = await Exchange().run(app)
    assert exchange.body == b"from the middleware"
    assert exchange.headers["x"] == "from the handler"
    assert tasks == [asyncio.current_task()] * 2


@pytest.mark.parametrize(("path", "status"), [("/fault", 500), ("/nothing", 404)])
async def test_a_middleware_sees_a_response_where_the_handler_raised(path: str, status: int) -> None:
    order: list[str] = []
    app = Application(middlewares=[marking("a", order)])
    app.router.add_get("/fault", raising)
    async with client_of(app) as client:
        response = await client.get(path)
    assert (response.status_code, response.headers["x-mark"]) == (status, "a")


async def test_what_an_inner_middleware_raises_is_a_response_for_the_outer_one() -> None:
    order: list[str] = []

    async def refusing(request: Request, handler: Handler) -> Response:
        raise HTTPForbidden

    app = Application(middlewares=[marking("a", order), refusing])
    app.router.add_get("/", hello)
    exchange = await Exchange().run(app)
    assert (exchange.status, exchange.headers["x-mark"]) == (403, "a")


async def test_what_the_outermost_middleware_raises_is_answered_too() -> None:
    async def refusing(request: Request, handler: Handler) -> Response:
        raise HTTPForbidden

    app = Application(middlewares=[refusing])
    app.router.add_get("/", hello)
    assert (await Exchange().run(app)).status == 403


async def test_an_answer_that_is_no_response_is_a_fault_that_is_explained(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def forgetful(request: Request) -> Response:
        return "hello"  # type: ignore[return-value]  # that is the point

    for middlewares in ([], [marking("a", [])]):
        caplog.clear()
        app = Application(middlewares=middlewares)
        app.router.add_get("/", forgetful)
        assert (await Exchange().run(app)).status == 500
        assert "is str and not a Response" in caplog.text


async def test_a_middleware_that_forgets_to_return_is_explained(caplog: pytest.LogCaptureFixture) -> None:
    async def forgetful(request: Request, handler: Handler) -> Response:  # type: ignore[return]  # the point
        await handler(request)

    app = Application(middlewares=[forgetful])
    app.router.add_get("/", hello)
    assert (await Exchange().run(app)).status == 500
    assert "is NoneType and not a Response" in caplog.text


async def test_a_cancellation_is_nobodys_to_answer() -> None:
    async def stuck(request: Request) -> Response:
        await asyncio.Event().wait()
        return Response()

    app = Application(middlewares=[marking("a", [])])
    app.router.add_get("/", stuck)
    exchange = Exchange()
    task = asyncio.create_task(exchange.run(app))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert exchange.sent == []


async def test_a_middleware_added_later_is_around_routes_that_were_asked_before() -> None:
    app = Application()
    app.router.add_get("/", hello)
    assert "x-mark" not in (await Exchange().run(app)).headers
    app.middleware(marking("late", []))
    assert (await Exchange().run(app)).headers["x-mark"] == "late"


async def test_objects_and_partial_functions_are_middlewares_too() -> None:
    class Marking:
        def __init__(self, mark: str) -> None:
            self.mark = mark

        async def __call__(self, request: Request, handler: Handler) -> Response:
            response = await handler(request)
            response.headers.add("x-mark", self.mark)
            return response

        async def method(self, request: Request, handler: Handler) -> Response:
            return await self(request, handler)

    async def function(mark: str, request: Request, handler: Handler) -> Response:
        return await Marking(mark)(request, handler)

    app = Application(middlewares=[Marking("a"), Marking("b").method, partial(function, "c")])
    app.router.add_get("/", hello)
    exchange = await Exchange().run(app)
    assert [value for name, value in exchange.header_pairs if name == b"x-mark"] == [b"c", b"b", b"a"]


def test_without_middlewares_the_handler_is_called_directly() -> None:
    async def answer(request: Request[Any], error: Exception) -> Response:
        return Response()

    assert compose([], hello, answer) is hello
