"""An HTTP/1.1 connection: an asyncio Protocol, and the wire of its exchanges, one after the other."""

from __future__ import annotations

import asyncio
import logging
import re
import sys
import time
from functools import partial
from http import HTTPStatus
from typing import Final, cast

from ..deadlines import NEVER, TICK
from ..errors import RequestRefused
from ..exchange import Exchange
from ..websocket.exchange import WebSocketExchange
from ..websocket.handshake import Handshake, websocket_scope
from .half_closed import HalfClosed
from .inbound import Inbound
from .outbound import Outbound
from .request import CLOSE, NO_REQUEST, Fields
from .scope import Endpoints, http_scope
from .stages import EXPIRE, Stage, arm
from .upgrade import Upgradable

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

#: The request line of a HEAD whose fields may be wrong.
_HEAD: Final = re.compile(rb"HEAD [!-~]+ HTTP/1\.[01]\r\n")

#: A global, because every request passes it: an attribute of an Enum costs 40 ns.
_RESPONSE: Final = Stage.RESPONSE


class Connection(Upgradable, asyncio.Protocol):
    """The server's side of one HTTP/1.1 connection."""

    __slots__ = ()

    @property
    def unused(self) -> bool:
        """Whether the client has sent nothing yet."""
        return self.stage is Stage.HEAD and not self.inbound.held

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to wait for the first head."""
        self._transport = cast(asyncio.Transport, transport)
        self.endpoints = Endpoints(transport, self.service.scopes)
        self.inbound = Inbound(self, self.service, self._transport)
        self.outbound = Outbound(self.service, self._transport)
        self.service.connections.add(self)
        self.wait_for(Stage.HEAD, self.service.request_wait)
        if self.service.draining:  # it was accepted just before
            self.stop(self.service.patience or LINGER)

    def data_received(self, data: bytes) -> None:
        """Read what the client has sent."""
        if not self.closing:
            try:
                self.inbound.feed(data)
            except RequestRefused as refused:
                self.refuse(refused)

    def eof_received(self) -> bool:
        """Let a client that sends no more have its answers; returns whether the transport stays open."""
        if self.closing or self.endpoints.tls is not None:
            return False  # TLS has no half-closed connections in asyncio
        self._half_closed = HalfClosed(self)
        self._read_rest()
        if self.exchange is None:
            self.proceed()
        if self.exchange is None:
            return bool(self.inbound.held) and not self.closing  # pipelined requests, not yet their turn
        if not self._body_ended_early():
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
        if self.exchange is not None:
            self.exchange.leave()
            if not self.exchange.begun:
                self.service.abandon(self.exchange)
            self._leave_exchange(mark)
        del self.inbound  # it refers back to us: without the cycle, both are freed at once
        self.write_paused = False
        self.outbound.wake()
        self.service.connection_ended(self)

    def proceed(self) -> None:
        """Take the next of the requests that wait behind one that has its answer."""
        if not self.closing and self.inbound.held:
            try:
                self.inbound.proceed()
            except RequestRefused as refused:
                self.refuse(refused)
            if self._half_closed is not None and not self.closing:
                self._read_rest()
                self._body_ended_early()

    def _body_ended_early(self) -> bool:
        """Refuse a request whose body is not complete, of a client that sends no more."""
        if self.inbound.body is None:
            return False
        self.refuse(RequestRefused(HTTPStatus.BAD_REQUEST, "the request body ended early"))
        return True

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
        exchange: Exchange
        scope = http_scope(method, target, fields, self.endpoints, service)
        if fields.upgrades and method == "GET" and not fields.has_body and service.websockets:
            handshake = Handshake(fields.headers)
            self._persistence = CLOSE  # no other request follows
            exchange = WebSocketExchange(
                self, websocket_scope(scope, handshake.subprotocols), handshake, service.config.ws_max_queue
            )
        else:
            exchange = Exchange(self, scope, content, bodiless)
        self.exchange = exchange
        if self._half_closed is not None:
            self._half_closed.next_request()
            exchange.half_close(waits=True)
        if bodiless:
            self.stage = _RESPONSE
            self.deadline = service.deadlines.now + service.response_wait
        else:
            self.arm()
        if service.observers:
            self._started_at = time.monotonic()
        service.exchanges.add(exchange)
        # The event loop may call us in the context of an application that made it watch the socket; the next
        # request must not see the variables of that one. A task without a name gets one made, for 0.1 µs.
        task = _begin_now
        if self.inbound.proceeding:
            task = _begin_soon
            self.outbound.more_soon = True
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
            self.wait_for(Stage.IDLE, self.service.keep_alive_wait)
        if inbound.held:
            self.proceed()
        else:
            inbound.resume()

    # What an exchange calls: the wire

    def want_body(self) -> None:
        """Read on: the application waits for more of the request body, or took what there was."""
        if not self.closing and self.inbound.body is not None:
            self.inbound.want_body()

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
        self.answer(refused.status, str(refused), refused.headers)

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
        self.outbound.flush()
        self.outbound.watch()
        if unread and self._half_closed is None and self._transport.can_write_eof():
            inbound.resume()
            self.outbound.end()
            self.wait_for(Stage.LINGER, LINGER)
        else:
            self._transport.close()
            if self.endpoints.tls is not None:
                # A client need not answer the farewell of TLS (RFC 8446 §6.1), and many do not while idle.
                self.wait_for(Stage.FAREWELL, TICK)
            else:
                self.wait_for(Stage.CLOSING, TICK)

    def abort(self) -> None:
        """Reset the connection, whatever is left to be written."""
        self.closing = True
        self.outbound.abort()

    def stop(self, patience: float) -> None:
        """The server drains: end after the response in progress, or else within `patience` seconds."""
        if self.exchange is not None:
            self._persistence = CLOSE
        elif patience:
            self.deadline = min(self.deadline, self.service.deadlines.now + patience)
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
