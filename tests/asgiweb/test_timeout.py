"""Timeout: cuts what is late, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asgiweb import Application, Handler, RegistrationError, Request, Response, WebSocket
from asgiweb.middleware import Timeout
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import Exchange, http_scope

#: Seconds that are over soon, and that are never over in a test.
SOON, NEVER = 0.01, 600


def application(seconds: float, *outer: Any) -> Application[Any]:
    return Application(middlewares=[*outer, Timeout(seconds)])


async def test_a_handler_that_is_late_is_cancelled_and_answered_503() -> None:
    app = application(SOON)
    ended: list[str] = []

    @app.get("/")
    async def index(request: Request) -> Response:
        try:
            await asyncio.sleep(NEVER)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return Response()

    async with TestClient(app) as client:
        response = await client.get("/")
    assert response.status_code == 503
    assert "longer than 0.01 seconds" in response.text
    assert ended == ["cancelled"]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_one_that_is_in_time_is_not_touched() -> None:
    app = application(NEVER)

    @app.get("/")
    async def index(request: Request) -> Response:
        await asyncio.sleep(0)
        return Response("in time")

    assert (await Exchange().run(app)).body == b"in time"


async def test_a_timeout_of_the_handler_is_a_fault_of_its_own() -> None:
    app = application(NEVER)

    @app.get("/")
    async def index(request: Request) -> Response:
        async with asyncio.timeout(0):
            await asyncio.sleep(NEVER)
        return Response()

    async with TestClient(app) as client:
        with pytest.raises(TimeoutError):
            await client.get("/")
    async with TestClient(app, raise_exceptions=False) as client:
        assert (await client.get("/")).status_code == 500


async def test_a_cancellation_from_outside_stays_one() -> None:
    app = application(NEVER)
    arrived = asyncio.Event()

    @app.get("/")
    async def index(request: Request) -> Response:
        arrived.set()
        await asyncio.sleep(NEVER)
        return Response()

    exchange = Exchange()
    task = asyncio.create_task(exchange.run(app))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert exchange.sent == []


async def test_the_inner_one_of_two_answers_when_it_is_the_shorter() -> None:
    order: list[int] = []

    async def watching(request: Request, handler: Handler) -> Response:
        response = await handler(request)
        order.append(response.status)
        return response

    app = application(SOON, Timeout(NEVER), watching)

    @app.get("/")
    async def index(request: Request) -> Response:
        await asyncio.sleep(NEVER)
        return Response()

    assert (await Exchange().run(app)).status == 503
    assert order == [503]


async def test_a_handler_that_makes_the_best_of_its_cancellation_is_heard() -> None:
    app = application(SOON)

    @app.get("/")
    async def index(request: Request) -> Response:
        try:
            await asyncio.sleep(NEVER)
        except asyncio.CancelledError:
            return Response("what there was")
        return Response()

    assert (await Exchange().run(app)).body == b"what there was"


async def test_waiting_for_the_body_counts() -> None:
    app = application(SOON)

    @app.post("/")
    async def index(request: Request) -> Response:
        return Response(await request.body())

    headers = [(b"host", b"test"), (b"content-length", b"5")]
    exchange = Exchange(http_scope(method="POST", headers=headers), body=[])
    assert (await exchange.run(app)).status == 503


async def test_a_stream_may_take_any_time() -> None:
    app = application(SOON)

    async def pieces() -> AsyncIterator[str]:
        yield "a"
        await asyncio.sleep(SOON * 5)
        yield "b"

    @app.get("/")
    async def index(request: Request) -> Response:
        return Response(pieces())

    exchange = await Exchange().run(app)
    assert (exchange.body, exchange.complete) == (b"ab", True)


async def test_a_websocket_may_take_any_time() -> None:
    app = application(SOON)

    @app.websocket("/")
    async def socket(ws: WebSocket) -> None:
        async with ws:
            await asyncio.sleep(SOON * 5)
            await ws.send_text("late")

    async with TestClient(app) as client, client.websocket("/") as ws:
        assert await ws.receive_text() == "late"


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_no_time_is_refused(seconds: float) -> None:
    with pytest.raises(RegistrationError, match="more than 0 seconds"):
        Timeout(seconds)
