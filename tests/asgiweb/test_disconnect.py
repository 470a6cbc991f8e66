"""Asking whether the client has left, without waiting and without losing anything of the body."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from asgiweb import Application, ClientDisconnected, Request, Response, WebSocket, WebSocketError
from asgiweb.asgi import Message
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import Exchange, http_scope

VERSIONS = pytest.mark.parametrize("spec_version", ["2.3", "2.4"])


def scope_of(spec_version: str, **changes: Any) -> dict[str, Any]:
    return dict(http_scope(asgi={"version": "3.0", "spec_version": spec_version}, **changes))


CHUNKED = [(b"transfer-encoding", b"chunked")]


@VERSIONS
async def test_a_handler_sees_that_the_client_has_left(spec_version: str) -> None:
    app = Application()
    seen: list[bool] = []

    @app.get("/")
    async def work(request: Request) -> Response:
        seen.append(await request.is_disconnected())
        seen.append(await request.is_disconnected())
        exchange.leave()
        while not await request.is_disconnected():
            pass
        seen.append(await request.is_disconnected())
        return Response("nobody reads this")

    exchange = Exchange(scope_of(spec_version))
    tasks = len(asyncio.all_tasks())
    await exchange.run(app)
    assert seen == [False, False, True]
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == tasks


@VERSIONS
async def test_the_task_that_looks_ends_with_the_request(spec_version: str) -> None:
    app = Application()

    @app.get("/")
    async def work(request: Request) -> Response:
        return Response(str(await request.is_disconnected()))

    tasks = len(asyncio.all_tasks())
    exchange = await Exchange(scope_of(spec_version)).run(app)
    assert exchange.body == b"False"
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == tasks


@VERSIONS
async def test_the_body_is_there_afterwards(spec_version: str) -> None:
    exchange = Exchange(scope_of(spec_version, method="POST", headers=CHUNKED), body=[b"a", b"b", b"c"])
    request = Request(Application(), exchange.scope, exchange.receive, None, {})
    for _ in range(3):
        assert not await request.is_disconnected()
    assert await request.body() == b"abc"
    exchange.leave()
    await asyncio.sleep(0)
    assert await request.is_disconnected()
    assert await request.body() == b"abc"


@VERSIONS
async def test_a_body_that_is_cut_short_is_no_shorter_body(spec_version: str) -> None:
    scope = scope_of(spec_version, method="POST", headers=CHUNKED)
    exchange = Exchange(scope, body=[b"half of"], leaves=True)
    request = Request(Application(), exchange.scope, exchange.receive, None, {})
    assert await request.is_disconnected()
    with pytest.raises(ClientDisconnected):
        await request.body()
    assert await request.is_disconnected()


async def test_of_a_large_body_that_nobody_reads_no_more_than_a_little_is_held() -> None:
    exchange = Exchange(scope_of("2.4", method="POST", headers=CHUNKED), body=[b"x" * 50_000] * 4)
    request = Request(Application(), exchange.scope, exchange.receive, None, {})
    for _ in range(10):
        assert not await request.is_disconnected()
    assert exchange.received == 2
    assert len(await request.body()) == 200_000
    assert not await request.is_disconnected()
    exchange.leave()
    await asyncio.sleep(0)
    assert await request.is_disconnected()


@VERSIONS
async def test_a_request_without_a_body_can_still_be_read(spec_version: str) -> None:
    exchange = Exchange(scope_of(spec_version))
    request = Request(Application(), exchange.scope, exchange.receive, None, {})
    for _ in range(2):
        assert not await request.is_disconnected()
    async with asyncio.timeout(30):
        assert await request.body() == b""
    exchange.leave()
    await asyncio.sleep(0)
    assert await request.is_disconnected()


async def test_a_large_body_that_is_there_as_a_whole_does_not_hide_the_disconnect() -> None:
    headers = [(b"content-length", b"100000")]
    exchange = Exchange(scope_of("2.4", method="POST", headers=headers), body=[b"x" * 100_000])
    request = Request(Application(), exchange.scope, exchange.receive, None, {})
    exchange.leave()
    await asyncio.sleep(0)
    assert await request.is_disconnected()
    assert len(await request.body()) == 100_000


async def test_of_a_body_that_was_not_announced_no_more_than_a_little_is_held() -> None:
    exchange = Exchange(scope_of("2.4", http_version="2"), body=[b"x" * 50_000] * 4)
    request = Request(Application(), exchange.scope, exchange.receive, None, {})
    for _ in range(10):
        assert not await request.is_disconnected()
    assert exchange.received == 2
    assert len(await request.body()) == 200_000


async def test_asking_between_the_pieces_of_a_body_takes_none() -> None:
    exchange = Exchange(scope_of("2.4", method="POST", headers=CHUNKED), body=[b"a", b"b", b"c"])
    request = Request(Application(), exchange.scope, exchange.receive, None, {})
    pieces = []
    async for piece in request:
        assert not await request.is_disconnected()
        pieces.append(piece)
        # Behind the last one there is only the disconnect to look for.
        assert exchange.received == len(pieces) + (piece == b"c")
    assert pieces == [b"a", b"b", b"c"]
    exchange.leave()
    assert await request.is_disconnected()


@VERSIONS
async def test_who_reads_the_body_finds_out_for_others(spec_version: str) -> None:
    scope = scope_of(spec_version, method="POST", headers=CHUNKED)
    request = Request(Application(), scope, Exchange(scope, body=[b"a"], leaves=True).receive, None, {})
    with pytest.raises(ClientDisconnected):
        await request.body()
    assert await request.is_disconnected()


@VERSIONS
@pytest.mark.parametrize("asks_first", [True, False])
async def test_servers_that_tell_it_once_tell_everybody(spec_version: str, asks_first: bool) -> None:
    """The handler and the stream of its response both look; hypercorn has one message for both."""
    app = Application()
    messages: asyncio.Queue[Message] = asyncio.Queue()
    messages.put_nowait({"type": "http.request"})
    closed: list[bool] = []

    @app.get("/")
    async def stream(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            try:
                yield b"1"
                messages.put_nowait({"type": "http.disconnect"})
                await asyncio.sleep(60)
            finally:
                closed.append(await request.is_disconnected())

        if asks_first:
            assert not await request.is_disconnected()
        return Response(pieces())

    async def send(message: Message) -> None:
        await asyncio.sleep(0)

    async with asyncio.timeout(30):
        await app(scope_of(spec_version), messages.get, send)
    assert closed == [True]


@VERSIONS
async def test_a_stream_that_reads_the_body_itself_still_ends_with_its_client(spec_version: str) -> None:
    app = Application()
    closed: list[bytes] = []

    @app.post("/")
    async def stream(request: Request) -> Response:
        async def pieces() -> AsyncIterator[bytes]:
            body = await request.body()
            try:
                yield body
                exchange.leave()
                await asyncio.sleep(60)
            finally:
                closed.append(body)

        return Response(pieces())

    async def receive() -> Message:
        await asyncio.sleep(0)
        return await exchange.receive()

    async def send(message: Message) -> None:
        # Nobody waits here, so the handler reads before the disconnect is looked for.
        pass

    exchange = Exchange(scope_of(spec_version, method="POST", headers=CHUNKED), body=[b"a", b"b"])
    async with asyncio.timeout(30):
        await app(exchange.scope, receive, send)
    assert closed == [b"ab"]


@VERSIONS
@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("reads_later", [0, 1, 4])
@pytest.mark.parametrize("comes_later", [0, 1, 4])
async def test_a_body_that_is_none_may_be_read_in_a_stream(
    spec_version: str, pieces: int, reads_later: int, comes_later: int
) -> None:
    """Whoever is first, the stream or who looks for the disconnect, and in however many pieces it comes."""
    app = Application()

    @app.get("/")
    async def stream(request: Request) -> Response:
        async def read() -> AsyncIterator[bytes]:
            for _ in range(reads_later):
                await asyncio.sleep(0)
            yield b"nothing" + await request.body()

        return Response(read())

    async def receive() -> Message:
        for _ in range(comes_later):
            await asyncio.sleep(0)
        return await exchange.receive()

    exchange = Exchange(scope_of(spec_version), body=[b""] * pieces)
    async with asyncio.timeout(30):
        await app(exchange.scope, receive, exchange.send)
    assert exchange.body == b"nothing"


async def test_a_receive_that_fails_says_nothing() -> None:
    async def receive() -> Message:
        raise OSError("broken")

    request = Request(Application(), scope_of("2.4"), receive, None, {})
    assert not await request.is_disconnected()
    assert not await request.is_disconnected()


async def test_a_websocket_has_another_way() -> None:
    app = Application()

    @app.websocket("/")
    async def talk(ws: WebSocket) -> None:
        async with ws:
            with pytest.raises(WebSocketError):
                await ws.request.is_disconnected()
            await ws.send_text("done")

    async with TestClient(app) as client, client.websocket("/") as ws:
        assert await ws.receive_text() == "done"
