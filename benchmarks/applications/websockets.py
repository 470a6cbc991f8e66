"""The application of the WebSocket benchmarks: the plainest echo, and the plainest broadcast."""

from __future__ import annotations

from typing import Final

from . import asgi
from .asgi import Receive, Scope, Send

#: Who gets what is broadcast.
_listeners: Final[set[Send]] = set()


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Dispatch on the path; what is no WebSocket is the other benchmarks' application's."""
    if scope["type"] == "websocket":
        await (broadcast if scope["path"] == "/broadcast" else echo)(receive, send)
    else:
        await asgi.app(scope, receive, send)


async def echo(receive: Receive, send: Send) -> None:
    """Answer each message with itself."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        if (text := message.get("text")) is not None:
            await send({"type": "websocket.send", "text": text})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})


async def broadcast(receive: Receive, send: Send) -> None:
    """Send each message of any client to all clients, one after the other."""
    await receive()
    await send({"type": "websocket.accept"})
    _listeners.add(send)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            for listener in tuple(_listeners):
                await listener({"type": "websocket.send", "text": message["text"]})
    finally:
        _listeners.discard(send)
