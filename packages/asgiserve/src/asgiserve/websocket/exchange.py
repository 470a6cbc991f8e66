"""The application's side of a WebSocket: its events, in their order (ASGI WebSocket 2.5).

Until the application accepts, it is the exchange of an HTTP request: a denial is a response like any other.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, Final, Protocol, cast

from ..errors import ClientDisconnected
from ..exchange import FAIR_SHARE, Carrier, Exchange, Wire, as_bytes
from ..types import Message, Scope
from .closing import ABNORMAL, NORMAL
from .frames import BINARY, FIN, TEXT
from .handshake import Handshake

logger: Final = logging.getLogger("asgiserve.error")

#: Bytes of messages that wait for the application before the socket is paused.
HIGH_WATER: Final = 65536

#: What a message counts for in an application's fair share, beside its bytes.
_MESSAGE: Final = 512

_TEXT: Final = FIN | TEXT
_BINARY: Final = FIN | BINARY

_DENIAL: Final = ("websocket.http.response.start", "websocket.http.response.body")


class OpenWire(Carrier, Protocol):
    """What carries an accepted WebSocket."""

    def send_message(self, first: int, payload: bytes) -> None:
        """Write a message, of which `first` is the first byte of its frame; raises ClientDisconnected."""
        ...

    def close_with(self, code: int, reason: str) -> None:
        """Begin to close; raises TypeError or ValueError with nothing written."""
        ...

    def read_on(self) -> None:
        """Read on: the application has taken all messages that were there."""
        ...


class OpeningWire(Wire, Protocol):
    """What carries the handshake."""

    def accept(
        self, exchange: Any, subprotocol: str | None, headers: Iterable[tuple[bytes, bytes]]
    ) -> OpenWire:
        """Complete the handshake; raises TypeError or ValueError with nothing written."""
        ...


class WebSocketExchange(Exchange):
    """One WebSocket: `receive` and `send` of one call of the application."""

    __slots__ = (
        "_connected",
        "_disconnect",
        "_max_queue",
        "_messages",
        "_open",
        "_reader",
        "_waiting",
        "full",
        "handshake",
    )

    def __init__(self, wire: OpeningWire, scope: Scope, handshake: Handshake, max_queue: int) -> None:
        super().__init__(wire, scope, b"", True)
        self.handshake = handshake
        self._open: OpenWire | None = None  # once the application has accepted
        self._connected = False  # `receive` has delivered the first event
        self._messages: list[str | bytes] = []  # that wait for `receive`; a deque would need 0.6 KB
        self._max_queue = max_queue
        # Nearly always one coroutine receives, and waits on this: Waiters, for others, cost 0.5 µs more.
        self._reader: asyncio.Future[None] | None = None
        self._waiting = 0  # characters and bytes of them, and of those taken since there were none
        self.full = False  # no more is read until they are taken
        self._disconnect: Message | None = None  # the last event

    # What the application calls

    async def receive(self) -> Message:
        """Deliver ``websocket.connect``, then messages, then ``websocket.disconnect``, again and again."""
        while True:
            messages = self._messages
            if messages:
                message = messages.pop(0)
                if not messages:
                    self._waiting = 0
                    if self.full and self._open is not None:
                        self.full = False
                        self._open.read_on()
                if type(message) is str:
                    return {"type": "websocket.receive", "text": message}
                return {"type": "websocket.receive", "bytes": message}
            if not self._connected:
                self._connected = True
                return {"type": "websocket.connect"}
            if self._disconnect is not None:
                return dict(self._disconnect)
            if self.gone or self.complete:  # before it was accepted
                return {"type": "websocket.disconnect", "code": ABNORMAL, "reason": ""}
            if self._reader is None:
                self._reader = asyncio.get_running_loop().create_future()
                try:
                    await self._reader
                finally:
                    self._reader = None
            else:
                await self._wait()

    async def send(self, message: Message) -> None:
        """Take one event.

        Raises TypeError, ValueError or RuntimeError for an event that is wrong or out of order, with
        nothing changed; ClientDisconnected when the WebSocket is closed, from either side.
        """
        wire = self._open
        if wire is None:
            await self._answer(message)
            return
        kind = message["type"]
        if kind == "websocket.send":
            if self.gone:
                raise ClientDisconnected("the websocket is closed")
            text = message.get("text")
            payload = message.get("bytes")
            if text is None:
                if type(payload) is not bytes:
                    payload = as_bytes(payload)
                wire.send_message(_BINARY, payload)
            else:
                if payload is not None:
                    raise ValueError("websocket.send has both text and bytes")
                payload = str.encode(text)
                wire.send_message(_TEXT, payload)
            self._unyielded += len(payload) + _MESSAGE
            if wire.write_paused or self._unyielded > FAIR_SHARE:
                await self._give_way()
        elif kind == "websocket.close":
            if not self.gone:
                code = message.get("code")
                wire.close_with(NORMAL if code is None else code, message.get("reason") or "")
        elif kind == "websocket.accept" or kind in _DENIAL:
            raise RuntimeError(f"{kind} was sent after websocket.accept")
        else:
            raise _unknown(kind)

    async def _answer(self, message: Message) -> None:
        """Take an event of the handshake."""
        kind = message["type"]
        if kind in _DENIAL:
            denial = {**message, "type": kind.removeprefix("websocket."), "trailers": False}
            await super().send(denial)
        elif kind == "websocket.close":
            if self.head is not None and not (self.complete or self.gone):
                raise RuntimeError("websocket.close was sent within a denial, which ends with its body")
            if self.head is None and not self.gone:
                headers = [(b"content-type", b"text/plain; charset=utf-8")]
                await super().send({"type": "http.response.start", "status": 403, "headers": headers})
                await super().send({"type": "http.response.body", "body": b"Forbidden\n"})
        elif kind == "websocket.accept":
            if self.head is not None or self.complete:
                raise RuntimeError("websocket.accept was sent after the handshake was denied")
            if self.gone:
                raise ClientDisconnected("the client has left")
            self._open = cast(OpeningWire, self._wire).accept(
                self, message.get("subprotocol"), message.get("headers") or ()
            )
            self._wire = cast(Wire, self._open)  # all that is called from now on is `Carrier`
        elif kind == "websocket.send":
            raise RuntimeError("websocket.send was sent before websocket.accept")
        else:
            raise _unknown(kind)

    # What the wire calls

    def deliver(self, message: str | bytes) -> bool:
        """Take a message, unless it is closed; return whether there is room for more."""
        if self.gone:
            return True
        messages = self._messages
        messages.append(message)
        self._waiting += len(message)
        if self._reader is not None or self._readers is not None:
            self._wake()
        if self._waiting < HIGH_WATER and len(messages) < self._max_queue:
            return True
        self.full = True
        return False

    @property
    def waiting(self) -> bool:
        """Whether messages wait for the application."""
        return bool(self._messages)

    def _wake(self) -> None:
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(None)
        super()._wake()

    def disconnect(self, code: int, reason: str, *, at_once: bool = False) -> None:
        """It is closed: `receive` says so behind the messages that came before, or `at_once`."""
        if self._disconnect is None:
            self._disconnect = {"type": "websocket.disconnect", "code": code, "reason": reason}
            self.gone = True
            if at_once:
                self._messages.clear()
                self.full = False
            self._wake()

    def half_close(self, waits: bool) -> None:
        """A client that will send no more has no use for a WebSocket."""
        self.leave()

    def leave(self) -> None:
        """The client has left during the handshake; later the wire says how it ended."""
        if self._open is None:
            super().leave()

    def _left_open(self) -> bool:
        unanswered = self._open is None and not self.complete and not self.gone
        if unanswered:
            logger.error("%s: the application returned without an answer to the handshake", self)
        return unanswered

    def __str__(self) -> str:
        return f"WebSocket {self.scope.get('path')!r}"


def _unknown(kind: object) -> ValueError:
    return ValueError(f"{kind!r} is not an event of a WebSocket")
