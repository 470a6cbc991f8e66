"""The websocket as handlers see it: messages in both directions, and one end (ASGI www 2.5, RFC 6455).

Before acceptance only the handshake is there, as ``request``: what is raised then is answered as it is for
any other request. After it there are messages, until somebody closes: one exception, WebSocketDisconnect,
tells so, whoever it was and whichever method finds out.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, overload

from multidict import CIMultiDict

from ..asgi import HeaderPair, Message, Receive, Send
from ..errors import HeaderError, InvalidMessage, WebSocketDisconnect, WebSocketError
from ..headers import header_pair
from ..request import Request
from ..response import Headers
from ..typevars import State
from .closing import ABNORMAL, NO_CODE, check_code, code_and_reason, shortened
from .json_messages import decode, encode

Model = TypeVar("Model")


class WebSocket(Generic[State]):
    """One websocket; ``State`` is the type of what the application's lifespan yields.

    ``async with`` accepts and closes it. One task may receive while others send.
    """

    __slots__ = (
        "__weakref__",  # for those who keep a WeakSet of clients
        "_readable",
        "_receive",
        "_send",
        "_writable",
        "accepted",
        "close_code",
        "close_reason",
        "on_accept",
        "request",
        "subprotocol",
    )

    def __init__(self, request: Request[State], receive: Receive, send: Send) -> None:
        #: The handshake, with headers, query, cookies and all else that a request has.
        self.request = request
        #: Whether the handshake was answered with 101; it stays true after the end.
        self.accepted = False
        #: The subprotocol that was agreed on, or None.
        self.subprotocol: str | None = None
        #: How it was closed; None until then.
        self.close_code: int | None = None
        self.close_reason = ""
        #: Functions that are awaited just before acceptance; what they return are more headers of the 101.
        self.on_accept: list[Callable[[], Awaitable[Headers]]] = []
        self._receive = receive
        self._send = send
        self._readable = False
        self._writable = False

    def __repr__(self) -> str:
        return f"<WebSocket {self.request.path!r}>"

    @property
    def state(self) -> State:
        """The very object that the lifespan yielded, or that was assigned to ``app.state``."""
        return self.request.state

    @property
    def match_info(self) -> Mapping[str, Any]:
        """The path's parameters by name, converted."""
        return self.request.match_info

    @property
    def subprotocols(self) -> tuple[str, ...]:
        """What the client offers, in its order of preference."""
        return tuple(self.request.scope.get("subprotocols") or ())

    async def accept(self, *, subprotocols: Sequence[str] = (), headers: Headers | None = None) -> None:
        """Complete the handshake, with the first of ``subprotocols`` that the client offers, or with none.

        WebSocketError if it was answered already, HeaderError for headers that must not be sent, and
        WebSocketDisconnect if the client has left meanwhile.
        """
        if self.accepted or self.close_code is not None:
            raise WebSocketError(
                "the handshake was answered already: accept() comes once, and before close()"
            )
        if isinstance(subprotocols, str):
            raise WebSocketError(f"subprotocols is a list of names: [{subprotocols!r}]")
        offered = self.subprotocols
        chosen = next((name for name in subprotocols if name in offered), None)
        pairs = [] if headers is None else _handshake_headers(headers)
        for hook in self.on_accept:
            pairs += _handshake_headers(await hook())
        try:
            await self._send({"type": "websocket.accept", "subprotocol": chosen, "headers": pairs})
        except OSError as error:
            raise self._lost() from error
        self.subprotocol = chosen
        self.accepted = self._readable = self._writable = True

    async def __aenter__(self) -> Self:
        """Accept, unless that has happened."""
        if not self.accepted:
            await self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, unless that has happened: with 1000, or with the code that belongs to the exception."""
        close = code_and_reason(error)
        if self.accepted and close is not None:
            await self.close(*close)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, unless somebody has done so before. Before acceptance it refuses the handshake: 403.

        ``code`` is 1000 to 1014 without 1004 to 1006, or 3000 to 4999 (RFC 6455, 7.4), otherwise it is a
        WebSocketError. Of ``reason`` as much is sent as there is room for: 123 bytes in UTF-8.
        """
        check_code(code)
        if self.close_code is not None:
            return
        self._end(code, shortened(reason))
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": self.close_reason})
        except OSError:
            # The client was faster, and so it is closed.
            pass

    def __aiter__(self) -> Self:
        """Yield the messages as they come, text or bytes, until somebody closes."""
        return self

    # receive() is written out here: to call it costs 0.1 us for each message.
    async def __anext__(self) -> str | bytes:
        if self._readable:
            message = await self._receive()
            text: str | None = message.get("text")
            if text is not None:
                return text
            data: bytes | None = message.get("bytes")
            if data is not None:
                return data
            self._disconnected(message)
        elif self.close_code is None:
            raise self._not_open()
        raise StopAsyncIteration

    async def receive(self) -> str | bytes:
        """Wait for the next message. WebSocketDisconnect if there comes none any more."""
        if not self._readable:
            raise self._not_open()
        message = await self._receive()
        text: str | None = message.get("text")
        if text is not None:
            return text
        data: bytes | None = message.get("bytes")
        if data is not None:
            return data
        self._disconnected(message)
        raise self._not_open()

    async def receive_text(self) -> str:
        """Wait for the next message. InvalidMessage (1003) if it is binary."""
        message = await self.receive()
        if isinstance(message, str):
            return message
        raise InvalidMessage("text is expected here, not binary data", code=1003)

    async def receive_bytes(self) -> bytes:
        """Wait for the next message. InvalidMessage (1003) if it is text."""
        message = await self.receive()
        if isinstance(message, str):
            raise InvalidMessage("binary data is expected here, not text", code=1003)
        return message

    @overload
    async def receive_json(self) -> Any: ...
    @overload
    async def receive_json(self, model: type[Model]) -> Model: ...
    @overload
    async def receive_json(self, model: Any) -> Any: ...
    async def receive_json(self, model: Any = Any) -> Any:
        """Wait for the next message, which is JSON, and make a ``model`` of it: any type that msgspec knows.

        InvalidMessage (1007) if it is no JSON, or does not fit the model.
        """
        return decode(await self.receive(), model)

    async def iter_text(self) -> AsyncIterator[str]:
        """Yield text messages until somebody closes; otherwise as ``receive_text()``."""
        try:
            while True:
                yield await self.receive_text()
        except WebSocketDisconnect:
            return

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """Yield binary messages until somebody closes; otherwise as ``receive_bytes()``."""
        try:
            while True:
                yield await self.receive_bytes()
        except WebSocketDisconnect:
            return

    @overload
    def iter_json(self) -> AsyncIterator[Any]: ...
    @overload
    def iter_json(self, model: type[Model]) -> AsyncIterator[Model]: ...
    @overload
    def iter_json(self, model: Any) -> AsyncIterator[Any]: ...
    async def iter_json(self, model: Any = Any) -> AsyncIterator[Any]:
        """Yield messages as models until somebody closes; otherwise as ``receive_json()``."""
        try:
            while True:
                yield await self.receive_json(model)
        except WebSocketDisconnect:
            return

    async def send_text(self, text: str) -> None:
        """Send a text message. WebSocketDisconnect if nobody is there any more."""
        if not self._writable:
            raise self._not_open()
        try:
            await self._send({"type": "websocket.send", "text": text})
        except OSError as error:
            raise self._lost() from error

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message. WebSocketDisconnect if nobody is there any more."""
        if not self._writable:
            raise self._not_open()
        try:
            await self._send({"type": "websocket.send", "bytes": data})
        except OSError as error:
            raise self._lost() from error

    async def send_json(self, data: Any) -> None:
        """Send whatever msgspec encodes, as a text message. WebSocketDisconnect as above."""
        await self.send_text(encode(data))

    def _end(self, code: int, reason: str) -> None:
        self._readable = self._writable = False
        self.close_code = code
        self.close_reason = reason

    def _disconnected(self, message: Message) -> None:
        # Whoever closed from this side has decided how, whatever comes back for it.
        if self._readable:
            self._end(message.get("code") or NO_CODE, message.get("reason") or "")

    def _lost(self) -> Exception:
        """Take note that send() has failed; what has come before that, and the real code, can be received."""
        self._writable = False
        if self.close_code is None:
            self.close_code = ABNORMAL
        return WebSocketDisconnect(self.close_code, self.close_reason)

    def _not_open(self) -> Exception:
        if self.close_code is not None:
            return WebSocketDisconnect(self.close_code, self.close_reason)
        return WebSocketError(
            "not accepted yet: 'async with ws:' or 'await ws.accept()' comes before messages"
        )


def _handshake_headers(headers: Headers) -> list[HeaderPair]:
    pairs = [header_pair(name, value) for name, value in CIMultiDict(headers).items()]
    for name, _ in pairs:
        if name.startswith(b"sec-websocket-"):
            raise HeaderError(
                f"header {name.decode()!r}: the server writes it; 'subprotocols=[...]' names subprotocols"
            )
    return pairs
