"""Server-sent events (WHATWG HTML, 9.2): what is sent, when, and how a stream of them ends."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest

from asgiweb import Application, ClientDisconnected, Request, Response
from asgiweb.sse import Event, event_response, last_event_id
from asgiweb.streaming import close_stream
from tests.asgiweb.exchange import Exchange, http_scope


@pytest.mark.parametrize(
    ("event", "encoded"),
    [
        (Event("a"), b"data: a\n\n"),
        (Event(""), b"data: \n\n"),
        (Event(" a"), b"data:  a\n\n"),
        (Event("a\nb\r\nc\rd"), b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (Event("a\n"), b"data: a\ndata: \n\n"),
        (Event("a\u2028b\x0bc\x85d"), "data: a\u2028b\x0bc\x85d\n\n".encode()),
        (Event("a\nid: 7"), b"data: a\ndata: id: 7\n\n"),
        (Event("\u20ac".encode()), b"data: \xe2\x82\xac\n\n"),
        (Event({"a": ["b\nc", None]}), b'data: {"a":["b\\nc",null]}\n\n'),
        (Event(None), b"data: null\n\n"),
        (Event("a", event="tick", id="7", retry=0.5), b"event: tick\nid: 7\nretry: 500\ndata: a\n\n"),
        (Event("a", id=7), b"id: 7\ndata: a\n\n"),
        (Event("a", id=""), b"id: \ndata: a\n\n"),
        (Event(comment="a\rdata: b"), b": a\n: data: b\n\n"),
        (Event(id="7"), b"id: 7\n\n"),
    ],
)
def test_an_event_is_fields_of_one_line_each(event: Event, encoded: bytes) -> None:
    assert event.encoded == encoded


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\0b"])
@pytest.mark.parametrize("field", ["id", "event"])
def test_a_field_of_one_line_has_no_line_break_or_nul(field: str, value: str) -> None:
    fields: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=field):
        Event("a", **fields)


@pytest.mark.parametrize("retry", [-1, float("inf"), float("nan")])
def test_retry_is_a_time(retry: float) -> None:
    with pytest.raises(ValueError, match="seconds"):
        Event("a", retry=retry)


def test_bytes_are_utf_8() -> None:
    with pytest.raises(ValueError):
        Event(b"\xff")


class Feed:
    """An iterator of events that a test feeds; it knows what has become of it."""

    def __init__(self, *events: Event | str) -> None:
        self.queue: asyncio.Queue[Event | str | None] = asyncio.Queue()
        for event in events:
            self.queue.put_nowait(event)
        self.taken = 0
        self.waits = False
        self.closed = asyncio.Event()

    async def events(self) -> AsyncIterator[Event | str]:
        try:
            while True:
                self.waits = self.queue.empty()
                event = await self.queue.get()
                if event is None:
                    return
                self.taken += 1
                yield event
        finally:
            # A closing that needs the event loop is waited for.
            await asyncio.sleep(0)
            self.closed.set()


def app_of(feed: Feed, **options: Any) -> Application[Any]:
    app: Application[Any] = Application()

    @app.get("/")
    async def events(request: Request) -> Response:
        return event_response(feed.events(), **options)

    return app


async def until_sent(exchange: Exchange, text: bytes, times: int = 1) -> None:
    async with asyncio.timeout(20):
        while exchange.body.count(text) < times:
            await asyncio.sleep(0.001)


async def test_events_are_sent_one_by_one() -> None:
    feed = Feed("a", Event("b", id="1"))
    feed.queue.put_nowait(None)
    exchange = await Exchange().run(app_of(feed))
    assert exchange.body == b":\n\ndata: a\n\nid: 1\ndata: b\n\n"
    assert exchange.complete
    assert exchange.headers == {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
    }
    assert feed.closed.is_set()


async def test_headers_of_the_handler_win() -> None:
    response = event_response(Feed().events(), headers={"Cache-Control": "no-cache", "x-a": "b"})
    assert dict(response.headers) == {
        "Cache-Control": "no-cache",
        "x-a": "b",
        "content-type": "text/event-stream",
        "x-accel-buffering": "no",
    }


async def test_retry_comes_first() -> None:
    feed = Feed()
    feed.queue.put_nowait(None)
    exchange = await Exchange().run(app_of(feed, retry=2))
    assert exchange.body == b"retry: 2000\n\n"


async def test_only_an_async_iterator_gives_events() -> None:
    with pytest.raises(TypeError, match="list"):
        event_response(["a"])  # type: ignore[arg-type]  # that is the mistake


@pytest.mark.parametrize("keep_alive", [0, -1])
def test_keep_alive_is_a_time(keep_alive: float) -> None:
    with pytest.raises(ValueError, match="keep_alive"):
        event_response(Feed().events(), keep_alive=keep_alive)


async def test_silence_is_filled_with_comments_and_loses_no_event() -> None:
    feed = Feed()
    exchange = Exchange()
    task = asyncio.create_task(exchange.run(app_of(feed, keep_alive=0.01)))
    for number in range(20):
        await until_sent(exchange, b":\n\n", number + 2)
        feed.queue.put_nowait(str(number))
        await until_sent(exchange, b"data: ", number + 1)
    feed.queue.put_nowait(None)
    await task
    sent = exchange.body.replace(b":\n\n", b"")
    assert sent == b"".join(b"data: %d\n\n" % number for number in range(20))


@pytest.mark.parametrize("moment", ["with the comment", "while it is sent"])
async def test_an_event_that_comes_beside_a_comment_is_neither_lost_nor_overtaken(moment: str) -> None:
    feed = Feed()
    stream = event_response(feed.events(), keep_alive=0.01).stream
    assert stream is not None
    pieces = aiter(stream)
    assert await anext(pieces) == b":\n\n"
    if moment == "while it is sent":
        assert await anext(pieces) == b":\n\n"
    waiting = asyncio.ensure_future(anext(pieces)) if moment == "with the comment" else None
    await asyncio.sleep(0)
    feed.queue.put_nowait("a")
    feed.queue.put_nowait("b")
    if waiting is not None:
        # The loop turns only when the time for the comment has passed, too.
        time.sleep(0.05)
        sent = [await waiting]
    else:
        await asyncio.sleep(0)
        sent = []
    while b"data: a\n\n" not in sent:
        sent.append(await anext(pieces))
    await asyncio.sleep(0.01)
    assert feed.taken == 1
    while b"data: b\n\n" not in sent:
        sent.append(await anext(pieces))
    assert [piece for piece in sent if piece != b":\n\n"] == [b"data: a\n\n", b"data: b\n\n"]
    await close_stream(stream)


@pytest.mark.parametrize(
    ("options", "seconds", "sent"),
    [
        ({"keep_alive": None}, 1_000_000, b":\n\n"),
        ({}, 5, b":\n\n"),
        ({}, 16, b":\n\n:\n\n"),
        ({"keep_alive": 60}, 61, b":\n\n:\n\n"),
    ],
    ids=["none", "less than the default", "the default", "a minute"],
)
async def test_a_comment_comes_after_so_many_seconds_of_silence(
    options: dict[str, Any], seconds: int, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = Feed()
    exchange = Exchange()
    task = asyncio.create_task(exchange.run(app_of(feed, **options)))
    async with asyncio.timeout(20):
        while not feed.waits:
            await asyncio.sleep(0.001)
    loop = asyncio.get_running_loop()
    passed = loop.create_task(asyncio.sleep(seconds))
    await asyncio.sleep(0)
    began = loop.time
    # That time goes by at once, and all that was to happen in it happens.
    monkeypatch.setattr(loop, "time", lambda: began() + seconds)
    await passed
    feed.queue.put_nowait(None)
    await task
    assert exchange.body == sent


async def test_the_iterator_goes_on_when_its_event_has_been_sent() -> None:
    exchange = Exchange()
    seen = []

    async def events() -> AsyncIterator[str]:
        for text in "abc":
            seen.append(exchange.body)
            yield text

    app: Application[Any] = Application()

    @app.get("/")
    async def handler(request: Request) -> Response:
        return event_response(events())

    await exchange.run(app)
    assert seen == [b":\n\n", b":\n\ndata: a\n\n", b":\n\ndata: a\n\ndata: b\n\n"]


async def test_all_steps_of_the_iterator_are_in_one_task_that_knows_the_context() -> None:
    variable: ContextVar[str] = ContextVar("variable")
    tasks = []

    async def events() -> AsyncIterator[str]:
        try:
            async with asyncio.timeout(20):
                for _ in range(3):
                    tasks.append(asyncio.current_task())
                    yield variable.get()
                await asyncio.Event().wait()
        finally:
            tasks.append(asyncio.current_task())

    app: Application[Any] = Application()

    @app.get("/")
    async def handler(request: Request) -> Response:
        variable.set("kept")
        return event_response(events())

    exchange = Exchange()
    task = asyncio.create_task(exchange.run(app))
    await until_sent(exchange, b"data: kept", 3)
    exchange.leave()
    await task
    assert len(tasks) == 4
    assert len(set(tasks)) == 1


@pytest.mark.parametrize("events", [[], ["a"]], ids=["at once", "after an event"])
async def test_complaint_14_a_client_that_leaves_ends_and_closes_the_iterator_while_it_waits(
    events: list[str],
) -> None:
    feed = Feed(*events)
    exchange = Exchange()
    task = asyncio.create_task(exchange.run(app_of(feed)))
    await until_sent(exchange, b"\n\n", len(events) + 1)
    async with asyncio.timeout(20):
        while not feed.waits:
            await asyncio.sleep(0.001)
    exchange.leave()
    await task
    assert feed.closed.is_set()
    assert not exchange.complete


async def test_complaint_14_a_send_that_fails_closes_the_iterator() -> None:
    feed = Feed("a", "b")
    await Exchange(sends=3, send_error=OSError("gone")).run(app_of(feed))
    assert feed.closed.is_set()
    assert feed.taken == 2


async def test_an_iterator_that_catches_its_cancellation_is_closed_too() -> None:
    closed = []

    async def events() -> AsyncIterator[str]:
        try:
            while True:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    yield "still here"
        finally:
            closed.append(True)

    exchange = Exchange()
    task = asyncio.create_task(exchange.run(event_response(events(), keep_alive=0.01)))
    await until_sent(exchange, b":\n\n", 2)
    exchange.leave()
    with pytest.raises(ClientDisconnected):
        await task
    assert closed == [True]


async def test_what_the_iterator_raises_cuts_the_response() -> None:
    async def events() -> AsyncIterator[str]:
        yield "a"
        raise KeyError("fault")

    exchange = Exchange()
    with pytest.raises(KeyError, match="fault"):
        await exchange.run(event_response(events()))
    assert exchange.body == b":\n\ndata: a\n\n"
    assert not exchange.complete


async def test_what_the_iterator_raises_while_it_is_closed_is_raised() -> None:
    async def events() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            raise KeyError("closing")

    exchange = Exchange()
    task = asyncio.create_task(exchange.run(event_response(events())))
    await until_sent(exchange, b"data: a")
    exchange.leave()
    with pytest.raises(KeyError, match="closing"):
        await task


class Closable:
    """An iterator that holds something from the beginning on."""

    def __init__(self) -> None:
        self.closed = 0

    def __aiter__(self) -> Closable:
        return self

    async def __anext__(self) -> str:
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1


async def test_an_iterator_that_a_stream_makes_is_closed_in_its_task() -> None:
    tasks = []

    class Lines:
        async def __aiter__(self) -> AsyncIterator[str]:
            tasks.append(asyncio.current_task())
            try:
                while True:
                    yield "line"
            finally:
                tasks.append(asyncio.current_task())

    with pytest.raises(ClientDisconnected):
        await Exchange(sends=3, send_error=OSError("gone")).run(event_response(Lines()))
    assert len(tasks) == 2
    assert tasks[0] is tasks[1]


async def test_a_response_that_is_not_sent_closes_its_iterator() -> None:
    iterator = Closable()

    async def middleware(request: Request, handler: Any) -> Response:
        await handler(request)
        return Response("other")

    app: Application[Any] = Application(middlewares=[middleware])

    @app.get("/")
    async def handler(request: Request) -> Response:
        return event_response(iterator)

    assert (await Exchange().run(app)).body == b"other"
    assert iterator.closed == 1


@pytest.mark.parametrize("end", ["left", "cancelled"])
async def test_who_is_interrupted_while_an_iterator_is_closed_waits_for_its_end(end: str) -> None:
    closing, go_on, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def events() -> AsyncIterator[str]:
        try:
            yield "a"
            await asyncio.Event().wait()
        finally:
            closing.set()
            try:
                await go_on.wait()
            finally:
                await go_on.wait()
                closed.set()

    app: Application[Any] = Application()
    exchange = Exchange()
    with app.shutting_down.following():
        task = asyncio.create_task(exchange.run(event_response(events())))
        await until_sent(exchange, b"data: a")
        app.shutting_down.set()
        await closing.wait()
        if end == "left":
            exchange.leave()
        else:
            task.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        waits = not task.done()
        go_on.set()
        await asyncio.wait([task])
        await closed.wait()
    assert waits
    assert task.cancelled() == (end == "cancelled")


async def test_nothing_of_a_stream_is_left_when_it_has_ended() -> None:
    feed = Feed("a")
    events = feed.events()
    left = weakref.ref(events)
    exchange = Exchange()
    task = asyncio.create_task(exchange.run(event_response(events, keep_alive=1000)))
    del events
    await until_sent(exchange, b"data: a")
    exchange.leave()
    with pytest.raises(ClientDisconnected):
        await task
    del task
    async with asyncio.timeout(20):
        while left() is not None:
            await asyncio.sleep(0)
            gc.collect()


@pytest.mark.parametrize("sends", [0, 1])
async def test_an_iterator_that_nobody_has_asked_for_an_event_is_closed_too(sends: int) -> None:
    iterator = Closable()
    with pytest.raises(ClientDisconnected):
        await Exchange(sends=sends, send_error=OSError("gone")).run(event_response(iterator))
    assert iterator.closed == 1


async def test_head_gets_no_events() -> None:
    iterator = Closable()
    response = event_response(iterator)
    exchange = await Exchange(http_scope(method="HEAD")).run(response)
    assert exchange.headers["content-type"] == "text/event-stream"
    assert exchange.body == b""
    assert iterator.closed == 1


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], None),
        ([(b"last-event-id", b"7")], "7"),
        ([(b"last-event-id", "\u20ac".encode())], "\u20ac"),
        ([(b"last-event-id", b"\xff")], "\ufffd"),
    ],
)
async def test_last_event_id(headers: list[tuple[bytes, bytes]], expected: str | None) -> None:
    seen = []
    app: Application[Any] = Application()

    @app.get("/")
    async def handler(request: Request) -> Response:
        seen.append(last_event_id(request))
        return Response()

    await Exchange(http_scope(headers=headers)).run(app)
    assert seen == [expected]
