"""An exchange: one request and its response, as the application sees them (ASGI HTTP 2.5).

It keeps the order of ASGI's events and nothing else: it does not know which wire it is on. The wire
(`Wire`) feeds it the request body, checks and writes the response, and is told when the application ends.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, Final, Protocol

from .errors import ClientDisconnected
from .files import FilePart, move_on, open_path, part_of
from .types import ASGIApplication, Message, Scope
from .waiting import Waiters

logger: Final = logging.getLogger("asgiserve.error")


#: Bytes that an application may send to a client that takes them at once, or to one that gets none of
#: them (HEAD), before `send` lets the other tasks of the event loop have their turn.
FAIR_SHARE: Final = 131072


class Mode(Enum):
    """What restricts the events that an application may send, apart from their usual order."""

    TRAILERS_ANNOUNCED = auto()  # they follow the body
    TRAILERS_DUE = auto()  # nothing else may follow
    SENDING_FILE = auto()  # nothing may, until its end


class Carrier(Protocol):
    """What carries an exchange, whatever that consists of."""

    write_paused: bool  # the client reads more slowly than the application writes

    def bound_queue(self) -> None:
        """Much was written: let little wait for a client that does not take it."""
        ...

    async def drain(self) -> None:
        """Wait until the client has read enough, or has left."""
        ...

    def ended(self, exchange: Exchange, failed: bool) -> None:
        """The application has returned, or raised."""
        ...


class Wire(Carrier, Protocol):
    """What carries an exchange of HTTP: an HTTP/1.1 connection."""

    def want_body(self) -> None:
        """Read on: the application waits for more of the request body, or took what there was."""
        ...

    def hold(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Any:
        """Check a response head, and wait a moment for the first piece of the body to `respond` with.

        Raises TypeError or ValueError, with nothing changed.
        """
        ...

    def respond(self, head: Any, body: bytes, more: bool) -> None:
        """Write the head and the first piece of the body; raises ValueError with nothing written."""
        ...

    def write(self, body: bytes, more: bool) -> None:
        """Write a further piece of the body; raises ValueError with nothing written."""
        ...

    async def write_file(self, head: Any, part: FilePart, more: bool) -> None:
        """Write a part of a file as a piece of the body, and the head if it was not; raises as `write`."""
        ...

    @property
    def body_size(self) -> int:
        """Bytes of the body that were written."""
        ...

    def check_end(self, head: Any, size: int) -> None:
        """Raise ValueError if the body cannot end with a piece of `size` bytes."""
        ...

    def hint(self, links: Iterable[bytes]) -> None:
        """Write an interim response with links; raises TypeError or ValueError with nothing written."""
        ...

    def trail(self, headers: Iterable[tuple[bytes, bytes]], more: bool) -> None:
        """Take trailers, of which the last end the body; raises TypeError or ValueError."""
        ...

    def verify(self) -> None:
        """Find out whether a client that sends no more has left; call `leave` if it has."""
        ...


class Exchange:
    """One request and its response: `receive` and `send` of one call of the application."""

    __slots__ = (
        "_body",
        "_body_complete",
        "_mode",
        "_readers",
        "_unyielded",
        "_wire",
        "begun",
        "complete",
        "gone",
        "head",
        "scope",
        "task",
    )

    def __init__(self, wire: Wire, scope: Scope, body: bytes, body_complete: bool) -> None:
        self._wire = wire
        self.scope = scope
        self.task: asyncio.Task[None] | None = None
        self._body: bytes | None = body  # what waits for `receive`; None once it has delivered the last of it
        self._body_complete = body_complete
        self._readers: Waiters | None = None
        self._mode: Mode | None = None  # what restricts the events that may follow
        self._unyielded = 0  # bytes sent since the event loop had its turn
        self.head: Any = None  # checked by the wire, held until the first piece of the body
        self.begun = False  # the head was written
        self.complete = False  # the response was written to its end, by the application or for it
        self.gone = False  # the client has left: send() raises from now on

    # What the application calls

    async def receive(self) -> Message:
        """Deliver the request body, then ``http.disconnect`` once the client left or the response ended."""
        while not self.complete:
            body = self._body
            if body or (self._body_complete and body is not None):
                if self._body_complete:
                    self._body = None
                    return {"type": "http.request", "body": body, "more_body": False}
                self._body = b""
                self._wire.want_body()
                return {"type": "http.request", "body": body, "more_body": True}
            if not self.gone:
                self._wire.verify()
            if self.gone:
                break
            if not self._body_complete:
                self._wire.want_body()
            await self._wait()
        return {"type": "http.disconnect"}

    async def _wait(self) -> None:
        """Wait until there may be something to receive."""
        if self._readers is None:
            self._readers = Waiters()
        await self._readers.wait()

    async def send(self, message: Message) -> None:
        """Take one event of the response.

        Raises TypeError, ValueError or RuntimeError for an event that is wrong or out of order, with
        nothing changed; ClientDisconnected when the client has left. Ignores all events after the last.
        """
        if self.complete:
            return
        if self.gone:
            raise ClientDisconnected("the client has left")
        wire = self._wire
        kind = message["type"]
        if kind == "http.response.body":
            head = self.head
            if head is None:
                raise RuntimeError("http.response.body was sent before http.response.start")
            body = message.get("body", b"")
            if type(body) is not bytes:
                body = as_bytes(body)
            more = more_body = message.get("more_body", False)
            if self._mode is not None:
                self._check_place_of_body()
                if not more:
                    wire.check_end(head, len(body))
                    more = True  # its trailers follow
            if self.begun:
                wire.write(body, more)
            else:
                wire.respond(head, body, more)
            if more:
                self._unyielded += len(body) + 1
                if not more_body:
                    self._mode = Mode.TRAILERS_DUE
            else:
                self.finish()
        elif kind == "http.response.start":
            if self.head is not None:
                raise RuntimeError("http.response.start was sent twice")
            self.head = wire.hold(message["status"], message.get("headers", ()))
            if message.get("trailers", False):
                self._mode = Mode.TRAILERS_ANNOUNCED
            return
        else:
            await self._send_extension(kind, message)
        if wire.write_paused or self._unyielded > FAIR_SHARE:
            await self._give_way()

    async def _give_way(self) -> None:
        """Let the client read, or the other tasks have their turn; raises ClientDisconnected."""
        if not self._wire.write_paused:
            self._wire.bound_queue()
            await asyncio.sleep(0)
        else:
            await self._wire.drain()
            if self.gone and not self.complete:
                raise ClientDisconnected("the client has left")
        self._unyielded = 0

    def _check_place_of_body(self) -> None:
        """Raise RuntimeError if no piece of the body may follow now."""
        if self._mode is Mode.TRAILERS_DUE:
            raise RuntimeError("a piece of the body was sent behind its end, where trailers must follow")
        if self._mode is Mode.SENDING_FILE:
            raise RuntimeError("a piece of the body was sent before the end of a file that is being sent")

    async def _send_extension(self, kind: str, message: Message) -> None:
        """Take an event of one of the extensions of ASGI."""
        if kind == "http.response.early_hint":
            if not self.begun:  # a client could not tell a later one from the next response
                self._wire.hint(message["links"])
        elif kind == "http.response.trailers":
            if self._mode is not Mode.TRAILERS_DUE:
                raise RuntimeError(f"{kind} was sent before the end of the body, or was not announced")
            more = message.get("more_trailers", False)
            self._wire.trail(message["headers"], more)
            if not more:
                self.finish()
        elif kind in ("http.response.pathsend", "http.response.zerocopysend"):
            if self.head is None:
                raise RuntimeError(f"{kind} was sent before http.response.start")
            self._check_place_of_body()
            if kind == "http.response.zerocopysend":
                await self._send_part_of_file(message)
            elif self._wire.body_size:
                raise RuntimeError("http.response.pathsend was sent after a piece of the body")
            else:
                part = open_path(message["path"])
                try:
                    await self._send_file(part, False)
                finally:
                    os.close(part.descriptor)
        else:
            raise ValueError(f"{kind!r} is not an event of an HTTP response")

    async def _send_part_of_file(self, message: Message) -> None:
        file = message["file"]
        offset = message.get("offset")
        part = part_of(file, offset, message.get("count"))
        await self._send_file(part, message.get("more_body", False))
        if offset is None:
            move_on(file, part)

    async def _send_file(self, part: FilePart, more: bool) -> None:
        """Send a part of a file as a piece of the body; nothing else can be sent until it is through."""
        mode = self._mode
        trailers = mode is Mode.TRAILERS_ANNOUNCED
        if trailers and not more:
            self._wire.check_end(self.head, part.count)
        self._mode = Mode.SENDING_FILE
        try:
            await self._wire.write_file(self.head, part, more or trailers)
        finally:
            self._mode = mode
        if not more and trailers:
            self._mode = Mode.TRAILERS_DUE
        elif not more:
            self.finish()

    # What the wire calls

    def feed(self, body: bytes, complete: bool) -> int:
        """Take a piece of the request body; return how many bytes wait for the application."""
        self._body = waiting = self._body + body if self._body else body
        self._body_complete = complete
        self._wake()
        return len(waiting)

    def half_close(self, waits: bool) -> None:
        """The client will send no more; it is still answered, if it `waits` for anything."""
        self.gone = self.gone or not waits
        self._wake()

    def leave(self) -> None:
        """The client has left: `receive` and `send` say so from now on."""
        self.gone = True
        self._wake()

    def finish(self) -> None:
        """The response is written to its end: what the application sends from now on is ignored."""
        self.complete = True
        self._wake()

    def _wake(self) -> None:
        if self._readers is not None:
            self._readers.wake()

    async def run(self, app: ASGIApplication) -> None:
        """Call the application, and tell the wire how it ended."""
        failed = False
        try:
            await app(self.scope, self.receive, self.send)
            failed = self._left_open()
        except asyncio.CancelledError:
            failed = True  # by a deadline or the end of the server, which have said so
        except BaseException as error:
            failed = True
            self._log(error)
        self._wire.ended(self, failed)

    def _left_open(self) -> bool:
        """Whether the application has returned too early, which is logged."""
        early = not self.complete and not self.gone
        if early:
            logger.error("%s: the application returned without a complete response", self)
        return early

    def _log(self, error: BaseException) -> None:
        """Log what the application raised; that a client left is not an error (ASGI HTTP 2.4)."""
        if not self.gone or not _is_disconnect(error):
            logger.error("%s: the application raised", self, exc_info=error)
        elif not isinstance(error, OSError):
            logger.info("%s: the client left: %r", self, error)

    def __str__(self) -> str:
        # The scope is the application's to change, and this is for the log: it must not fail.
        return f"{self.scope.get('method')} {self.scope.get('path')!r}"


def as_bytes(body: object) -> bytes:
    """What an application passes as bytes; raises TypeError if it is something else."""
    if not isinstance(body, (bytes, bytearray, memoryview)):
        raise TypeError(f"the body must be bytes, not {type(body).__name__}")
    return bytes(body)


def _is_disconnect(error: BaseException) -> bool:
    """Whether `error` is ClientDisconnected, was raised in its handling, or is a group of nothing else."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_disconnect, error.exceptions))
    if isinstance(error, ClientDisconnected):
        return True
    origin = error.__cause__ or error.__context__
    return origin is not None and _is_disconnect(origin)
