"""The connection that becomes a WebSocket, once the application has accepted it (RFC 6455 §4.2)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..deadlines import NEVER
from ..websocket.connection import WebSocketConnection
from .responder import Responder

if TYPE_CHECKING:
    from ..websocket.exchange import WebSocketExchange


class Upgradable(Responder):
    """A connection on which a client may ask for a WebSocket: the wire of its handshake."""

    __slots__ = ()

    def accept(
        self, exchange: WebSocketExchange, subprotocol: str | None, headers: Iterable[tuple[bytes, bytes]]
    ) -> WebSocketConnection:
        """Complete the handshake, and hand the connection over.

        Raises TypeError, ValueError or ClientDisconnected with nothing changed. The event loop may have begun
        to tell this object, and no other, that the connection is lost.
        """
        service = self.service
        if self._transport.is_closing():
            raise self._left()
        head, answer, deflate = exchange.handshake.accept(
            service.renderer, subprotocol, headers, compress=service.config.ws_per_message_deflate
        )
        if service.observers:
            self._tell(head, 0, "")
        inbound = self.inbound
        inbound.resume()
        websocket = WebSocketConnection(
            service, self._transport, self.endpoints, self.outbound, exchange, deflate
        )
        self.closing = True
        self.deadline = NEVER
        self.exchange = None
        del self.inbound  # it refers back to us: without the cycle, both are freed at once
        service.connections.discard(self)
        service.connections.add(websocket)
        self._transport.set_protocol(websocket)
        if self.write_paused:  # an answer before the handshake, of which only this object was told
            websocket.pause_writing()
        websocket.begin(answer, inbound.held)
        return websocket
