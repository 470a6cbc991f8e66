"""BodyLimit: for what is below it, before the handler if that can be known, otherwise while it is read."""

from __future__ import annotations

from typing import Any

import pytest

from asgiweb import Application, Handler, RegistrationError, Request, Response, WebSocket
from asgiweb.middleware import BodyLimit
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import Exchange, http_scope

LENGTH = b"content-length"


def application(*middlewares: Any, max_body_size: int = 10, route: int | None = None) -> Application[Any]:
    app = Application(max_body_size=max_body_size)
    called: list[Request] = []

    async def index(request: Request) -> Response:
        called.append(request)
        return Response(f"{len(await request.body())} of {request.max_body_size}")

    app.router.add_post("/", index, middlewares=middlewares, max_body_size=route)
    app.called = called  # type: ignore[attr-defined]  # for the tests
    return app


async def post(app: Application[Any], *body: bytes, length: bytes | None = None) -> Exchange:
    headers = [(b"host", b"test")]
    headers.append((b"transfer-encoding", b"chunked") if length is None else (LENGTH, length))
    return await Exchange(http_scope(method="POST", headers=headers), body=body).run(app)


@pytest.mark.parametrize("length", [b"6", None])
async def test_it_lowers_the_limit(length: bytes | None) -> None:
    app = application(BodyLimit(5))
    assert (await post(app, b"123", b"45")).body == b"5 of 5"
    refused = await post(app, b"123", b"456", length=length)
    assert (refused.status, refused.body) == (413, b"the body is larger than 5 bytes")


async def test_it_raises_the_limit_and_turns_it_off() -> None:
    for limit in (20, 0):
        app = application(BodyLimit(limit))
        assert (await post(app, b"x" * 15)).body == b"15 of %d" % limit
        assert (await post(app, b"x" * 15, length=b"15")).body == b"15 of %d" % limit
    assert (await post(application(), b"x" * 15)).status == 413


@pytest.mark.parametrize("length", [b"6", b"9" * 5000])
async def test_a_length_that_is_too_large_does_not_get_to_the_handler(length: bytes) -> None:
    app = application(BodyLimit(5))
    exchange = await post(app, b"x", length=length)
    assert (exchange.status, exchange.received) == (413, 0)
    assert app.called == []  # type: ignore[attr-defined]


async def test_what_is_nearer_to_the_handler_wins() -> None:
    assert (await post(application(BodyLimit(5), BodyLimit(20)), b"x" * 15)).body == b"15 of 20"
    assert (await post(application(BodyLimit(5), route=20), b"x" * 15, length=b"15")).body == b"15 of 20"


async def test_it_holds_also_for_a_body_whose_reader_is_there_already() -> None:
    async def early(request: Request, handler: Handler) -> Response:
        aiter(request)
        return await handler(request)

    assert (await post(application(early, BodyLimit(5)), b"x" * 6)).status == 413


async def test_a_length_that_is_no_number_is_a_bad_request() -> None:
    assert (await post(application(BodyLimit(5)), b"x", length=b"-1")).status == 400


async def test_websockets_have_no_body() -> None:
    app = Application(middlewares=[BodyLimit(1)])

    @app.websocket("/")
    async def socket(ws: WebSocket) -> None:
        async with ws:
            await ws.send_text(str(await ws.receive()))

    async with TestClient(app) as client, client.websocket("/") as ws:
        await ws.send_text("more than one byte")
        assert await ws.receive_text() == "more than one byte"


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(RegistrationError, match="a number of bytes"):
        BodyLimit(-1)
