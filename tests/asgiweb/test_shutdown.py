"""Shutdown that is noticed early: by the server's signals, which keep their handlers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from asgiweb import Application, Request, Response
from asgiweb.sse import event_response
from asgiweb.testing import TestClient
from tests.asgiweb.exchange import Exchange
from tests.asgiweb.test_sse import Feed, app_of, until_sent

SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture(autouse=True)
def heard() -> Iterator[list[int]]:
    """What a server's handlers have heard; afterwards all is as it was."""
    numbers: list[int] = []
    before = {
        number: signal.signal(number, lambda number, frame: numbers.append(number)) for number in SIGNALS
    }
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def handlers() -> list[Any]:
    return [signal.getsignal(number) for number in SIGNALS]


async def within(app: Application[Any]) -> None:
    async with asyncio.timeout(20):
        await app.shutting_down.wait()


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_begins_the_shutdown_and_reaches_the_servers_handler(
    number: signal.Signals, heard: list[int]
) -> None:
    app: Application[Any] = Application()
    async with TestClient(app):
        assert not app.shutting_down
        assert not app.shutting_down.is_set()
        os.kill(os.getpid(), number)
        await within(app)
        assert app.shutting_down
        assert app.shutting_down.is_set()
        assert heard == [number]
        # The next one too, which may mean: at once.
        os.kill(os.getpid(), number)
        assert heard == [number, number]


async def test_an_event_loops_own_handler_works_on(heard: list[int]) -> None:
    loop = asyncio.get_running_loop()
    called = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, called.set)
    app: Application[Any] = Application()
    try:
        async with TestClient(app):
            os.kill(os.getpid(), signal.SIGTERM)
            await within(app)
            async with asyncio.timeout(20):
                await called.wait()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


async def test_afterwards_the_handlers_are_those_of_before() -> None:
    before = handlers()
    async with TestClient(Application()):
        assert handlers() != before
    assert handlers() == before


async def test_also_when_the_start_fails() -> None:
    before = handlers()
    app: Application[Any] = Application()

    @app.on_startup.append
    def fail(app: Application[Any]) -> None:
        raise KeyError("fault")

    with pytest.raises(KeyError):
        async with TestClient(app):
            pass
    assert handlers() == before


@pytest.mark.parametrize("default", [signal.SIG_DFL, signal.SIG_IGN, signal.default_int_handler])
async def test_signals_that_nobody_handles_are_left_alone(default: Any) -> None:
    for number in SIGNALS:
        signal.signal(number, default)
    async with TestClient(Application()):
        assert handlers() == [default, default]


async def test_a_handler_that_was_set_meanwhile_is_left_alone(heard: list[int]) -> None:
    seen: list[int] = []
    first: Application[Any] = Application()
    async with TestClient(first):
        previous: Any = signal.getsignal(signal.SIGTERM)

        def later(number: int, frame: Any) -> None:
            seen.append(number)
            previous(number, frame)

        signal.signal(signal.SIGTERM, later)
        os.kill(os.getpid(), signal.SIGTERM)
        await within(first)
    assert signal.getsignal(signal.SIGTERM) is later
    os.kill(os.getpid(), signal.SIGTERM)
    assert seen == heard == [signal.SIGTERM, signal.SIGTERM]


async def test_applications_may_end_in_any_order() -> None:
    before = handlers()
    clients = [TestClient(Application()) for _ in range(3)]
    for client in clients:
        await client.__aenter__()
    for client in clients:
        await client.__aexit__()
    assert handlers() == before


def test_outside_of_the_main_thread_the_lifespan_is_what_remains() -> None:
    before = handlers()
    seen: list[object] = []

    async def run() -> None:
        app: Application[Any] = Application()
        async with TestClient(app):
            seen.extend([handlers() == before, app.shutting_down.is_set()])
            waiting = asyncio.create_task(app.shutting_down.wait())
        await waiting
        seen.append("told")

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    thread.join(20)
    assert seen == [True, False, "told"]


async def test_the_lifespans_shutdown_begins_it_and_it_stays_so_until_the_end() -> None:
    seen = []

    @asynccontextmanager
    async def lifespan(app: Application[Any]) -> AsyncIterator[None]:
        seen.append(app.shutting_down.is_set())
        yield
        seen.append(app.shutting_down.is_set())

    app = Application(lifespan=lifespan)
    app.on_shutdown.append(lambda app: seen.append(app.shutting_down.is_set()))
    async with TestClient(app):
        waiting = asyncio.create_task(app.shutting_down.wait())
    await waiting
    assert seen == [False, True, True]
    # The same application may be started again.
    async with TestClient(app):
        assert not app.shutting_down


async def test_without_a_lifespan_nobody_says_so() -> None:
    app: Application[Any] = Application()
    assert not app.shutting_down
    waiting = asyncio.create_task(app.shutting_down.wait())
    await asyncio.wait([waiting], timeout=0.01)
    assert not waiting.done()
    waiting.cancel()


