"""Server-sent events (WHATWG HTML, 9.2): a stream of events that a browser's EventSource reads.

The iterator of events runs in one task from its first step to its last, beside the one that sends: so
comments can be sent while it is silent, and no step of it is ever cancelled for that. It goes on when the
event before has been sent, and it is closed, with its ``finally``, when the client leaves or the application
shuts down.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final

import msgspec

from .request import Request
from .response import Headers, Response
from .shutdown import wait_in_loop
from .streaming import close_stream, end_task, iterating

NO_DATA: Final[Any] = object()

#: A comment without text. It is also the first that is sent: some servers send the head with it.
_KEEP_ALIVE: Final = b":\n\n"

_encode_json = msgspec.json.Encoder().encode


class Event:
    """One event: text and bytes (of UTF-8) as they are, and anything else as JSON, by msgspec.

    ``id`` is what the browser names in Last-Event-ID when it connects again, and ``retry`` the seconds until
    then. Without data no listener is called. ValueError for line breaks and NUL in ``event`` and ``id``.
    """

    __slots__ = ("comment", "data", "encoded", "event", "id", "retry")

    def __init__(
        self,
        data: Any = NO_DATA,
        *,
        event: str | None = None,
        id: str | int | None = None,
        retry: float | None = None,
        comment: str | None = None,
    ) -> None:
        #: As it was given; line breaks of all kinds will arrive as LF.
        self.data = data
        #: What the listener is registered for; "message" if there is none.
        self.event = event
        self.id = id
        #: In seconds.
        self.retry = retry
        #: For those who read the stream; browsers ignore it.
        self.comment = comment
        #: The event as it is sent. One that goes to many clients is encoded once.
        self.encoded = "".join(_lines(self)).encode() + b"\n"

    def __repr__(self) -> str:
        return f"<Event {self.encoded!r}>"


def _lines(event: Event) -> list[str]:
    lines = []
    if event.comment is not None:
        lines += [f": {line}\n" for line in _split(event.comment)]
    if event.event is not None:
        lines.append(f"event: {_one_line('event', event.event)}\n")
    if event.id is not None:
        lines.append(f"id: {_one_line('id', str(event.id))}\n")
    if event.retry is not None:
        lines.append(_retry(event.retry))
    if event.data is not NO_DATA:
        lines += [f"data: {line}\n" for line in _split(_text(event.data))]
    return lines


def _text(data: Any) -> str:
    if isinstance(data, str):
        return data
    return (data if isinstance(data, bytes) else _encode_json(data)).decode()


def _split(text: str) -> list[str]:
    # str.splitlines() knows more line breaks than the format has.
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _one_line(field: str, value: str) -> str:
    if "\n" in value or "\r" in value or "\0" in value:
        raise ValueError(f"an event's {field} is one line without NUL: {value!r}")
    return value


def _retry(seconds: float) -> str:
    if not 0 <= seconds < math.inf:
        raise ValueError(f"retry is a time in seconds, not {seconds!r}")
    return f"retry: {round(seconds * 1000)}\n"


def event_response(
    events: AsyncIterable[Event | str],
    *,
    keep_alive: float | None = 15.0,
    retry: float | None = None,
    headers: Headers | None = None,
) -> Response:
    """Answer with events as they come, until they end, the client leaves or the application shuts down.

    After ``keep_alive`` seconds of silence a comment is sent; None for none. ``retry`` is how long
    browsers wait, in seconds, before they connect again; they do so after an end, too.
    """
    if not isinstance(events, AsyncIterable):
        raise TypeError(f"events come from an async iterator, not {type(events).__name__}")
    if keep_alive is not None and not keep_alive > 0:
        raise ValueError(f"keep_alive is a time in seconds, or None for no comments, not {keep_alive!r}")
    first = _KEEP_ALIVE if retry is None else _retry(retry).encode() + b"\n"
    response = Response(
        EventStream(events, first, keep_alive), headers=headers, content_type="text/event-stream"
    )
    response.headers.setdefault("cache-control", "no-store")
    # nginx and others would collect what they can before they pass it on.
    response.headers.setdefault("x-accel-buffering", "no")
    return response


def last_event_id(request: Request[Any]) -> str | None:
    """Return the id of the last event that the browser has got, or None if it connects for the first time."""
    value = request.headers.get("last-event-id")
    # Browsers send UTF-8 (WHATWG HTML, 9.2.3), and headers are read as Latin-1.
    return None if value is None else value.encode("latin-1").decode(errors="replace")


class EventStream:
    """The body of an event response: what is sent, piece by piece."""

    __slots__ = (
        "_closed",
        "_ending",
        "_events",
        "_first",
        "_keep_alive",
        "_last",
        "_next",
        "_producer",
        "_reader",
        "_shutdown",
        "_silent",
        "_timer",
        "_wanted",
    )

    def __init__(self, events: AsyncIterable[Event | str], first: bytes, keep_alive: float | None) -> None:
        self._events = events
        # What is sent before all events; None once it is.
        self._first: bytes | None = first
        self._keep_alive = keep_alive
        self._producer: asyncio.Task[None] | None = None
        self._shutdown: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        # When there was something to send.
        self._last = 0.0
        self._silent = False
        # An event that was made and not yet sent.
        self._next: bytes | None = None
        # The sender waits for the first, and the iterator for the second. With two asyncio.Events and an
        # asyncio.timeout() instead, an event costs twice as much.
        self._reader: asyncio.Future[None] | None = None
        self._wanted: asyncio.Future[None] | None = None
        self._ending = False
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._closed:
            raise StopAsyncIteration
        if self._first is not None:
            first, self._first = self._first, None
            return first
        loop = asyncio.get_running_loop()
        if self._producer is None:
            self._start(loop)
        elif self._next is None:
            # What came before has been sent.
            _wake(self._wanted)
        while self._next is None and not self._ending and not self._silent:
            self._reader = loop.create_future()
            await self._reader
        self._last = loop.time()
        if self._next is not None:
            piece, self._next = self._next, None
            return piece
        if self._ending:
            await self.aclose()
            raise StopAsyncIteration
        self._silent = False
        return _KEEP_ALIVE

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        # Who has started it waits at once, so its first step comes before anybody can cancel it, which would
        # leave the iterator open.
        self._producer = loop.create_task(self._produce(loop))
        self._shutdown = loop.create_task(wait_in_loop())
        for task in (self._producer, self._shutdown):
            task.add_done_callback(self._end)
        self._last = loop.time()
        self._listen()

    def _end(self, task: asyncio.Task[None]) -> None:
        self._ending = True
        _wake(self._reader)

    def _listen(self) -> None:
        """Look for a silence, and again when there can be one at the earliest."""
        if self._keep_alive is None:
            return
        loop = asyncio.get_running_loop()
        rest = self._last + self._keep_alive - loop.time()
        if rest <= 0:
            self._silent = True
            _wake(self._reader)
            rest = self._keep_alive
        self._timer = loop.call_later(rest, self._listen)

    async def _produce(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            async with iterating(self._events) as events:
                async for event in events:
                    if self._closed:
                        # It has caught its cancellation, and goes on.
                        break
                    self._next = (event if isinstance(event, Event) else Event(event)).encoded
                    _wake(self._reader)
                    self._wanted = loop.create_future()
                    await self._wanted
        finally:
            await close_stream(self._events)

    async def aclose(self) -> None:
        """End the iterator of events, where it is, and wait for that. Raises what it has raised."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._producer is None or self._shutdown is None:
            await close_stream(self._events)
            return
        self._shutdown.cancel()
        try:
            await end_task(self._producer)
        finally:
            if not self._producer.cancelled():
                self._producer.result()


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
