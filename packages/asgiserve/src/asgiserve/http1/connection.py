"""An HTTP/1.1 connection: an asyncio Protocol, and the wire of its exchanges, one after the other."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

from ..deadlines import NEVER, TICK
from ..errors import ClientDisconnected, RequestRefused
from ..exchange import Exchange
from .half_closed import HalfClosed
from .inbound import Inbound
from .outbound import Outbound
from .request import RequestHead
from .response import Response
from .scope import Endpoints, http_scope
from .stages import EXPIRE, Stage, arm

if TYPE_CHECKING:
    from ..service import Service

logger: Final = logging.getLogger("asgiserve.error")

#: Seconds in which input is still read, and ignored, after the last response on a connection. Closing at
#: once would make the kernel answer such input with a reset, which can destroy the response on its way.
LINGER: Final = 2.0

if sys.version_info >= (3, 12):
    #: Runs the application up to its first wait at once, without a turn of the loop (0.4 µs less).
    new_task = partial(asyncio.Task, eager_start=True)
else:
    new_task = asyncio.Task

# The stages that every request passes, as globals: an attribute of an Enum costs 40 ns.
_IDLE: Final = Stage.IDLE
_RESPONSE: Final = Stage.RESPONSE
_HELD: Final = Stage.HELD

#: Stands for a request whose head could not be read.
_NO_REQUEST: Final = RequestHead("GET", b"/", "1.1", [])


class Connection(asyncio.Protocol):
    """The server's side of one HTTP/1.1 connection."""

    __slots__ = (
        "_half_closed",
        "_keep_alive",
        "_request",
        "_transport",
        "check",
        "closing",
        "deadline",
        "endpoints",
        "exchange",
        "inbound",
        "outbound",
        "service",
        "stage",
    )

    def __init__(self, service: Service) -> None:
        self.service = service
        self._transport: asyncio.Transport
        self.endpoints: Endpoints
        self.inbound: Inbound
        self.outbound: Outbound
        #: Check a response head; raises TypeError or ValueError.
        self.check: Callable[[int, Iterable[tuple[bytes, bytes]]], Response] = service.renderer.check
        self.stage = Stage.HEAD
        self.deadline = NEVER
        self._half_closed: HalfClosed | None = None  # once the client has closed its sending half
        self.closing = False  # nothing more is read or answered
        # The request in progress
        self._request = _NO_REQUEST
        self._keep_alive = True
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
        if self.exchange is None:
            self._proceed()
        if self.exchange is None:
            return bool(self.inbound.held) and not self.closing  # pipelined requests, not yet their turn
        if self.inbound.body is not None:
            self.refuse(RequestRefused(HTTPStatus.BAD_REQUEST, "the request body ended early"))
        else:
            response = self.outbound.response
            self.exchange.half_close(waits=response is None or not response.silent)
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
            self._leave_exchange(mark)
        self.outbound.resume()
        self.service.connection_ended(self)

    def pause_writing(self) -> None:
        """The client reads more slowly than the application writes."""
        self.outbound.pause()
        self.arm()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.outbound.resume()
        self.arm()
        if self.exchange is None:
            self._proceed()

    def _proceed(self) -> None:
        if not self.closing and self.inbound.held:
            try:
                self.inbound.proceed()
            except RequestRefused as refused:
                self.refuse(refused)

    # What the reading half calls

    def head_began(self) -> None:
        """The first bytes of a head have come, not yet the last."""
        if self._half_closed is not None:
            self.close()
        elif self.stage is not Stage.HEAD:
            self.wait_for(Stage.HEAD, self.service.request_wait)

    def begin(self, head: RequestHead) -> None:
        """Open the exchange of a request."""
        service = self.service
        self._request = head
        self._keep_alive = head.keep_alive
        bodiless = self.inbound.body is None
        self.exchange = exchange = Exchange(self, http_scope(head, self.endpoints, service), bodiless)
        if self._half_closed is not None:
            self._half_closed.next_request()
            exchange.half_close(waits=True)
        if bodiless:
            self.wait_for(_RESPONSE, service.response_wait)
        else:
            self.arm()
        if service.access_log is not None:
            exchange.started_at = time.monotonic()

    def start(self) -> None:
        """Call the application with the request that has begun."""
        exchange = self.exchange
        if exchange is not None:
            service = self.service
            service.exchanges.add(exchange)
            # The event loop may call us in the context of an application that made it watch the socket;
            # the next request must not see the variables of that one.
            context = service.context.copy()
            exchange.task = new_task(exchange.run(service.app), loop=service.loop, context=context)

    def turn(self) -> None:
        """Request and response are over: it is the next request's turn."""
        if self.inbound.held:
            # From the loop, so that a flood of pipelined requests does not keep others waiting.
            self.inbound.scheduled = True
            self.service.loop.call_soon(self._proceed)
        elif self._half_closed is not None:
            self.close()
            return
        elif self.inbound.paused:
            self.inbound.resume()
        if not self.outbound.paused:
            self.wait_for(_IDLE, self.service.keep_alive_wait)

    # What an exchange calls: the wire

    @property
    def write_paused(self) -> bool:
        """Whether the client reads more slowly than the application writes."""
        return self.outbound.paused

    def want_body(self) -> None:
        """Read on: the application waits for more of the request body, or took what there was."""
        if not self.closing and self.inbound.body is not None:
            self.inbound.want_body()

    def hold(self) -> None:
        """Wait a moment for the first piece of the body: a failure until then still becomes a 500."""
        self.wait_for(_HELD, TICK)

    def respond(self, response: Response, body: bytes, more: bool) -> None:
        """Write the head and the first piece of the body together; raises ValueError with nothing written."""
        framing = response.begin(self._request.method, self._request.http_version, body, more)
        content = response.frame(body, more)
        persistence = b""
        if response.close or not self._may_persist():
            self._keep_alive = False
            persistence = b"connection: close\r\n"
        elif self._request.http_version == "1.0":
            persistence = b"connection: keep-alive\r\n"
        if self.exchange is not None:
            self.exchange.begun = True
        self.outbound.begin(response, framing, persistence, content)
        if more:
            self.arm()
        else:
            self._finish()

    def write(self, body: bytes, more: bool) -> None:
        """Write a further piece of the body; raises ValueError, or ClientDisconnected, with nothing written.

        asyncio tells of a write that failed only in a later turn of the loop, which an application that
        does nothing but send would never let come: so the transport is asked.
        """
        response = self.outbound.response
        if response is None or self._transport.is_closing():
            if self.exchange is not None:
                self.exchange.leave()
            raise ClientDisconnected("the client has left")
        self.outbound.go_on(response, body, more)
        if not more:
            self._finish()

    async def drain(self) -> None:
        """Wait until the client has read enough, or has left."""
        await self.outbound.drain()

    def verify(self) -> None:
        """Find out whether a client that sends no more has left, because the application asks."""
        if self._half_closed is not None:
            self._half_closed.verify(self._request.http_version)

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

    def _may_persist(self) -> bool:
        """Whether another request can follow on this connection (RFC 9112 §9.3)."""
        inbound = self.inbound
        return (
            self._keep_alive
            and not self.service.draining
            and (self._half_closed is None or bool(inbound.held))
            and (inbound.body is None or inbound.can_discard_body())
        )

    def _finish(self) -> None:
        """The response is complete: take the next request, or close."""
        self._leave_exchange()
        if not self._keep_alive:
            self.close()
        elif self.inbound.body is not None:
            self.inbound.discard_body()
            self.arm()
        else:
            self.turn()

    def _leave_exchange(self, mark: str = "") -> None:
        exchange = self.exchange
        response = self.outbound.response
        self.exchange = None
        self.outbound.response = None
        if self.service.access_log is not None and exchange is not None:
            self.service.access_log.write(self.endpoints, self._request, response, exchange.started_at, mark)

    def answer(self, status: HTTPStatus, text: str) -> None:
        """Answer in the application's place, and close."""
        response = self.check(status.value, [(b"content-type", b"text/plain; charset=utf-8")])
        response.close = True
        if self.exchange is not None:
            self.exchange.leave()
        self.respond(response, f"{text}\n".encode(), False)

    def refuse(self, refused: RequestRefused) -> None:
        """Answer a request that cannot be served, if that is still possible, and close."""
        detail = f" ({refused.__cause__})" if refused.__cause__ else ""
        logger.info("%s: %d %s%s", self.endpoints, refused.status, refused, detail)
        if self.exchange is None:
            self._request = _NO_REQUEST
        elif self.exchange.begun:
            self.exchange.leave()
            self._cut()
            return
        self.answer(refused.status, str(refused))

    def _cut(self) -> None:
        """End a response that stays incomplete, so that the client can tell."""
        response = self.outbound.response
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
        inbound = self.inbound
        unread = inbound.body is not None or bool(inbound.held) or inbound.paused
        inbound.held = b""
        self.closing = True
        self.outbound.look()
        if unread and self._half_closed is None and self._transport.can_write_eof():
            inbound.resume()
            self._transport.write_eof()
            self.wait_for(Stage.LINGER, LINGER)
        else:
            self._transport.close()
            if self.endpoints.scheme == "https" and not self._transport.get_write_buffer_size():
                # A client need not answer the farewell of TLS (RFC 8446 §6.1), and many do not while idle.
                self.wait_for(Stage.LINGER, TICK)
            else:
                self.wait_for(Stage.CLOSING, self.service.write_wait)

    def abort(self) -> None:
        """Reset the connection, whatever is left to be written."""
        self.closing = True
        self.outbound.abort()

    def stop(self) -> None:
        """The server drains: close now if nothing is in progress, and else after the response."""
        if self.exchange is not None:
            self._keep_alive = False
        elif not self.inbound.held or not (self.service.exchanges or self.outbound.paused):
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
