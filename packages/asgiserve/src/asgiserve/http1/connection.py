"""An HTTP/1.1 connection: an asyncio Protocol, and the wire of its exchanges, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import socket
import struct
import sys
import termios
import time
from array import array
from collections.abc import Callable, Iterable
from enum import Enum, auto
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

from ..deadlines import NEVER, TICK
from ..errors import ClientDisconnected, RequestRefused
from ..exchange import Exchange
from ..waiting import Waiters
from .inbound import Inbound
from .request import RequestHead
from .response import Response
from .scope import Endpoints, http_scope

if TYPE_CHECKING:
    from ..service import Service

logger: Final = logging.getLogger("asgiserve.error")

#: A body piece above this is written by itself, because copying it costs more than a second write.
LARGE_PIECE: Final = 65536

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


# The stages that every request passes, as globals: an attribute of an Enum costs 40 ns.
_IDLE: Final = Stage.IDLE
_RESPONSE: Final = Stage.RESPONSE
_HELD: Final = Stage.HELD


class Connection(asyncio.Protocol):
    """The server's side of one HTTP/1.1 connection."""

    __slots__ = (
        "_drained",
        "_endpoints",
        "_eof",
        "_http_version",
        "_inbound",
        "_keep_alive",
        "_method",
        "_service",
        "_stage",
        "_transport",
        "_unsent",
        "closing",
        "deadline",
        "exchange",
        "response",
        "write_paused",
    )

    def __init__(self, service: Service) -> None:
        self._service = service
        self._transport: asyncio.Transport
        self._endpoints: Endpoints
        self._inbound: Inbound
        self._stage = Stage.HEAD
        self.deadline = NEVER
        self.write_paused = False
        self._unsent = 0  # what the client had not taken when it was last looked at
        self._drained: Waiters | None = None
        self._eof = False  # the client has closed its sending half
        self.closing = False  # nothing more is read or answered
        # The request in progress
        self._method = "GET"
        self._http_version = "1.1"
        self._keep_alive = True
        self.exchange: Exchange | None = None  # while its response is not complete
        self.response: Response | None = None  # from the time its head is written

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for the first head."""
        self._transport = cast(asyncio.Transport, transport)
        self._endpoints = Endpoints(transport)
        self._inbound = Inbound(self, self._service, self._transport)
        self._service.connections.add(self)
        self._await(Stage.HEAD, self._service.request_wait)

    def data_received(self, data: bytes) -> None:
        """Read what the client has sent."""
        if not self.closing:
            try:
                self._inbound.feed(data)
            except RequestRefused as refused:
                self._refuse(refused)

    def eof_received(self) -> bool:
        """Let a client that sends no more have its answers; returns whether the transport stays open."""
        self._eof = True
        if self.closing or self._endpoints.scheme == "https":
            return False  # TLS has no half-closed connections in asyncio
        if self.exchange is None:
            self._proceed()
        if self.exchange is None:
            return self.write_paused and bool(self._inbound.held)
        if self._inbound.body is not None:
            self._refuse(RequestRefused(HTTPStatus.BAD_REQUEST, "the request body ended early"))
        else:
            self.exchange.half_close(waits=self.response is None or not self.response.silent)
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, and strike the connection off the books."""
        self.closing = True
        self.deadline = NEVER
        if self.exchange is not None:
            self.exchange.leave()
            self._leave_exchange("the client left")
        self._wake_writers()
        self._service.connection_ended(self)

    def pause_writing(self) -> None:
        """The client reads more slowly than the application writes: `drain` waits."""
        self.write_paused = True
        self._unsent = self._outstanding()
        self.arm()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._wake_writers()
        self.arm()
        if self.exchange is None:
            self._proceed()

    def _proceed(self) -> None:
        if not self.closing and self._inbound.held:
            try:
                self._inbound.proceed()
            except RequestRefused as refused:
                self._refuse(refused)

    def _wake_writers(self) -> None:
        self.write_paused = False
        if self._drained is not None:
            self._drained.wake()

    # What the reading half calls

    def head_began(self) -> None:
        """The first bytes of a head have come, not yet the last."""
        if self._eof:
            self.close()
        elif self._stage is not Stage.HEAD:
            self._await(Stage.HEAD, self._service.request_wait)

    def begin(self, head: RequestHead) -> None:
        """Call the application with a request."""
        service = self._service
        self._method = head.method
        self._http_version = head.http_version
        self._keep_alive = head.keep_alive
        bodiless = self._inbound.body is None
        self.exchange = exchange = Exchange(self, http_scope(head, self._endpoints, service), bodiless)
        if bodiless:
            self._await(_RESPONSE, service.response_wait)
        else:
            self.arm()
        if service.access_log is not None:
            exchange.started_at = time.monotonic()
        service.exchanges.add(exchange)
        exchange.task = new_task(exchange.run(service.app), loop=service.loop)

    # What an exchange calls: the wire

    def want_body(self) -> None:
        """Read on: the application waits for more of the request body, or took what there was."""
        if self._inbound.body is not None and not self.closing:
            self._inbound.want_body()

    def check(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Response:
        """Check a response head; raises TypeError or ValueError."""
        return self._service.renderer.check(status, headers)

    def hold(self) -> None:
        """Wait a moment for the first piece of the body: a failure until then still becomes a 500."""
        self._await(_HELD, TICK)

    def respond(self, response: Response, body: bytes, more: bool) -> None:
        """Write the head and the first piece of the body together; raises ValueError with nothing written."""
        framing = response.begin(self._method, self._http_version, body, more)
        if response.close or not self._may_persist():
            self._keep_alive = False
            ending = b"connection: close\r\n\r\n"
        else:
            ending = b"\r\n" if self._http_version == "1.1" else b"connection: keep-alive\r\n\r\n"
        self.response = response
        if self.exchange is not None:
            self.exchange.begun = True
        lines = response.lines
        lines += (self._service.renderer.own[response.replaced], framing, ending)
        content = response.frame(body, more)
        if len(content) > LARGE_PIECE:
            self._transport.write(b"".join(lines))
            self._transport.write(content)
        else:
            lines.append(content)
            self._transport.write(b"".join(lines))
        if more:
            self.arm()
        else:
            self._finish()

    def write(self, body: bytes, more: bool) -> None:
        """Write a further piece of the body; raises ValueError, or ClientDisconnected, with nothing written.

        asyncio tells of a write that failed only in a later turn of the loop, which an application that
        does nothing but send would never let come: so the transport is asked.
        """
        if self.response is None or self._transport.is_closing():
            if self.exchange is not None:
                self.exchange.leave()
            raise ClientDisconnected("the client has left")
        content = self.response.frame(body, more)
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
        if exchange is not self.exchange:
            # ASGI: an application that raises ends its connection, unless that serves another one already.
            if failed and exchange.complete and self._stage is Stage.IDLE:
                self.close()
        elif exchange.begun:
            self._cut()
        elif exchange.gone:
            self._leave_exchange("the client left")
            self.close()
        else:
            self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, "Internal Server Error")

    # The end of a response

    def _may_persist(self) -> bool:
        """Whether another request can follow on this connection (RFC 9112 §9.3)."""
        inbound = self._inbound
        return (
            self._keep_alive
            and not self._service.draining
            and not (self._eof and not inbound.held)
            and inbound.can_discard_body()
        )

    def _finish(self) -> None:
        """The response is complete: take the next request, or close."""
        self._leave_exchange()
        if not self._keep_alive:
            self.close()
        elif self._inbound.body is not None:
            self._inbound.discard_body()
            self.arm()
        else:
            self.turn()

    def _leave_exchange(self, mark: str = "") -> None:
        if self._service.access_log is not None and self.exchange is not None:
            self._service.access_log.write(self.exchange, self.response, mark)
        self.exchange = None
        self.response = None

    def turn(self) -> None:
        """Request and response are over: it is the next request's turn."""
        if self._inbound.held:
            # In the context of the service, so that the next request sees no variable of this one; and
            # from the loop, so that a flood of pipelined requests does not keep others waiting.
            self._service.loop.call_soon(self._proceed, context=self._service.context)
        elif self._eof:
            self.close()
            return
        elif self._inbound.paused:
            self._inbound.resume()
        if not self.write_paused:
            self._await(_IDLE, self._service.keep_alive_wait)

    def _answer(self, status: HTTPStatus, text: str) -> None:
        """Answer in the application's place, and close."""
        response = self._service.renderer.check(
            status.value, [(b"content-type", b"text/plain; charset=utf-8")]
        )
        response.close = True
        if self.exchange is not None:
            self.exchange.leave()
        self.respond(response, f"{text}\n".encode(), False)

    def _refuse(self, refused: RequestRefused) -> None:
        """Answer a request that cannot be served, if that is still possible, and close."""
        detail = f" ({refused.__cause__})" if refused.__cause__ else ""
        logger.info("%s: %d %s%s", self._endpoints, refused.status, refused, detail)
        if self.exchange is None:
            self._method = "GET"
        elif self.exchange.begun:
            self.exchange.leave()
            self._cut()
            return
        self._answer(refused.status, str(refused))

    def _cut(self) -> None:
        """End a response that stays incomplete, so that the client can tell."""
        response = self.response
        self._leave_exchange("cut")
        if response is not None and response.until_close:
            self.abort()
        else:
            self.close()

    # The end of the connection

    def close(self) -> None:
        """Close once everything is written; what still comes in is read and ignored for a while."""
        if self.closing:
            return
        inbound = self._inbound
        unread = inbound.body is not None or bool(inbound.held) or inbound.paused
        inbound.held = b""
        self.closing = True
        self._unsent = self._outstanding()
        self._await(Stage.CLOSING, self._service.write_wait)
        if unread and not self._eof and self._transport.can_write_eof():
            inbound.resume()
            self._transport.write_eof()
            self._await(Stage.CLOSING, LINGER)
        else:
            self._transport.close()

    def abort(self) -> None:
        """Reset the connection, whatever is left to be written.

        A reset, because the end of a connection can mean the end of a response (RFC 9112 §8).
        """
        self.closing = True
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def stop(self) -> None:
        """The server drains: close now if nothing is in progress, and else after the response."""
        if self.exchange is not None:
            self._keep_alive = False
        elif self._inbound.body is not None or not self._inbound.held:
            self.close()

    # Deadlines

    def _await(self, stage: Stage, wait: float) -> None:
        self._stage = stage
        self.deadline = self._service.deadlines.now + wait

    def arm(self) -> None:
        """Find whom the connection waits for now, and give them their time."""
        service = self._service
        exchange = self.exchange
        if self.closing:
            return
        if self.write_paused:
            self._await(Stage.WRITE, service.write_wait)
        elif exchange is not None and exchange.response is not None and not exchange.begun:
            if self._stage is not _HELD:
                self.hold()
        elif self._inbound.body is not None and not self._inbound.paused and not self._inbound.continue_due:
            self._stage = Stage.BODY
            self.deadline = self._inbound.body_deadline()
        elif exchange is None:
            self._await(_IDLE, service.keep_alive_wait)
        elif not exchange.begun:
            self._await(_RESPONSE, service.response_wait)
        else:
            self._await(Stage.STREAM, NEVER)

    def expire(self) -> None:
        """The deadline has passed: end what took too long."""
        self.deadline = NEVER
        _EXPIRE[self._stage](self)

    def _expire_head(self) -> None:
        if self._inbound.held:
            self._refuse(RequestRefused(HTTPStatus.REQUEST_TIMEOUT, "the request head took too long"))
        else:
            self.close()  # browsers open connections ahead of need: no answer without a question

    def _expire_body(self) -> None:
        if self.exchange is None:
            self.close()
        else:
            self._refuse(RequestRefused(HTTPStatus.REQUEST_TIMEOUT, "the request body took too long"))

    def _expire_response(self) -> None:
        exchange = self.exchange
        if exchange is None or exchange.task is None:
            return
        timeout = self._service.config.response_timeout
        logger.error("%s: no response after %g s (response_timeout): cancelled", exchange, timeout)
        self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "the application took too long to respond")
        exchange.task.cancel()

    def _expire_held(self) -> None:
        """No piece of the body has come soon: the head goes out alone, as an event stream needs it to."""
        if self.exchange is not None:
            self.respond(self.exchange.response, b"", True)

    def _expire_write(self) -> None:
        """Cut off a client that has not taken what it must, of what was written, since the last look.

        The event loop cannot tell: to it a socket is writable only when a third of the kernel's buffer,
        which may hold megabytes, is free again; and that takes a slow client minutes.
        """
        config = self._service.config
        unsent = self._outstanding()
        taken = self._unsent - unsent
        self._unsent = unsent
        if taken and taken >= config.min_body_rate * config.write_timeout:
            self._await(self._stage, self._service.write_wait)
            return
        if unsent:
            logger.info("%s: the client did not read (write_timeout)", self._endpoints)
        self.abort()

    def _outstanding(self) -> int:
        """Bytes written that the client has not acknowledged yet."""
        queued = array("i", [0])
        with contextlib.suppress(OSError):  # some kernels do not tell
            fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.TIOCOUTQ, queued)
        return self._transport.get_write_buffer_size() + queued[0]


_EXPIRE: Final[dict[Stage, Callable[[Connection], None]]] = {
    Stage.IDLE: Connection.close,
    Stage.HEAD: Connection._expire_head,
    Stage.BODY: Connection._expire_body,
    Stage.RESPONSE: Connection._expire_response,
    Stage.HELD: Connection._expire_held,
    Stage.WRITE: Connection._expire_write,
    Stage.CLOSING: Connection._expire_write,
}
