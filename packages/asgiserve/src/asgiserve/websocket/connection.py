"""A WebSocket on the wire: an asyncio Protocol that takes a connection over from HTTP/1.1."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from ..deadlines import NEVER, TICK
from ..errors import ClientDisconnected
from ..http1.stages import Stage
from .closing import (
    ABNORMAL,
    INTERNAL_ERROR,
    NORMAL,
    SERVICE_RESTART,
    ProtocolError,
    read_close,
    render_close,
)
from .deflate import MIN_SIZE, Deflate, Deflater, Inflater
from .frames import CLOSE, COMPRESSED, FIN, PING, PONG, FrameReader, frame_head
from .timed import CLOSE_WAIT, Timed

if TYPE_CHECKING:
    from ..exchange import Exchange
    from ..http1.outbound import Outbound
    from ..http1.scope import Endpoints
    from ..service import Service
    from .exchange import WebSocketExchange

logger: Final = logging.getLogger("asgiserve.error")

#: Seconds that a client has to close its side when nothing more is sent.
LINGER: Final = 2.0

#: Messages above this are not copied to join them with their frame's head.
_LARGE: Final = 65536


class WebSocketConnection(Timed, asyncio.Protocol):
    """The server's side of an accepted WebSocket: the wire of its exchange."""

    __slots__ = ("_deflater", "_pong_due", "_reader", "stage")

    def __init__(
        self,
        service: Service,
        transport: asyncio.Transport,
        endpoints: Endpoints,
        outbound: Outbound,
        exchange: WebSocketExchange,
        deflate: Deflate | None,
    ) -> None:
        super().__init__(service, transport, endpoints, outbound, exchange)
        config = service.config
        self._reader = FrameReader(
            exchange.deliver,
            self._on_control,
            max_size=config.ws_max_size,
            max_fragments=config.ws_max_fragments,
            inflater=Inflater(deflate) if deflate is not None else None,
        )
        self._deflater = Deflater(deflate) if deflate is not None else None
        self.stage = Stage.WEBSOCKET
        self._pong_due: bytes | None = None  # the payload of the last ping that could not be answered yet

    def begin(self, answer: bytes, rest: bytes) -> None:
        """Write the answer to the handshake; `rest` came behind that."""
        self._outbound.gather(answer)
        if rest:
            self.data_received(rest)
        if self._service.draining:
            self.stop(self._service.patience)

    @property
    def unused(self) -> bool:
        """Whether the client has sent nothing yet."""
        return False

    # What the event loop calls

    def data_received(self, data: bytes) -> None:
        """Read what the client has sent."""
        if data:  # `_read_on` has none, and what it reads is no sign of life
            self._heard = True
        if not self._ended:
            more = False
            try:
                more = self._reader.feed(data)
            except ProtocolError as error:
                self._ended = True
                if self.exchange.waiting:
                    # The application is woken in this turn of the event loop: it may answer what came before.
                    self._service.loop.call_soon(self._fail, error)
                else:
                    self._fail(error)
            if (more or self.exchange.full) and not self._paused and not self._ended:
                self._paused = True
                self._transport.pause_reading()
            if more:
                self.read_on()

    def eof_received(self) -> bool:
        """The client has closed its side: so does the server, as there is no half of a WebSocket."""
        if not (self._closing or self.write_paused):
            self._outbound.watch()
        self._ended = self._closing = True
        self.deadline = min(self.deadline, self._service.deadlines.now + LINGER)
        self.exchange.disconnect(ABNORMAL, "")
        return False

    def pause_writing(self) -> None:
        """The client reads more slowly than the application sends."""
        self.write_paused = True
        self._outbound.watch()
        if not self._ended:
            self.deadline = self._service.deadlines.now + TICK

    def resume_writing(self) -> None:
        """The client has caught up."""
        self.write_paused = False
        self._outbound.caught_up()
        self._outbound.wake()
        if not self._ended:
            self._wait(CLOSE_WAIT if self._closing else self._service.ping_wait)
        if self._pong_due is not None:
            payload, self._pong_due = self._pong_due, None
            self._on_control(PING, payload)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the application, and strike the connection off the books."""
        self._ended = self._closing = True
        self.deadline = NEVER
        self.exchange.disconnect(ABNORMAL, "")
        self.write_paused = False
        self._outbound.wake()
        del self._reader, self.exchange  # they refer back to us: without the cycle, all are freed at once
        self._service.connection_ended(self)

    # What the reader calls

    def _on_control(self, opcode: int, payload: bytes) -> bool:
        if opcode == PING:
            if self.write_paused:
                self._pong_due = payload  # only the last one has to be answered (RFC 6455 §5.5.3)
            elif not self._closing:
                self._gather(FIN | PONG, payload)
        elif opcode == CLOSE:
            code, reason = read_close(payload)
            if not self._closing:
                self._say_close(payload[:2])
            self.exchange.disconnect(code, reason)
            self._end()
            return False
        elif self._pinged and not self._closing:
            self._pinged = False
            if not self.write_paused:
                self._wait(self._service.ping_wait)
        return True

    # What the exchange calls

    def send_message(self, first: int, payload: bytes) -> None:
        """Write a message, of which `first` is the first byte of its frame.

        Raises ClientDisconnected, also before the event loop tells that the connection is lost: it does so
        in a later turn, and until then complains about each write.
        """
        if self._transport.is_closing():
            self.exchange.disconnect(ABNORMAL, "")
            raise ClientDisconnected("the client has left")
        size = len(payload)
        if size >= MIN_SIZE and self._deflater is not None:
            payload = self._deflater.deflate(payload)
            size = len(payload)
            first |= COMPRESSED
        if self.exchange.waiting or size > _LARGE:
            self._gather(first, payload)
        else:
            self._outbound.write(frame_head(first, size) + payload)

    def close_with(self, code: int, reason: str) -> None:
        """Begin to close, from the server's side; raises TypeError or ValueError with nothing written."""
        if not self._closing:
            self._say_close(render_close(code, reason))
            self.exchange.disconnect(code, reason, at_once=True)
            self._reader.skipping = True
            self.read_on()  # the client's answer may wait behind messages that nobody will take

    def read_on(self) -> None:
        """Read on in the next turn of the event loop: who only receives, or only sends, lets others live."""
        service = self._service
        service.loop.call_soon(self._read_on, context=service.context)

    def _read_on(self) -> None:
        if not self._ended:
            self._resume()
            self.data_received(b"")

    def _resume(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    async def drain(self) -> None:
        """Wait until the client has read enough, or has left."""
        while self.write_paused:
            await self._outbound.drain()

    def bound_queue(self) -> None:
        """Much was written: let little wait for a client that does not take it."""
        self._outbound.bound_queue()

    def ended(self, exchange: Exchange, failed: bool) -> None:
        """The application has returned, or raised: close in its place."""
        service = self._service
        service.exchange_ended(exchange)
        if failed:
            self.close_with(SERVICE_RESTART if service.draining else INTERNAL_ERROR, "")
        else:
            self.close_with(NORMAL, "")

    # The end

    def _gather(self, first: int, payload: bytes) -> None:
        """Write a frame together with what else is sent in this turn of the event loop."""
        outbound = self._outbound
        head = frame_head(first, len(payload))
        if len(payload) > _LARGE:
            outbound.gather(head)
            outbound.gather(payload)
        else:
            outbound.gather(head + payload)

    def _say_close(self, payload: bytes) -> None:
        """Send a Close frame, and wait for the client's."""
        self._closing = True
        self._stop_at = NEVER
        self._gather(FIN | CLOSE, payload)
        self._outbound.flush()
        if not self.write_paused:
            self._outbound.watch()
        self.deadline = self._service.deadlines.now + CLOSE_WAIT

    def _fail(self, error: ProtocolError) -> None:
        """Fail the connection (RFC 6455 §7.1.7): say why, and read no more."""
        if self not in self._service.connections:
            return  # it was lost since
        logger.info("%s: %s: closed with %d: %s", self.endpoints, self.exchange, error.code, error)
        if not self._closing:
            self._say_close(render_close(error.code, error.reason))
        self.exchange.disconnect(error.code, error.reason)
        self._end()

    def _end(self) -> None:
        """Both sides have said goodbye, or need not: the server closes first (RFC 6455 §7.1.1)."""
        self._ended = True
        self._resume()
        self._outbound.flush()
        if self._transport.is_closing():
            return
        if self._transport.can_write_eof():
            self.deadline = self._service.deadlines.now + LINGER
            self._outbound.end()
        else:
            self._transport.close()
            self.deadline = self._service.deadlines.now + CLOSE_WAIT

    def abort(self) -> None:
        """Reset the connection, whatever is left to be written."""
        self._ended = True
        self._outbound.abort()
