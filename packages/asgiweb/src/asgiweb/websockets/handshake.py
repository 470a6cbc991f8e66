"""The handshake of a websocket: a GET request, which goes through middlewares and error handlers like others.

A response that comes out of these before the handler has accepted is the answer, by the extension
"websocket.http.response". Servers without it answer 403 whatever it is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from ..asgi import Message, Receive, Scope, Send
from ..errors import ClientDisconnected, WebSocketError
from ..request import Request
from ..response import Response
from ..streaming import close_stream
from ..typevars import State
from .closing import meaning
from .watch import DisconnectWatch
from .websocket import WebSocket

if TYPE_CHECKING:
    from ..application import Application
    from ..handlers import Handler
    from ..routing import Route


class Handshake(Request[State]):
    """The request that opens a websocket."""

    __slots__ = ("_watch", "_websocket", "receive_message", "send_message")

    def __init__(
        self,
        app: Application[State],
        scope: Scope,
        receive: Receive,
        send: Send,
        route: Route | None,
        match_info: Mapping[str, Any],
    ) -> None:
        super().__init__(app, scope, _no_body, route, match_info)
        self._watch: DisconnectWatch | None = None
        if scope.get("asgi", {}).get("spec_version", "2.0") < "2.4":
            self._watch = DisconnectWatch(receive, send)
            receive, send = self._watch.receive, self._watch.send
        #: The ASGI callables, for what is mounted.
        self.receive_message = receive
        self.send_message = send
        self._websocket = WebSocket(self, receive, send)

    @property
    def websocket(self) -> WebSocket[State]:
        """The websocket that is opened."""
        return self._websocket

    @property
    def method(self) -> str:
        """GET (RFC 6455, 4.1), also where HTTP/2 has another (RFC 8441)."""
        return "GET"

    async def receive_disconnect(self) -> Message:
        """WebSocketError: it would take messages from the handler, which is told of the end itself."""
        raise WebSocketError("the client of a websocket leaves where its messages are received")

    async def is_disconnected(self) -> bool:
        """WebSocketError, for the same reason."""
        raise WebSocketError("the client of a websocket leaves where its messages are received")

    async def deny(self, response: Response, start: Message) -> None:
        """Answer with a response. ClientDisconnected if nobody is there to get it."""
        if "websocket.http.response" in (self.scope.get("extensions") or ()):
            send: Send = self._send_denial
            for wrapper in self.send_wrappers:
                send = wrapper(send)
            await response.transmit(start, "GET", self._receive_for_denial, send)
            return
        try:
            await self.websocket.close()
        finally:
            if response.stream is not None:
                await close_stream(response.stream)

    def finish(self) -> None:
        """End what may still run for this websocket."""
        if self._watch is not None:
            self._watch.stop()

    async def _receive_for_denial(self) -> Message:
        while (await self.receive_message())["type"] != "websocket.disconnect":
            pass
        return {"type": "http.disconnect"}

    async def _send_denial(self, message: Message) -> None:
        await self.send_message({**message, "type": f"websocket.{message['type']}"})


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def conversation(handler: Callable[[WebSocket[Any]], Awaitable[None]]) -> Handler:
    """Make of a websocket's handler one that a chain of middlewares can be put around.

    What it returns when the conversation is over is for these: status 101, or 403 if it was refused.
    """

    async def converse(request: Request[Any]) -> Response:
        ws = request.websocket
        if ws is None:
            # A client has asked by HTTP with the method that stands for websockets in the router.
            from ..unrouted import unrouted

            return await unrouted(request)
        try:
            async with AsyncExitStack() as stack:
                # Also for handlers that accept by hand.
                stack.push_async_exit(ws)
                await handler(ws)
        except Exception as error:
            if not (ws.accepted and isinstance(meaning(error), ClientDisconnected)):
                raise
        if ws.accepted:
            return Response(None, 101)
        if ws.close_code is None:
            raise WebSocketError(
                f"{ws!r}: the handler returned without an answer: 'async with ws:' or 'await ws.accept()' "
                f"accepts, and an HTTPException refuses"
            )
        return Response(None, 403)

    return converse
