"""Background work: owned by the application, whatever becomes of the request that has started it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Any

import pytest

from asgiweb import Application, Handler, HTTPForbidden, Request, Response, WebSocket
from asgiweb.testing import TestClient, WebSocketDenied
from tests.asgiweb.exchange import Exchange, client_of

variable: ContextVar[str] = ContextVar("variable")


class Work:
    """Work that a test lets begin, end or fail, and which remembers what has become of it."""

    def __init__(self, *, waits: bool = False) -> None:
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = asyncio.Event()
        self.cancelled = False
        self.seen: list[Any] = []
        if not waits:
            self.go_on.set()

    async def run(self, *args: Any, **kwargs: Any) -> str:
        self.seen.append((args, kwargs))
        self.began.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        self.ended.set()
        return "result"

    async def fail(self) -> None:
        await self.go_on.wait()
        raise KeyError("fault")


def app_of(work: Work, **options: Any) -> Application[Any]:
    app: Application[Any] = Application(**options)

    @app.get("/now")
    async def now(request: Request) -> Response:
        app.background(work.run, 1, b=2)
        return Response("now")

    @app.get("/after")
    async def after(request: Request) -> Response:
        response = Response("after")
        response.add_background(work.run, 1, b=2)
        return response

    return app


async def within(event: asyncio.Event) -> None:
    async with asyncio.timeout(20):
        await event.wait()


@pytest.mark.parametrize("path", ["/now", "/after"])
async def test_complaint_2_work_goes_on_when_its_request_has_ended(path: str) -> None:
    work = Work(waits=True)
    async with client_of(app_of(work)) as client:
        # The response is complete, and nothing waits for the work.
        assert (await client.get(path)).status_code == 200
        await within(work.began)
        assert work.seen == [((1,), {"b": 2})]
        work.go_on.set()
        await within(work.ended)


async def test_background_returns_the_task_with_its_result() -> None:
    work = Work()
    app = app_of(work)
    task = app.background(work.run)
    assert task.get_name() == "Work.run"
    assert await task == "result"


async def test_work_after_a_response_begins_when_all_of_it_was_sent() -> None:
    sent = []
    exchange = Exchange()
    app: Application[Any] = Application()

    async def work() -> None:
        sent.append(exchange.complete)

    async def pieces() -> AsyncIterator[str]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield "piece"

    @app.get("/")
    async def handler(request: Request) -> Response:
        response = Response(pieces())
        response.add_background(work)
        return response

    await exchange.run(app)
    await asyncio.sleep(0)
    assert sent == [True]


async def test_work_after_a_response_begins_also_if_the_client_has_left() -> None:
    work = Work()
    exchange = Exchange()
    exchange.scope["path"] = "/after"
    exchange.scope["raw_path"] = b"/after"
    exchange._sends, exchange._send_error = 0, OSError("gone")
    await exchange.run(app_of(work))
    await within(work.ended)


async def test_work_of_a_response_that_is_not_the_answer_does_not_begin() -> None:
    work = Work()

    async def middleware(request: Request, handler: Any) -> Response:
        await handler(request)
        return Response("other")

    app = app_of(work, middlewares=[middleware])
    async with TestClient(app) as client:
        assert (await client.get("/after")).text == "other"
    assert work.seen == []


async def test_a_response_without_an_application_says_who_has_to_own_its_work() -> None:
    response = Response("text")
    response.add_background(Work().run)
    with pytest.raises(RuntimeError, match="Application"):
        await Exchange().run(response)


async def test_the_context_variables_are_those_of_when_it_was_asked_for() -> None:
    seen = []
    app: Application[Any] = Application()

    async def work() -> None:
        seen.append(variable.get())

    @app.get("/")
    async def handler(request: Request) -> Response:
        response = Response()
        variable.set("now")
        app.background(work)
        variable.set("after")
        response.add_background(work)
        variable.set("later")
        return response

    async with TestClient(app) as client:
        await client.get("/")
    assert seen == ["now", "after"]


async def test_complaint_2_a_failure_is_logged_and_stops_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    work = Work(waits=True)
    app: Application[Any] = Application()

    @app.get("/")
    async def handler(request: Request) -> Response:
        response = Response()
        response.add_background(work.fail)
        response.add_background(work.run)
        app.background(work.fail)
        return response

    async with TestClient(app, raise_exceptions=False) as client:
        assert (await client.get("/")).status_code == 200
        work.go_on.set()
        await within(work.ended)
        assert (await client.get("/")).status_code == 200
    records = [record for record in caplog.records if record.name == "asgiweb"]
    assert [record.getMessage() for record in records] == ["background work Work.fail failed"] * 4
    assert all(record.levelno == logging.ERROR and record.exc_info for record in records)


async def test_a_test_sees_what_has_failed() -> None:
    work = Work()
    app: Application[Any] = Application()

    @app.get("/")
    async def handler(request: Request) -> Response:
        app.background(work.fail)
        return Response("ok")

    with pytest.raises(KeyError, match="fault"):
        async with TestClient(app) as client:
            assert (await client.get("/")).text == "ok"


async def test_what_is_no_async_function_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    app: Application[Any] = Application()
    task: asyncio.Task[Any] = app.background(print)  # type: ignore[arg-type]  # that is the mistake
    with pytest.raises(TypeError, match=r"print is none.*to_thread"):
        await task
    assert await app.background(asyncio.to_thread, str.upper, "a") == "A"


async def test_shutdown_waits_for_work_which_still_has_everything() -> None:
    order: list[str] = []
    work = Work(waits=True)

    async def last() -> None:
        order.append("last work")

    async def slow(app: Application[Any]) -> None:
        await app.shutting_down.wait()
        order.append("slow work")
        app.background(last)

    @asynccontextmanager
    async def lifespan(app: Application[Any]) -> AsyncIterator[str]:
        yield "state"
        order.append("lifespan")

    async def hook_work() -> None:
        await asyncio.sleep(0.01)
        order.append("work of a hook")

    def hook(app: Application[Any]) -> None:
        order.append("hook")
        app.background(hook_work)

    app = app_of(work, lifespan=lifespan)
    app.on_shutdown.append(hook)
    async with TestClient(app):
        app.background(slow, app)
    assert order[:3] == ["slow work", "last work", "hook"]
    assert sorted(order[3:]) == ["lifespan", "work of a hook"]


@pytest.mark.parametrize("timeout", [0, 0.01])
async def test_what_does_not_end_in_time_is_cancelled_by_name(
    caplog: pytest.LogCaptureFixture, timeout: float
) -> None:
    work = Work(waits=True)
    async with TestClient(app_of(work, background_timeout=timeout)) as client:
        await client.get("/now")
        await client.get("/after")
        await within(work.began)
        await asyncio.sleep(0)
    assert work.cancelled
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().endswith("is cancelled: Work.run, Work.run")


async def test_without_a_limit_shutdown_waits() -> None:
    work = Work(waits=True)
    async with TestClient(app_of(work, background_timeout=None)) as client:
        await client.get("/now")
        asyncio.get_running_loop().call_later(0.05, work.go_on.set)
    assert work.ended.is_set()


async def test_work_that_ignores_its_cancellation_does_not_stop_the_shutdown(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asgiweb.background.CANCEL_GRACE", 0.01)
    end = asyncio.Event()

    async def stubborn() -> None:
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                pass

    app: Application[Any] = Application(background_timeout=0)
    async with TestClient(app):
        task = app.background(stubborn)
        await asyncio.sleep(0)
    end.set()
    await task
    # Once: shutdown waits for work a second time, for what on_shutdown has started.
    assert caplog.text.count("does not end although it is cancelled: ") == 1
    assert caplog.text.count("s is cancelled: ") == 1


async def test_work_that_is_cancelled_by_its_owner_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    work = Work(waits=True)
    app = app_of(work)
    task = app.background(work.run)
    await within(work.began)
    task.cancel()
    await asyncio.wait([task])
    assert work.cancelled
    assert caplog.records == []


def test_each_event_loop_drains_its_own_work() -> None:
    app: Application[Any] = Application(background_timeout=0)
    first = asyncio.new_event_loop()
    try:
        task = first.run_until_complete(_started(app))

        async def another() -> None:
            async with TestClient(app):
                pass

        asyncio.run(another())
        assert not task.cancelling()
        task.cancel()
        first.run_until_complete(asyncio.wait([task]))
    finally:
        first.close()


async def _started(app: Application[Any]) -> asyncio.Task[str]:
    return app.background(Work(waits=True).run)


async def test_the_refusal_of_a_websocket_may_have_work_too() -> None:
    work = Work()

    async def refuse(request: Request, error: HTTPForbidden) -> Response:
        response = Response("no", 403)
        response.add_background(work.run)
        return response

    app: Application[Any] = Application(error_handlers={HTTPForbidden: refuse})

    @app.websocket("/")
    async def handler(ws: WebSocket) -> None:
        raise HTTPForbidden

    async with TestClient(app) as client:
        with pytest.raises(WebSocketDenied):
            async with client.websocket("/"):
                pass
    assert work.ended.is_set()


async def test_so_may_its_end() -> None:
    work = Work()

    async def adding(request: Request, handler: Handler) -> Response:
        response = await handler(request)
        response.add_background(work.run)
        return response

    app: Application[Any] = Application(middlewares=[adding])

    @app.websocket("/")
    async def handler(ws: WebSocket) -> None:
        async with ws:
            assert not work.ended.is_set()

    async with TestClient(app) as client, client.websocket("/"):
        pass
    assert work.ended.is_set()
