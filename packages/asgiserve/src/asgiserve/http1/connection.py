"""An HTTP/1.1 connection: an asyncio Protocol that reads one request at a time and has it answered.

Input is cut at the end of a head, then at the end of its body. What a client sends ahead of an answer
(pipelining) stays in `_input`, unparsed, and past a limit the socket is paused: so a connection holds one
exchange and a bounded number of bytes, whatever a client sends; requests are answered in order; and one
that is malformed does not take the answer from the one before it.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable
from enum import Enum, auto
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

from ..deadlines import NEVER, TICK
from ..errors import RequestRefused
from ..exchange import Exchange
from ..waiting import Waiters
from .body import BodyReader, ChunkedReader, LengthReader
from .request import RequestHead, check_partial, check_size
from .response import Response
from .scope import Endpoints, http_scope

if TYPE_CHECKING:
    from ..service import Service

logger: Final = logging.getLogger("asgiserve.error")

#: Bytes of a request body that wait for the application before the socket is paused; also of input that
#: is held behind a request in progress. asyncio and uvloop may add one read of 256 KiB.
HIGH_WATER: Final = 65536

#: Bytes of a body that are read and thrown away, after a response that did not wait for it, to keep the
#: connection; with more to come it is closed.
MAX_DISCARD: Final = 262144

#: A body piece above this is written by itself, because copying it costs more than a second write.
LARGE_PIECE: Final = 65536

#: Seconds that a client may fall short of the minimum rate at the start of a body (Kestrel's grace period).
RATE_GRACE: Final = 5.0

#: Seconds in which input is still read, and ignored, after the last response on a connection. Closing at
#: once would make the kernel answer such input with a reset, which can destroy the response on its way.
LINGER: Final = 2.0

if sys.version_info >= (3, 12):
    #: Runs the application up to its first wait at once, without a turn of the loop (0.4 µs less).
    new_task = partial(asyncio.Task, eager_start=True)
else:
    new_task = asyncio.Task


class Stage(Enum):
    """Whom a connection waits for: what its deadline means."""

    IDLE = auto()  # the client, to send the next request
    HEAD = auto()  # the client, to send the rest of a head
    BODY = auto()  # the client, to send more of a body
    RESPONSE = auto()  # the application, to start its response
    HELD = auto()  # the application, to pass the first piece of the body, which leaves with the head
    STREAM = auto()  # the application, to go on with its response: for ever
    WRITE = auto()  # the client, to read
    CLOSING = auto()  # the client, to take the last bytes and close


class Connection(asyncio.Protocol):
    """The server's side of one HTTP/1.1 connection, and the wire of its exchanges."""

    __slots__ = (
        "_body",
        "_body_clock",
        "_body_size",
        "_closing",
        "_continue",
        "_drained",
        "_endpoints",
        "_eof",
        "_exchange",
        "_http_version",
        "_input",
        "_keep_alive",
        "_method",
        "_paused_at",
        "_read_paused",
        "_response",
        "_service",
        "_stage",
        "_transport",
        "deadline",
        "write_paused",
    )

    def __init__(self, service: Service) -> None:
        self._service = service
        self._transport: asyncio.Transport
        self._endpoints: Endpoints
        self.deadline = NEVER
        self._stage = Stage.HEAD
        self._input = b""  # the beginning of a head, or what follows the request in progress
        self._read_paused = False
        self.write_paused = False
        self._drained: Waiters | None = None
        self._eof = False  # the client has closed its sending half
        self._closing = False  # nothing more is read or answered
        # The request in progress
        self._method = "GET"
        self._http_version = "1.1"
        self._keep_alive = True
        self._continue = False  # the client waits for 100 Continue
        self._body: BodyReader | None = None  # while the body has not been read to its end
        self._body_size = 0
        self._body_clock = 0.0  # when the body began, not counting the time in which we did not read it
        self._paused_at = 0.0
        self._exchange: Exchange | None = None  # while the response is not complete
        self._response: Response | None = None  # from its head on

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for the first head."""
        self._transport = cast(asyncio.Transport, transport)
        self._endpoints = Endpoints(transport)
        self._service.connections.add(self)
        self._await(Stage.HEAD, self._service.config.request_timeout)

    def data_received(self, data: bytes) -> None:
        """Read what a client sent, as far as it is its turn."""
        if self._closing:
            return
        if self._input:
            data = self._input + data
            self._input = b""
        self._read(data)

    def eof_received(self) -> bool:
        """Let a client that sends no more have its answers; returns whether the transport stays open."""
        self._eof = True
        exchange = self._exchange
        if self._closing or exchange is None or self._endpoints.scheme == "https":
            return False  # TLS has no half-closed connections in asyncio
        if self._body is not None:
            self._refuse(RequestRefused(HTTPStatus.BAD_REQUEST, "the request body ended early"))
        else:
            exchange.half_close()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, and strike the connection off the books."""
        self._closing = True
        self.deadline = NEVER
        self._wake_writers()
        if self._exchange is not None:
            self._exchange.leave()
            self._leave_exchange("the client left")
        self._service.connection_ended(self)

    def pause_writing(self) -> None:
        """The client reads more slowly than the application writes: `drain` waits."""
        self.write_paused = True
        self._arm()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.write_paused = False
        self._wake_writers()
        self._arm()
        if self._exchange is None and self._input and not self._closing:
            self._proceed()

    # Reading

    def _read(self, data: bytes) -> None:
        try:
            while data and not self._closing:
                if self._body is not None:
                    data = self._read_body(self._body, data)
                elif self._exchange is not None or self.write_paused:
                    self._input = data
                    if len(data) > HIGH_WATER:
                        self._pause_reading()
                    return
                else:
                    data = self._read_head(data)
        except RequestRefused as refused:
            self._refuse(refused)

    def _read_head(self, data: bytes) -> bytes:
        """Begin a request if its head is complete; return what lies behind the head."""
        config = self._service.config
        if data[0] == 13 and data.startswith(b"\r\n") and not data.startswith(b"\r\n\r\n"):
            return data[2:]  # RFC 9112 §2.2: an empty line before the request line is to be ignored
        end = data.find(b"\r\n\r\n") + 4
        if end == 3:
            check_partial(data, config)
            self._input = data
            if self._stage is not Stage.HEAD:
                self._await(Stage.HEAD, config.request_timeout)
            if self._eof:
                self._close()
            return b""
        if end > config.max_request_line or end > config.max_header_size:
            check_size(data[:end], config)
        head = self._service.parser.parse(data if end == len(data) else data[:end])
        if len(head.headers) > config.max_headers:
            raise RequestRefused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too many header fields")
        self._begin(head)
        return data[end:]

    def _begin(self, head: RequestHead) -> None:
        """Call the application with a request."""
        service = self._service
        self._method = head.method
        self._http_version = head.http_version
        self._keep_alive = head.keep_alive
        if head.content_length or head.chunked:
            self._body = self._body_reader(head)
            self._body_size = 0
            self._body_clock = service.deadlines.now
            self._continue = head.expect_continue
        self._exchange = exchange = Exchange(
            self, http_scope(head, self._endpoints, service), self._body is None
        )
        if service.access_log is not None:
            exchange.started_at = time.monotonic()
        self._arm()
        service.exchanges.add(exchange)
        exchange.task = new_task(exchange.run(service.app), loop=service.loop)

    def _body_reader(self, head: RequestHead) -> BodyReader:
        config = self._service.config
        if head.content_length is None:
            return ChunkedReader(config.max_body_size, config.max_headers_size)
        if 0 < config.max_body_size < head.content_length:
            raise RequestRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
        return LengthReader(head.content_length)

    def _read_body(self, reader: BodyReader, data: bytes) -> bytes:
        """Pass the application a piece of the body; return what lies behind the body."""
        content, rest = reader.read(data)
        self._body_size += len(content)
        self._continue = False
        if reader.complete:
            self._body = None
        exchange = self._exchange
        if exchange is None:  # answered already: nobody wants the rest
            if reader.complete:
                self._turn()
            elif self._body_size > MAX_DISCARD:
                self._close()
            return rest
        if content or reader.complete:
            waiting = exchange.feed(content, reader.complete)
            if waiting >= HIGH_WATER and not reader.complete:
                self._pause_reading()
            self._arm()
        return rest

    def _proceed(self) -> None:
        """Read on in the input that was held behind a request."""
        if not self._closing and self._input:
            data = self._input
            self._input = b""
            self._resume_reading()
            self._read(data)

    def _pause_reading(self) -> None:
        if not self._read_paused:
            self._read_paused = True
            self._paused_at = self._service.deadlines.now
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._read_paused:
            self._read_paused = False
            self._body_clock += self._service.deadlines.now - self._paused_at
            self._transport.resume_reading()

    # What an exchange calls: the wire

    def want_body(self) -> None:
        """Read on: the application waits for more of the request body, or took what there was."""
        if self._body is None or self._closing:
            return
        if self._continue:
            self._continue = False
            if self._response is None:  # RFC 9110 §10.1.1: none after the final response has begun
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._resume_reading()
        self._arm()

    def check(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Response:
        """Check a response head; raises TypeError or ValueError."""
        return self._service.renderer.check(status, headers)

    def hold(self) -> None:
        """Wait a moment for the first piece of the body: a failure until then still becomes a 500."""
        self._stage = Stage.HELD
        self.deadline = self._service.deadlines.now + TICK

    def respond(self, response: Response, body: bytes, more: bool) -> None:
        """Write the head and the first piece of the body, together."""
        framing = response.begin(self._method, self._http_version, body, more)
        if response.close or not self._may_persist():
            self._keep_alive = False
            connection = b"connection: close\r\n\r\n"
        else:
            connection = b"\r\n" if self._http_version == "1.1" else b"connection: keep-alive\r\n\r\n"
        self._response = response
        if self._exchange is not None:
            self._exchange.begun = True
        lines = response.lines
        lines += (self._service.renderer.own[response.replaced], framing, connection)
        content = response.frame(body, more)
        if len(content) > LARGE_PIECE:
            self._transport.write(b"".join(lines))
            self._transport.write(content)
        else:
            lines.append(content)
            self._transport.write(b"".join(lines))
        if more:
            self._arm()
        else:
            self._finish()

    def write(self, body: bytes, more: bool) -> None:
        """Write a further piece of the body."""
        response = self._response
        if response is None or self._closing:
            return
        content = response.frame(body, more)
        if content:
            self._transport.write(content)
        if not more:
            self._finish()

    async def drain(self) -> None:
        """Wait until the client has read enough, or has left."""
        while self.write_paused:
            if self._drained is None:
                self._drained = Waiters()
            await self._drained.wait()

    def ended(self, exchange: Exchange, failed: bool) -> None:
        """The application has returned, or raised: make up for an answer that it did not give."""
        self._service.exchange_ended(exchange)
        if exchange is not self._exchange:
            # ASGI: an application that raises ends its connection, unless that serves another one already.
            if failed and exchange.complete and self._stage is Stage.IDLE:
                self._close()
        elif exchange.begun:
            self._cut()
        elif exchange.gone:
            self._leave_exchange()
            self._close()
        else:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")

    # The ends of a response, and of the connection

    def _may_persist(self) -> bool:
        """Whether another request can follow on this connection (RFC 9112 §9.3)."""
        if not self._keep_alive or self._service.draining or (self._eof and not self._input):
            return False
        # A client that was never told to continue may send the body, or may not (RFC 9110 §10.1.1).
        return self._body is None or (not self._continue and self._body.remaining <= MAX_DISCARD)

    def _finish(self) -> None:
        """The response is complete: take the next request, or close."""
        self._leave_exchange()
        if not self._keep_alive:
            self._close()
        elif self._body is not None:
            self._body_size = 0
            self._body_clock = self._service.deadlines.now
            self._resume_reading()
            self._arm()
        else:
            self._turn()

    def _leave_exchange(self, mark: str = "") -> None:
        exchange = self._exchange
        if exchange is not None and self._service.access_log is not None:
            self._service.access_log.write(exchange, self._response, mark)
        self._exchange = None
        self._response = None

    def _turn(self) -> None:
        """Request and response are over: it is the next request's turn."""
        if self._input:
            # In the context of the service, so that the next request sees no variable of this one; and
            # from the loop, so that a flood of pipelined requests does not keep others waiting.
            self._service.loop.call_soon(self._proceed, context=self._service.context)
        elif self._eof:
            self._close()
        else:
            self._resume_reading()
        self._arm()

    def _answer(self, status: HTTPStatus, text: str) -> None:
        """Answer in the application's place, and close."""
        response = self._service.renderer.check(
            status.value, [(b"content-type", b"text/plain; charset=utf-8")]
        )
        response.close = True
        if self._exchange is not None:
            self._exchange.leave()
        self.respond(response, f"{text}\n".encode(), False)

    def _refuse(self, refused: RequestRefused) -> None:
        """Answer a request that cannot be served, if that is still possible, and close."""
        logger.info("%s: %d %s", self._peer, refused.status, refused)
        exchange = self._exchange
        if exchange is not None:
            exchange.leave()
            if exchange.begun:
                self._cut()
                return
        else:
            self._method = "GET"
        self._answer(refused.status, str(refused))

    def _cut(self) -> None:
        """End a response that stays incomplete, so that the client can tell."""
        response = self._response
        self._leave_exchange("cut")
        if response is not None and response.until_close:
            # Only a reset tells it from a complete one (RFC 9112 §8).
            sock = self._transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.abort()
        else:
            self._close()

    def _close(self) -> None:
        """Close once everything is written; what still comes in is read and ignored for a while."""
        if self._closing:
            return
        unread = self._body is not None or bool(self._input) or self._read_paused
        self._closing = True
        self._input = b""
        self._await(Stage.CLOSING, self._service.config.write_timeout)
        if unread and not self._eof and self._transport.can_write_eof():
            self._resume_reading()
            self._transport.write_eof()
            if not self._transport.get_write_buffer_size():
                self._await(Stage.CLOSING, LINGER)
        else:
            self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever is left to be written."""
        self._closing = True
        self._transport.abort()

    def stop(self) -> None:
        """The server drains: close now if nothing is in progress, and else after the response."""
        if self._exchange is not None:
            self._keep_alive = False
        elif self._body is not None or not self._input:
            self._close()

    def _wake_writers(self) -> None:
        self.write_paused = False
        if self._drained is not None:
            self._drained.wake()

    @property
    def _peer(self) -> str:
        client = self._endpoints.client
        return f"{client[0]}:{client[1]}" if client else "unix"

    # Deadlines

    def _await(self, stage: Stage, timeout: float) -> None:
        self._stage = stage
        self.deadline = self._service.deadlines.after(timeout)

    def _arm(self) -> None:
        """Find whom the connection waits for now, and give them their time."""
        config = self._service.config
        exchange = self._exchange
        if self._closing:
            return
        if self.write_paused:
            self._await(Stage.WRITE, config.write_timeout)
        elif exchange is not None and exchange.response is not None and not exchange.begun:
            self.hold()
        elif self._body is not None and not self._read_paused and not self._continue:
            self._await(Stage.BODY, config.request_timeout)
            if config.min_body_rate:
                earned = max(RATE_GRACE, self._body_size / config.min_body_rate)
                self.deadline = min(self.deadline, self._body_clock + earned + TICK)
        elif exchange is None:
            self._await(Stage.IDLE, config.keep_alive_timeout)
        elif not exchange.begun:
            self._await(Stage.RESPONSE, config.response_timeout)
        else:
            self._await(Stage.STREAM, 0)

    def expire(self) -> None:
        """The deadline has passed: end what took too long."""
        self.deadline = NEVER
        _EXPIRE[self._stage](self)

    def _expire_idle(self) -> None:
        if self._transport.get_write_buffer_size():
            self.abort()  # the client has not read the last response
        else:
            self._close()

    def _expire_head(self) -> None:
        if self._input:
            self._refuse(RequestRefused(HTTPStatus.REQUEST_TIMEOUT, "the request head took too long"))
        else:
            self._close()  # browsers open connections ahead of need: no answer without a question

    def _expire_body(self) -> None:
        if self._exchange is None:
            self._close()
        else:
            self._refuse(RequestRefused(HTTPStatus.REQUEST_TIMEOUT, "the request body took too long"))

    def _expire_response(self) -> None:
        exchange = self._exchange
        if exchange is None or exchange.task is None:
            return
        logger.error(
            "%s: no response after %g s (response_timeout); the application is cancelled",
            exchange,
            self._service.config.response_timeout,
        )
        self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "the application took too long to respond")
        exchange.task.cancel()

    def _expire_held(self) -> None:
        """No piece of the body has come soon: the head goes out alone, as an event stream needs it to."""
        if self._exchange is not None:
            self.respond(self._exchange.response, b"", True)

    def _expire_write(self) -> None:
        logger.info(
            "%s: the client did not read for %g s (write_timeout)",
            self._peer,
            self._service.config.write_timeout,
        )
        self.abort()


_EXPIRE: Final[dict[Stage, Callable[[Connection], None]]] = {
    Stage.IDLE: Connection._expire_idle,
    Stage.HEAD: Connection._expire_head,
    Stage.BODY: Connection._expire_body,
    Stage.RESPONSE: Connection._expire_response,
    Stage.HELD: Connection._expire_held,
    Stage.WRITE: Connection._expire_write,
    Stage.CLOSING: Connection.abort,
}
