"""What type checkers have to know of background work, events and broadcasts: nothing of this runs.

Each mistake is marked as one. Where mypy did not see it, it would complain of a mark that is not needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, assert_type

from asgiweb import Application, Broadcast, Request, Response, Subscription
from asgiweb.broadcast.redis import Codec, RedisBroadcast
from asgiweb.sse import Event, event_response
from asgiweb.templates import Templates

app: Application[Any] = Application()


async def send(address: str, *, copies: int = 1) -> float:
    return 0.5


def blocking(address: str) -> None: ...


async def events() -> AsyncIterator[Event | str]:
    yield "text"


async def numbers() -> AsyncIterator[int]:
    yield 1


async def handler(request: Request) -> Response:
    assert_type(app.background(send, "ada@example.org", copies=2), asyncio.Task[float])
    app.background(asyncio.to_thread, blocking, "ada@example.org")
    app.background(send)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # without what it needs
    app.background(send, 7)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # of another type
    app.background(send, "ada@example.org", copy=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # of another name
    app.background(blocking, "ada@example.org")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # not async
    response = event_response(events())
    response.add_background(send, "ada@example.org")
    response.add_background(send)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # without what it needs
    response.add_background(blocking, "ada@example.org")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # not async
    event_response(numbers())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # not events
    event_response([])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # not async
    assert_type(app.shutting_down.is_set(), bool)
    return response


async def page(request: Request, templates: Templates) -> Response:
    assert_type(await templates.render(request, "page.html"), str)
    await templates.response("page.html")  # type: ignore[arg-type,call-arg]  # pyright: ignore[reportCallIssue]  # for no request
    return await templates.response(request, "page.html", {"a": 1}, 404)


async def broadcasts(news: Broadcast[int], codec: Codec[bytes]) -> None:
    assert_type(RedisBroadcast.from_url("redis://", int), RedisBroadcast[int])
    assert_type(RedisBroadcast.from_url("redis://", list[str]), RedisBroadcast[list[str]])
    assert_type(RedisBroadcast.from_url("redis://", codec), RedisBroadcast[bytes])
    await RedisBroadcast.from_url("redis://", int).publish("a", "1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    news = RedisBroadcast.from_url("redis://", str)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]
    async with news, news.subscribe("a", "b") as subscription:
        assert_type(subscription, Subscription[int])
        async for number in subscription:
            assert_type(number, int)