async def test_a_thread_is_told_too_and_a_program_may_say_so_from_one() -> None:
    app: Application[Any] = Application()
    async with TestClient(app):
        assert not await asyncio.to_thread(app.shutting_down.is_set)
        await asyncio.to_thread(app.shutting_down.set)
        await within(app)
        assert await asyncio.to_thread(app.shutting_down.is_set)


async def test_complaint_14_an_event_stream_ends_when_the_application_shuts_down() -> None:
    feed = Feed("a")
    app = app_of(feed)
    exchange = Exchange()
    async with TestClient(app):
        task = asyncio.create_task(exchange.run(app))
        await until_sent(exchange, b"data: a")
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(20):
            await task
        assert exchange.complete
        assert feed.closed.is_set()
        # One that begins now ends at once.
        assert (await Exchange().run(app_of(Feed()))).complete


async def test_an_event_that_was_made_is_sent_before_the_end() -> None:
    feed = Feed("a", "b")
    app = app_of(feed)
    exchange = Exchange()

    async def send(message: Any) -> None:
        await Exchange.send(exchange, message)
        if message.get("body") == b"data: a\n\n":
            app.shutting_down.set()
            await app.shutting_down.wait()

    async with TestClient(app):
        await app(exchange.scope, exchange.receive, send)
    assert feed.taken == exchange.body.count(b"data: ")
    assert feed.closed.is_set()


async def test_other_streams_are_left_alone() -> None:
    app: Application[Any] = Application()
    go_on = asyncio.Event()

    async def pieces() -> AsyncIterator[str]:
        yield "a"
        await go_on.wait()
        yield "b"

    @app.get("/")
    async def handler(request: Request) -> Response:
        return Response(pieces())

    exchange = Exchange()
    async with TestClient(app):
        task = asyncio.create_task(exchange.run(app))
        os.kill(os.getpid(), signal.SIGTERM)
        await within(app)
        await until_sent(exchange, b"a")
        go_on.set()
        await task
    assert exchange.body == b"ab"


async def test_the_shutdown_of_another_application_in_the_loop_ends_no_stream() -> None:
    feed = Feed("a")
    app = app_of(feed)
    exchange = Exchange()
    async with TestClient(app):
        async with TestClient(Application()):
            task = asyncio.create_task(exchange.run(app))
            await until_sent(exchange, b"data: a")
        feed.queue.put_nowait("b")
        await until_sent(exchange, b"data: b")
        app.shutting_down.set()
        await task
    assert exchange.complete


async def test_an_application_that_runs_twice_goes_on_where_it_has_not_ended() -> None:
    app: Application[Any] = Application()
    async with TestClient(app):
        async with TestClient(app):
            pass
        assert not app.shutting_down
        app.shutting_down.set()
        await within(app)
    first, second = TestClient(app), TestClient(app)
    for step in (first.__aenter__, second.__aenter__, first.__aexit__, second.__aexit__):
        await step()
    assert not app.shutting_down


async def test_what_is_mounted_stops_with_the_application_around_it() -> None:
    innermost: Application[Any] = Application()
    inner: Application[Any] = Application()
    inner.mount("/b", innermost)
    feed = Feed("a")
    app = app_of(feed)
    app.mount("/a", inner)
    exchange = Exchange()
    async with asyncio.timeout(30), TestClient(app):
        task = asyncio.create_task(exchange.run(app))
        await until_sent(exchange, b"data: a")
        inner.shutting_down.set()
        await within(innermost)
        assert not app.shutting_down
        app.shutting_down.set()
        await task
    assert exchange.complete


async def test_an_application_in_another_thread_ends_no_stream_and_holds_none_open() -> None:
    started, end = threading.Event(), threading.Event()

    async def run() -> None:
        async with TestClient(Application()):
            started.set()
            await asyncio.to_thread(end.wait)

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        await asyncio.to_thread(started.wait)
        feed = Feed("a")
        app = app_of(feed)
        exchange = Exchange()
        async with TestClient(app):
            task = asyncio.create_task(exchange.run(app))
            await until_sent(exchange, b"data: a")
            feed.queue.put_nowait("b")
            await until_sent(exchange, b"data: b")
        async with asyncio.timeout(20):
            await task
        assert exchange.complete
    finally:
        end.set()
        await asyncio.to_thread(thread.join)


async def test_where_no_lifespan_runs_a_stream_goes_on_until_the_client_leaves() -> None:
    feed = Feed()
    exchange = Exchange()
    task = asyncio.create_task(exchange.run(event_response(feed.events())))
    os.kill(os.getpid(), signal.SIGTERM)
    feed.queue.put_nowait("a")
    await until_sent(exchange, b"data: a")
    exchange.leave()
    with contextlib.suppress(ConnectionError):
        await task
    assert feed.closed.is_set()
