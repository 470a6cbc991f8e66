"""A mounted application's side of a websocket.

Its messages go through as they are. Until it has accepted it may refuse: with a response, which becomes one
that middlewares see (the extension "websocket.http.response"), or by closing, which servers answer 403.
"""

from __future__ import annotations

from typing import Any

from ..asgi import ASGIApplication, Message, Scope
from ..response import Response
from ..websockets import Handshake
from ..websockets.closing import NO_CODE
from .answering import Answering


class Conversing(Answering):
    """One websocket at a mounted application."""

    def __init__(self, request: Handshake[Any], app: ASGIApplication, scope: Scope) -> None:
        self._request = request
        self._connected = False
        super().__init__(app, scope, self._receive_message)

    async def response(self) -> Response:
        """Wait for the end of the conversation, or for the response that refuses it."""
        ws = self._request.websocket
        if await self._has_head():
            return await super().response()
        self.check()
        # What a server does when an application ends (ASGI www, "WebSocket Connection Scope").
        await ws.close()
        return Response(None, 101 if ws.accepted else 403)

    async def _receive_message(self) -> Message:
        if not self._connected:
            # The server has said so already, before anything was decided.
            self._connected = True
            return {"type": "websocket.connect"}
        message = await self._request.receive_message()
        if message["type"] == "websocket.disconnect":
            self._closed(message.get("code") or NO_CODE, message)
        return message

    def _closed(self, code: int, message: Message) -> None:
        ws = self._request.websocket
        if ws.close_code is None:
            ws.close_code = code
            ws.close_reason = message.get("reason") or ""

    async def send(self, message: Message) -> None:
        """Take a message from the application, as an ASGI ``send``."""
        kind: str = message["type"]
        if kind.startswith("websocket.http.response."):
            await super().send({**message, "type": kind.removeprefix("websocket.")})
            return
        try:
            await self._request.send_message(message)
        except OSError as error:
            self._told = error
            raise
        if kind == "websocket.accept":
            self._answered = True
            self._request.websocket.accepted = True
            self._request.websocket.subprotocol = message.get("subprotocol")
        elif kind == "websocket.close":
            self._answered = True
            self._closed(message.get("code", 1000), message)
