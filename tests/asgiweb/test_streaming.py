"""Streams: sent as they come, ended when the client leaves, and closed in every case."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterable, AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest

from asgiweb import (
    Application,
    ClientDisconnected,
    Handler,
    HeaderError,
    HTTPNotFound,
    Middleware,
    Request,
    Response,
)
from asgiweb.asgi import Message
from asgiweb.streaming import UntilDisconnect
from tests.asgiweb.exchange import Exchange


class Stream:
    """Yields numbers without end, unless ``fails``, and remembers that it was closed."""

    def __init__(self, *, stalls: bool = False, fails: Exception | None = None) -> None:
        self.closed = False
        self.yielded = 0
        self._stalls = stalls
        self._fails = fails

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while True:
                self.yielded += 1
                yield b"%d" % self.yielded
                if self._fails is not None:
                    raise self._fails
                if self._stalls:
                    await asyncio.Event().wait()
        finally:
            # A closing that needs the event loop is waited for.
            await asyncio.sleep(0)
            self.closed = True


async def test_each_piece_is_a_message() -> None:
    async def pieces() -> AsyncIterator[bytes | str]:
        yield b"a"
        yield ""
        yield "\xe9"

    exchange = await Exchange().run(Response(pieces()))
    assert [message.get("body") for message in exchange.sent] == [None, b"a", b"", b"\xc3\xa9", b""]
    assert [message["more_body"] for message in exchange.sent[1:]] == [True, True, True, False]


async def test_the_head_is_sent_before_the_first_piece_is_made() -> None:
    exchange = Exchange()
    seen = []

    async def pieces() -> AsyncIterator[bytes]:
        seen.append(len(exchange.sent))
        yield b"a"

    await exchange.run(Response(pieces()))
    assert seen == [1]


async def test_an_iterator_that_cannot_be_closed_is_sent_too() -> None:
    class Once:
        left = 2

        def __aiter__(self) -> Once:
            return self

        async def __anext__(self) -> bytes:
            self.left -= 1
            if self.left < 0:
                raise StopAsyncIteration
            return b"a"

    assert (await Exchange().run(Response(Once()))).body == b"aa"


@pytest.mark.parametrize("sends", [0, 1, 5])
async def test_a_send_that_fails_ends_and_closes_the_stream(sends: int) -> None:
    stream = Stream()
    with pytest.raises(ClientDisconnected):
        await Exchange(sends=sends, send_error=OSError("gone")).run(Response(stream))
    assert stream.closed or stream.yielded == 0


async def test_where_send_says_nothing_the_disconnect_event_ends_and_closes_the_stream() -> None:
    stream = Stream()
    exchange = Exchange()
    asyncio.get_running_loop().call_later(0.01, exchange.leave)
    with pytest.raises(ClientDisconnected):
        await exchange.run(Response(stream))
    assert stream.closed
    assert not exchange.complete


async def test_a_stream_that_waits_is_ended_by_a_disconnect_too() -> None:
    stream = Stream(stalls=True)
    exchange = Exchange()
    asyncio.get_running_loop().call_later(0.01, exchange.leave)
    with pytest.raises(ClientDisconnected):
        await exchange.run(Response(stream))
    assert stream.closed
    assert stream.yielded == 1


async def test_a_fault_of_the_stream_is_raised_as_it_is() -> None:
    stream = Stream(fails=KeyError("x"))
    exchange = Exchange()
    with pytest.raises(KeyError):
        await exchange.run(Response(stream))
    assert stream.closed
    assert not exchange.complete


async def test_an_oserror_of_the_stream_is_no_disconnect() -> None:
    with pytest.raises(FileNotFoundError):
        await Exchange().run(Response(Stream(fails=FileNotFoundError("x"))))


async def test_cancelling_the_request_closes_the_stream_and_stays_a_cancellation() -> None:
    stream = Stream(stalls=True)
    task = asyncio.create_task(Exchange().run(Response(stream)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stream.closed


async def test_a_timeout_around_a_stream_stays_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await Exchange().run(Response(Stream(stalls=True)))


async def test_after_a_disconnect_the_task_is_not_cancelled() -> None:
    exchange = Exchange()
    exchange.leave()
    with pytest.raises(ClientDisconnected):
        await exchange.run(Response(Stream(stalls=True)))
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await asyncio.sleep(0)


async def test_a_disconnect_after_the_end_disturbs_nothing() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        exchange.leave()

    exchange = Exchange()
    await exchange.run(Response(pieces()))
    await asyncio.sleep(0.01)
    assert exchange.complete


async def test_a_disconnect_that_only_means_the_end_of_the_response_is_none() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"

    async def send(message: Message) -> None:
        await exchange.send(message)
        if exchange.complete:
            exchange.leave()
        await asyncio.sleep(0.01)
        sent.append(message)

    exchange = Exchange()
    sent: list[Message] = []
    await Response(pieces())(exchange.scope, exchange.receive, send)
    assert len(sent) == 3


async def test_nothing_is_left_running_after_a_stream() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"

    before = asyncio.all_tasks()
    await Exchange().run(Response(pieces()))
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before


async def test_a_stream_runs_in_the_context_of_its_request() -> None:
    variable: ContextVar[str] = ContextVar("variable", default="unset")

    async def pieces() -> AsyncIterator[str]:
        yield variable.get()
        variable.set("by the stream")

    variable.set("by the request")
    assert (await Exchange().run(Response(pieces()))).body == b"by the request"
    assert variable.get() == "by the stream"


async def test_a_receive_that_fails_is_not_taken_for_a_disconnect() -> None:
    async def receive() -> dict[str, str]:
        raise RuntimeError("not now")

    async with UntilDisconnect(receive):
        await asyncio.sleep(0.01)


async def test_a_block_that_survives_the_cancellation_goes_on() -> None:
    exchange = Exchange(leaves=True, body=[])
    async with UntilDisconnect(exchange.receive):
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(1)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


class Pieces:
    """An iterator that says how often it was closed."""

    def __init__(self, *pieces: bytes) -> None:
        self.closings = 0
        self._pieces = iter(pieces)

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closings += 1


class TestDiscarded:
    """A stream that is not sent, or only through another one, is closed when the request has its answer."""

    async def answer(self, response: Response, *middlewares: Middleware[Any]) -> Exchange:
        app = Application(middlewares=middlewares)

        @app.get("/")
        async def handler(request: Request) -> Response:
            return response

        return await Exchange().run(app)

    async def test_a_head_that_is_refused(self) -> None:
        pieces = Pieces()
        exchange = await self.answer(Response(pieces, headers={"x": "a\nb"}))
        assert (exchange.status, pieces.closings) == (500, 1)

    async def test_a_head_that_is_refused_without_an_application(self) -> None:
        pieces = Pieces()
        with pytest.raises(HeaderError):
            await Exchange().run(Response(pieces, headers={"x": "a\nb"}))
        assert pieces.closings == 1

    async def test_the_head_of_the_answer_to_a_fault_that_is_refused(self) -> None:
        pieces = Pieces()
        app = Application()

        @app.error_handler(404)
        async def nothing(request: Request, error: HTTPNotFound) -> Response:
            return Response(pieces, headers={"x": "a\nb"})

        assert ((await Exchange().run(app)).status, pieces.closings) == (500, 1)

    async def test_a_middleware_that_raises(self) -> None:
        async def raising(request: Request, handler: Handler) -> Response:
            await handler(request)
            raise HTTPNotFound

        pieces = Pieces()
        assert (await self.answer(Response(pieces), raising)).status == 404
        assert pieces.closings == 1

    async def test_a_middleware_that_answers_something_else(self) -> None:
        async def passing(request: Request, handler: Handler) -> Response:
            return await handler(request)

        async def replacing(request: Request, handler: Handler) -> Response:
            await handler(request)
            return Response("instead")

        for middlewares in ([replacing], [passing, replacing], [replacing, passing]):
            pieces = Pieces()
            assert (await self.answer(Response(pieces), *middlewares)).body == b"instead"
            assert pieces.closings == 1

    async def test_a_middleware_that_asks_again(self) -> None:
        async def again(request: Request, handler: Handler) -> Response:
            await handler(request)
            return await handler(request)

        made: list[Pieces] = []
        app = Application(middlewares=[again])

        @app.get("/")
        async def handler(request: Request) -> Response:
            made.append(Pieces(b"%d" % len(made)))
            return Response(made[-1])

        assert (await Exchange().run(app)).body == b"1"
        assert [pieces.closings for pieces in made] == [1, 1]

    async def test_the_answer_of_an_error_handler(self) -> None:
        async def replacing(request: Request, handler: Handler) -> Response:
            await handler(request)
            return Response("instead")

        pieces = Pieces()
        app = Application(middlewares=[replacing])

        @app.error_handler(404)
        async def nothing(request: Request, error: HTTPNotFound) -> Response:
            return Response(pieces)

        assert (await Exchange().run(app)).body == b"instead"
        assert pieces.closings == 1

    async def test_a_request_that_is_cancelled(self) -> None:
        async def stuck(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            await asyncio.Event().wait()
            return response

        pieces = Pieces()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(self.answer(Response(pieces), stuck), 0.01)
        assert pieces.closings == 1

    async def test_a_stream_below_another_one_that_does_not_close_it(self) -> None:
        async def upper(pieces: AsyncIterable[bytes | str]) -> AsyncIterator[bytes | str]:
            async for piece in pieces:
                yield piece.upper()
                raise KeyError("in between")

        async def shouting(request: Request, handler: Handler) -> Response:
            response = await handler(request)
            assert response.stream is not None
            response.stream = upper(response.stream)
            return response

        pieces = Pieces(b"a", b"b")
        with pytest.raises(KeyError, match="in between"):
            await self.answer(Response(pieces), shouting)
        assert pieces.closings == 1

    async def test_a_closing_that_fails_does_not_keep_the_others_from_it(self) -> None:
        class Failing(Pieces):
            async def aclose(self) -> None:
                await super().aclose()
                raise KeyError("closing")

        made: list[Pieces] = []

        async def impatient(request: Request, handler: Handler) -> Response:
            for _ in range(3):
                await handler(request)
            return Response("instead")

        app = Application(middlewares=[impatient])

        @app.get("/")
        async def handler(request: Request) -> Response:
            made.append(Failing())
            return Response(made[-1])

        exchange = Exchange()
        with pytest.raises(KeyError, match="closing"):
            await exchange.run(app)
        assert exchange.body == b"instead"
        assert [pieces.closings for pieces in made] == [1, 1, 1]

    async def test_a_stream_that_is_sent_is_closed_once(self) -> None:
        async def passing(request: Request, handler: Handler) -> Response:
            return await handler(request)

        pieces = Pieces(b"a", b"b")
        assert (await self.answer(Response(pieces), passing, passing)).body == b"ab"
        assert pieces.closings == 1


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks before CPython 3.12")
async def test_where_tasks_are_eager_a_client_that_has_left_already_cancels_nothing_later() -> None:
    asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory", None))

    class Sudden(Exchange):
        async def send(self, message: Message) -> None:
            self.sent.append(message)  # without giving up its turn, in which a cancellation would come

    async def stream() -> AsyncIterator[bytes]:
        yield b"a"

    exchange = Sudden(leaves=True, body=())
    with pytest.raises(ClientDisconnected):
        await exchange.run(Response(stream()))
    await asyncio.sleep(0)
