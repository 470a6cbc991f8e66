"""An HTTP/1.1 connection: an asyncio Protocol, and the wire of its exchanges, one after the other."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from collections.abc import Iterable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

from ..deadlines import NEVER, TICK
from ..errors import ClientDisconnected, RequestRefused
from ..exchange import Exchange
from ..files import FilePart
from .framing import BodyWriter, ChunkedWriter, begin_body
from .half_closed import HalfClosed
from .inbound import Inbound
from .outbound import LARGE_PIECE, Outbound
from .request import CLOSE, NO_REQUEST, Fields
from .response import ResponseHead, wrong_length
from .scope import Endpoints, http_scope
from .sendfile import FileEnded, send_part
from .stages import EXPIRE, Stage, arm

if TYPE_CHECKING:
    from ..service import Service

logger: Final = logging.getLogger("asgiserve.error")

#: Seconds in which input is still read, and ignored, after the last response on a connection. Closing at
#: once would make the kernel answer such input with a reset, which can destroy the response on its way.
LINGER: Final = 2.0

#: Runs the application in the next turn of the loop: for pipelined requests, which must neither keep others
#: waiting nor pile up on the stack.
_begin_soon = asyncio.Task

if sys.version_info >= (3, 12):
    #: Runs the application up to its first wait at once, without a turn of the loop (0.4 µs less).
    _begin_now = partial(asyncio.Task, eager_start=True)
else:
    _begin_now = asyncio.Task

_NO_FIELDS: Final = NO_REQUEST[2]

#: The request line of a HEAD whose fields may be wrong.
_HEAD: Final = re.compile(rb"HEAD [!-~]+ HTTP/1\.[01]\r\n")

# The stages that every request passes, as globals: an attribute of an Enum costs 40 ns.
_IDLE: Final = Stage.IDLE
_RESPONSE: Final = Stage.RESPONSE
_HELD: Final = Stage.HELD


class Connection(asyncio.Protocol):
    """The server's side of one HTTP/1.1 connection."""

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
        self.stage = Stage.HEAD
        self.deadline = NEVER
        self._half_closed: HalfClosed | None = None  # once the client has closed its sending half
        self.closing = False  # nothing more is read or answered
        self.write_paused = False  # the client reads more slowly than the application writes
        # The request in progress, or the last one
        self._method, self._target, self._fields = NO_REQUEST
        self._persistence = self._fields.persistence
        self._started_at = 0.0  # for the access log
        self.exchange: Exchange | None = None  # while its response is not complete

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for the first head."""
        self._transport = cast(asyncio.Transport, transport)
        self.endpoints = Endpoints(transport)
        self.inbound = Inbound(self, self.service, self._transport)
        self.outbound = Outbound(self.service, self._transport)
        self.service.connections.add(self)
        self.wait_for(Stage.HEAD, self.service.request_wait)

    def data_received(self, data: bytes) -> None:
        """Read what the client has sent."""
        if not self.closing:
            try:
                self.inbound.feed(data)
            except RequestRefused as refused:
                self.refuse(refused)

    def eof_received(self) -> bool:
        """Let a client that sends no more have its answers; returns whether the transport stays open."""
        if self.closing or self.endpoints.scheme == "https":
            return False  # TLS has no half-closed connections in asyncio
        self._half_closed = HalfClosed(self)
        self._read_rest()
        if self.exchange is None:
            self._proceed()
        if self.exchange is None:
            return bool(self.inbound.held) and not self.closing  # pipelined requests, not yet their turn
        if self.inbound.body is not None:
            self.refuse(RequestRefused(HTTPStatus.BAD_REQUEST, "the request body ended early"))
        else:
            self.exchange.half_close(waits=not self.outbound.silent or bool(self.inbound.held))
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, and strike the connection off the books."""
        mark = "cut" if self.closing else "the client left"
        self.closing = True
        self.deadline = NEVER
        if self._half_closed is not None:
            self._half_closed.stop()
            self._half_closed = None
        del self.inbound  # it refers back to us: without the cycle, both are freed at once
        if self.exchange is not None:
            self.exchange.leave()
            if not self.exchange.begun:
                self.service.abandon(self.exchange)
            self._leave_exchange(mark)
        self.write_paused = False
        self.outbound.wake()
        self.service.connection_ended(self)

    def pause_writing(self) -> None:
        """The client reads more slowly than the application writes."""
        self.write_paused = True
        self.outbound.watch()
        self.arm()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.write_paused = False
        self.outbound.wake()
        self.arm()
        if self.exchange is None:
            self._proceed()

    def _proceed(self) -> None:
        if not self.closing and self.inbound.held:
            try:
                self.inbound.proceed()
            except RequestRefused as refused:
                self.refuse(refused)

    def _read_rest(self) -> None:
        if self.inbound.body is not None and self.inbound.held:
            try:
                self.inbound.read_rest()
            except RequestRefused as refused:
                self.refuse(refused)

    def read_on(self) -> None:
        """Read on in a body of which much came at once."""
        if not self.closing:
            try:
                self.inbound.read_on()
            except RequestRefused as refused:
                self.refuse(refused)

    # What the reading half calls

    def head_began(self) -> None:
        """The first bytes of a head have come, not yet the last."""
        if self._half_closed is not None:
            self.close()
        elif self.stage is not Stage.HEAD:
            self.wait_for(Stage.HEAD, self.service.request_wait)

    def begin(self, method: str, target: str, fields: Fields, content: bytes) -> None:
        """Open the exchange of a request, and call the application; `content` came of the request's body."""
        service = self.service
        self._method = method
        self._target = target
        self._fields = fields
        self._persistence = fields.persistence if not service.draining else CLOSE
        bodiless = self.inbound.body is None
        scope = http_scope(method, target, fields, self.endpoints, service)
        self.exchange = exchange = Exchange(self, scope, content, bodiless)
        if self._half_closed is not None:
            self._half_closed.next_request()
            exchange.half_close(waits=True)
        if bodiless:
            self.stage = _RESPONSE
            self.deadline = service.deadlines.now + service.response_wait
        else:
            self.arm()
        if service.access_log is not None:
            self._started_at = time.monotonic()
        service.exchanges.add(exchange)
        # The event loop may call us in the context of an application that made it watch the socket; the next
        # request must not see the variables of that one. A task without a name gets one made, for 0.1 µs.
        task = _begin_soon if self.inbound.proceeding else _begin_now
        exchange.task = task(
            exchange.run(service.app), loop=service.loop, name="request", context=service.context.copy()
        )

    def turn(self) -> None:
        """Request and response are over: it is the next request's turn."""
        inbound = self.inbound
        if self._half_closed is not None and not inbound.held:
            self.close()
            return
        if not self.write_paused:
            self.wait_for(_IDLE, self.service.keep_alive_wait)
        if inbound.held:
            self._proceed()
        else:
            inbound.resume()

    # What an exchange calls: the wire

    @property
    def responding(self) -> bool:
        """Whether the final response has begun, or is complete."""
        return self.exchange is None or self.exchange.begun

    def want_body(self) -> None:
        """Read on: the application waits for more of the request body, or took what there was."""
        if not self.closing and self.inbound.body is not None:
            self.inbound.want_body()

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
        if size > LARGE_PIECE:
            self._transport.write(b"".join((head.lines, framing, self._persistence, own)))
            self._transport.write(body)
        else:
            self._transport.write(b"".join((head.lines, framing, self._persistence, own, body)))
        self._finish(head.status, size)

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
        outbound.gather(writer, b"".join((head.lines, framing, self._persistence, own)))
        if content:
            outbound.gather(writer, content)

    def _end_pieces(self) -> None:
        outbound = self.outbound
        outbound.flush()
        status = outbound.head.status if outbound.head is not None else 0
        size = outbound.size
        outbound.head = outbound.writer = None
        self._finish(status, size)

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
            outbound.gather(writer, content)
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
                self.outbound.gather(writer, before)
        else:
            writer, framing = begin_body(head, self._method, self._fields.http_version, part.count, more)
            self._begin_pieces(head, writer, framing, writer.before(part.count, more))
        if not self.outbound.silent:
            self.arm()
            self.outbound.flush()
            await self._write_part(part, writer)
            after = writer.after(part.count, more)
            if after:
                self.outbound.gather(writer, after)
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
            self._transport.write(response)

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

    async def drain(self) -> None:
        """Wait until the client has read enough, or has left."""
        while self.write_paused:
            await self.outbound.drain()

    def verify(self) -> None:
        """Find out whether a client that sends no more has left, because the application asks."""
        if self._half_closed is not None:
            self._half_closed.verify(self._fields.http_version)

    def ended(self, exchange: Exchange, failed: bool) -> None:
        """The application has returned, or raised: make up for an answer that it did not give."""
        self.service.exchange_ended(exchange)
        if exchange is not self.exchange:
            # ASGI: an application that raises ends its connection, unless that serves another one already.
            if failed and exchange.complete and self.stage is Stage.IDLE:
                self.close()
        elif exchange.begun:
            self._cut()
        elif exchange.gone:
            self._leave_exchange("cancelled" if self.service.draining else "the client left")
            self.close()
        else:
            self.answer(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")

    # The end of a response

    def _finish(self, status: int, size: int) -> None:
        """The response is complete: take the next request, or close."""
        service = self.service
        inbound = self.inbound
        if service.access_log is not None and self.exchange is not None:
            self._log(status, size, "")
        self.exchange = None
        self._target = ""  # an idle connection keeps nothing large
        self._fields = _NO_FIELDS
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
        head = outbound.head
        if self.service.access_log is not None and self.exchange is not None:
            self._log(head.status if head is not None else None, outbound.size, mark)
        self.exchange = None
        outbound.head = outbound.writer = None

    def _log(self, status: int | None, size: int, mark: str) -> None:
        if self.service.access_log is not None:
            request = (self._method, self._target, self._fields.http_version)
            self.service.access_log.write(self.endpoints, request, status, size, self._started_at, mark)

    def answer(self, status: HTTPStatus, text: str) -> None:
        """Answer in the application's place, and close."""
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
        head = self.service.renderer.check(status.value, headers)
        if self.exchange is not None:
            self.exchange.leave()
        self.respond(head, f"{text}\n".encode(), False)

    def refuse(self, refused: RequestRefused) -> None:
        """Answer a request that cannot be served, if that is still possible, and close."""
        detail = f" ({refused.__cause__})" if refused.__cause__ else ""
        logger.info("%s: %d %s%s", self.endpoints, refused.status, refused, detail)
        if self.exchange is None:
            if self.inbound.body is not None:
                self.close()  # what is malformed belongs to a request that has its answer
                return
            self._method, self._target, self._fields = NO_REQUEST
            if _HEAD.match(self.inbound.held):
                self._method = "HEAD"  # RFC 9110 §9.3.2: no content, whatever is wrong with the fields
        elif self.exchange.begun:
            self.exchange.leave()
            self._cut()
            return
        self.answer(refused.status, str(refused))

    def _cut(self) -> None:
        """End a response that stays incomplete, so that the client can tell."""
        until_close = self.outbound.until_close
        self._leave_exchange("cut")
        if until_close:
            self.abort()
        else:
            self.close()

    # The end of the connection

    def close(self) -> None:
        """Close once everything is written; what still comes in is read and ignored for a while."""
        if self.closing:
            return
        inbound = self.inbound
        unread = inbound.body is not None or bool(inbound.held) or inbound.paused
        inbound.held = b""
        self.closing = True
        if self._transport.is_closing():
            return  # the client was faster; the loop is about to say so
        self.outbound.watch()
        if unread and self._half_closed is None and self._transport.can_write_eof():
            inbound.resume()
            self._transport.write_eof()
            self.wait_for(Stage.LINGER, LINGER)
        else:
            self._transport.close()
            if self.endpoints.scheme == "https":
                # A client need not answer the farewell of TLS (RFC 8446 §6.1), and many do not while idle.
                self.wait_for(Stage.FAREWELL, TICK)
            else:
                self.wait_for(Stage.CLOSING, TICK)

    def abort(self) -> None:
        """Reset the connection, whatever is left to be written."""
        self.closing = True
        self.outbound.abort()

    def stop(self) -> None:
        """The server drains: close now if nothing is in progress, and else after the response."""
        if self.exchange is not None:
            self._persistence = CLOSE
        elif not self.inbound.held or not (self.service.exchanges or self.write_paused):
            self.inbound.held = b""  # half a head, which is no request yet, and holds nobody up
            self.close()

    # Deadlines

    def wait_for(self, stage: Stage, wait: float) -> None:
        """Wait in a stage, for so many seconds."""
        self.stage = stage
        self.deadline = self.service.deadlines.now + wait

    def arm(self) -> None:
        """Find whom the connection waits for now, and give them their time."""
        if not self.closing:
            arm(self)

    def expire(self) -> None:
        """The deadline has passed: end what took too long."""
        self.deadline = NEVER
        EXPIRE[self.stage](self)
