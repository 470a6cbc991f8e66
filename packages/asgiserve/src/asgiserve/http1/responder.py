"""The answering half of a connection: each response, whole or in pieces, from its head to its end."""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from ..deadlines import NEVER, TICK
from ..errors import ClientDisconnected
from ..files import FilePart
from ..outcome import Outcome
from .framing import BodyWriter, ChunkedWriter, begin_body
from .outbound import LARGE_PIECE, Outbound
from .request import CLOSE, NO_FIELDS, NO_REQUEST
from .response import ResponseHead, wrong_length
from .sendfile import FileEnded, send_part
from .stages import Stage

if TYPE_CHECKING:
    from ..exchange import Exchange
    from ..service import Service
    from .half_closed import HalfClosed
    from .inbound import Inbound
    from .scope import Endpoints

logger: Final = logging.getLogger("asgiserve.error")

# The stages that every request passes, as globals: an attribute of an Enum costs 40 ns.
_IDLE: Final = Stage.IDLE
_HELD: Final = Stage.HELD


class Responder(ABC):
    """The wire of exchanges, as far as they write; and the state of a connection, which both halves share."""

    __slots__ = (
        "_fields",
        "_half_closed",
        "_method",
        "_persistence",
        "_started_at",
        "_target",
        "_transport",
        "closing",
        "deadline",
        "endpoints",
        "exchange",
        "inbound",
        "outbound",
        "service",
        "stage",
        "write_paused",
    )

    def __init__(self, service: Service) -> None:
        self.service = service
        self._transport: asyncio.Transport
        self.endpoints: Endpoints
        self.inbound: Inbound
        self.outbound: Outbound
        self.stage = Stage.HEAD  # whom it waits for
        self.deadline = NEVER
        self._half_closed: HalfClosed | None = None  # once the client has closed its sending half
        self.closing = False  # nothing more is read or answered
        self.write_paused = False  # the client reads more slowly than the application writes
        # The request in progress, or the last one
        self._method, self._target, self._fields = NO_REQUEST
        self._persistence = self._fields.persistence
        self._started_at = 0.0  # for the access log
        self.exchange: Exchange | None = None  # while its response is not complete

    # What the rest of the connection does

    @abstractmethod
    def arm(self) -> None:
        """Find whom the connection waits for now, and give them their time."""

    @abstractmethod
    def turn(self) -> None:
        """Request and response are over: it is the next request's turn."""

    @abstractmethod
    def proceed(self) -> None:
        """Take the next of the requests that wait behind one that has its answer."""

    @abstractmethod
    def close(self) -> None:
        """Close once everything is written."""

    @abstractmethod
    def abort(self) -> None:
        """Reset the connection, whatever is left to be written."""

    @property
    def responding(self) -> bool:
        """Whether the final response has begun, or is complete."""
        return self.exchange is None or self.exchange.begun

    # What an exchange calls

    def hold(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> ResponseHead:
        """Check a head, and hold it a moment for the first piece of the body.

        A failure until then still becomes a 500. Raises TypeError or ValueError, with nothing changed.
        """
        service = self.service
        head = service.renderer.check(status, headers)
        if not self.write_paused:
            self.stage = _HELD
            self.deadline = service.deadlines.now + TICK
        return head

    def respond(self, head: ResponseHead, body: bytes, more: bool) -> None:
        """Write the head and the first piece of the body together; raises ValueError with nothing written."""
        if more or not head.has_content or self._method == "HEAD":
            self._respond_in_pieces(head, body, more)
            return
        size = len(body)
        length = head.content_length
        if length is None:
            framing = b"content-length: %d\r\n" % size
        elif length == size:
            framing = b""
        else:
            raise wrong_length(length, size)
        if head.close or self._half_closed is not None or self.inbound.body is not None:
            self._limit_persistence(head)
        exchange = self.exchange
        if exchange is not None:
            exchange.begun = True
        own = self.service.renderer.own[head.replaced]
        outbound = self.outbound
        if size > LARGE_PIECE:
            outbound.write(b"".join((head.lines, framing, self._persistence, own)))
            outbound.write(body)
        elif self.inbound.held:  # pipelined requests: their answers leave together
            outbound.gather(b"".join((head.lines, framing, self._persistence, own, body)))
        else:
            outbound.write(b"".join((head.lines, framing, self._persistence, own, body)))
        self._finish(head, size)

    def _respond_in_pieces(self, head: ResponseHead, body: bytes, more: bool) -> None:
        writer, framing = begin_body(head, self._method, self._fields.http_version, len(body), more)
        self._begin_pieces(head, writer, framing, writer.frame(body, more))
        if more:
            self.arm()
        else:
            self._end_pieces()

    def _begin_pieces(self, head: ResponseHead, writer: BodyWriter, framing: bytes, content: bytes) -> None:
        outbound = self.outbound
        outbound.head = head
        outbound.writer = writer
        if outbound.until_close:
            self._persistence = CLOSE
        self._limit_persistence(head)
        if self.exchange is not None:
            self.exchange.begun = True
        own = self.service.renderer.own[head.replaced]
        outbound.gather(b"".join((head.lines, framing, self._persistence, own)))
        if content:
            outbound.gather(content)

    def _end_pieces(self) -> None:
        outbound = self.outbound
        outbound.flush()
        head, size = outbound.head, outbound.size
        outbound.head = outbound.writer = None
        self._finish(head, size)

    def _limit_persistence(self, head: ResponseHead) -> None:
        """Let the connection end with this response, if no other can follow (RFC 9112 §9.3)."""
        inbound = self.inbound
        if (
            head.close
            or (self._half_closed is not None and not inbound.held)
            or not (inbound.body is None or inbound.can_discard_body())
        ):
            self._persistence = CLOSE

    def write(self, body: bytes, more: bool) -> None:
        """Write a further piece of the body; raises ValueError, or ClientDisconnected, with nothing written.

        asyncio tells of a write that failed only in a later turn of the loop, which an application that
        does nothing but send would never let come: so the transport is asked.
        """
        outbound = self.outbound
        writer = outbound.writer
        if writer is None or self._transport.is_closing():
            raise self._left()
        content = writer.frame(body, more)
        if content:
            outbound.gather(content)
        if not more:
            self._end_pieces()

    def _left(self) -> ClientDisconnected:
        """What to raise when there is nobody to read on."""
        if self.exchange is not None:
            self.exchange.leave()
        return ClientDisconnected("the client has left")

    async def write_file(self, head: ResponseHead, part: FilePart, more: bool) -> None:
        """Write a part of a file, with the head if that is still held.

        Raises ValueError with nothing written; ClientDisconnected, or what reading the file raises, when
        the connection is cut, because a part is missing.
        """
        exchange = self.exchange
        if exchange is None or exchange.begun:
            writer = self.outbound.writer
            if writer is None or self._transport.is_closing():
                raise self._left()
            before = writer.before(part.count, more)
            if before:
                self.outbound.gather(before)
        else:
            writer, framing = begin_body(head, self._method, self._fields.http_version, part.count, more)
            self._begin_pieces(head, writer, framing, writer.before(part.count, more))
        if not self.outbound.silent:
            self.arm()
            self.outbound.flush()
            await self._write_part(part, writer)
            after = writer.after(part.count, more)
            if after:
                self.outbound.gather(after)
        if not more:
            self._end_pieces()

    async def _write_part(self, part: FilePart, writer: BodyWriter) -> None:
        exchange = self.exchange
        try:
            await send_part(self, self._transport, part)
        except BaseException as error:
            writer.size -= part.count - part.sent
            if exchange is not None:
                exchange.leave()
            if exchange is not None and exchange is self.exchange:
                self._cut()
            if not isinstance(error, FileEnded):
                raise
            logger.error("%s: %s became shorter while it was sent: the response is cut", exchange, part.name)
            raise ClientDisconnected("the response is cut") from None

    @property
    def body_size(self) -> int:
        """Bytes of the body that were written, of a response that has begun."""
        return self.outbound.size

    def check_end(self, head: ResponseHead, size: int) -> None:
        """Raise ValueError if the body cannot end with a piece of `size` bytes, by its declared length."""
        declared = head.content_length
        total = self.outbound.size + size
        if declared is not None and declared != total and head.has_content and self._method != "HEAD":
            raise wrong_length(declared, total)

    def hint(self, links: Iterable[bytes]) -> None:
        """Write an interim response with links (RFC 8297); raises TypeError or ValueError.

        HTTP/1.0 has no interim responses (RFC 9110 §15.2).
        """
        response = self.service.renderer.check_links(links)
        if response and self._fields.http_version == "1.1":
            self.outbound.write(response)

    def trail(self, headers: Iterable[tuple[bytes, bytes]], more: bool) -> None:
        """Take fields behind the body, which the last of them ends; raises TypeError or ValueError.

        They are dropped where there is no place for them, or nobody who wants them (RFC 9110 §6.5.1).
        """
        lines = self.service.renderer.check_trailers(headers)
        writer = self.outbound.writer
        if isinstance(writer, ChunkedWriter) and self._fields.accepts_trailers:
            writer.trailers += lines
        if not more:
            self.write(b"", False)

    def bound_queue(self) -> None:
        """Much was written: let little wait for a client that does not take it."""
        self.outbound.bound_queue()

    async def drain(self) -> None:
        """Wait until the client has read enough, or has left."""
        while self.write_paused:
            await self.outbound.drain()

    # What the event loop calls

    def pause_writing(self) -> None:
        """The client reads more slowly than the application writes."""
        self.write_paused = True
        self.outbound.watch()
        self.arm()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.write_paused = False
        self.outbound.caught_up()
        self.outbound.wake()
        self.arm()
        if self.exchange is None:
            self.proceed()

    # The end of a response

    def _finish(self, head: ResponseHead | None, size: int) -> None:
        """The response is complete: take the next request, or close."""
        service = self.service
        inbound = self.inbound
        if service.observers and self.exchange is not None:
            self._tell(head, size, "")
        self.exchange = None
        self._target = ""  # an idle connection keeps nothing large
        self._fields = NO_FIELDS
        if self._persistence is CLOSE:
            self.close()
        elif inbound.body is not None:
            inbound.discard_body()
            self.arm()
        elif inbound.held or inbound.paused or self._half_closed is not None or self.write_paused:
            self.turn()
        else:
            self.stage = _IDLE
            self.deadline = service.deadlines.now + service.keep_alive_wait

    def _leave_exchange(self, mark: str) -> None:
        """The response stays incomplete: `mark` says why, in the log."""
        outbound = self.outbound
        outbound.flush()
        if self.service.observers and self.exchange is not None:
            self._tell(outbound.head, outbound.size, mark)
        self.exchange = None
        outbound.head = outbound.writer = None

    def _tell(self, head: ResponseHead | None, size: int, mark: str) -> None:
        """Tell the access log and the metrics what has become of the request."""
        seconds = time.monotonic() - self._started_at
        fields = self._fields
        received = self.inbound.size if fields.has_body else 0
        outcome = Outcome(
            self.endpoints, self._method, self._target, fields, head, size, received, seconds, mark
        )
        for observe in self.service.observers:
            observe(outcome)

    def answer(self, status: HTTPStatus, text: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Answer in the application's place, and close."""
        headers = [*headers, (b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        head = self.service.renderer.check(status.value, headers)
        if self.exchange is not None:
            self.exchange.leave()
        else:
            self.service.refused[status.value] += 1
        self.respond(head, f"{text}\n".encode(), False)

    def _cut(self) -> None:
        """End a response that stays incomplete, so that the client can tell."""
        until_close = self.outbound.until_close
        self._leave_exchange("cut")
        if until_close:
            self.abort()
        else:
            self.close()
