"""Noticing that the client has left, on servers that do not say so when something is sent.

Since ASGI websocket 2.4, ``send()`` raises an OSError then. Before, it did nothing: a handler that sends and
never receives would go on for ever.
"""

from __future__ import annotations

import asyncio
from collections import deque

from ..asgi import Message, Receive, Send

#: Bytes that are read ahead of the handler, and with them at most one message more.
HELD_SIZE = 65536

#: What a message counts for beside its data: empty ones take room, too.
_MESSAGE_SIZE = 256

#: What daphne lets through from autobahn between a client's close frame and "websocket.disconnect".
_DAPHNE_DISCONNECTED = "Disconnected"


class DisconnectWatch:
    """``receive`` and ``send`` as a server of ASGI 2.4 has them, over those of an older one.

    As long as the handler receives between what it sends, nothing happens here. From the second message on
    that is sent without, a task reads ahead; what it reads is kept for the handler.
    """

    __slots__ = (
        "_arrived",
        "_held",
        "_held_size",
        "_left",
        "_reader",
        "_receive",
        "_receiving",
        "_room",
        "_send",
        "_sent",
    )

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._held: deque[Message] = deque()
        self._held_size = 0
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._left = False
        self._receiving = False
        # Messages since the last one that was received.
        self._sent = 0

    async def receive(self) -> Message:
        """Return the next message."""
        self._sent = 0
        if self._reader is None:
            self._receiving = True
            try:
                return await self._receive()
            finally:
                self._receiving = False
        while not self._held:
            if self._reader.done():
                # There is no more, unless the server's receive() has failed: then this raises it.
                self._reader.result()
                return {"type": "websocket.disconnect", "code": 1006}
            self._arrived.clear()
            await self._arrived.wait()
        message = self._held.popleft()
        self._held_size -= _size(message)
        self._room.set()
        return message

    async def send(self, message: Message) -> None:
        """Send a message. ConnectionResetError if the client is known to have left."""
        if message["type"] == "websocket.send":
            self._sent += 1
            if self._sent > 1 and self._reader is None and not self._receiving:
                self._reader = asyncio.create_task(self._read_ahead())
        if self._left:
            raise ConnectionResetError("the client has left")
        try:
            await self._send(message)
        except RuntimeError as error:
            if type(error).__name__ != _DAPHNE_DISCONNECTED:
                raise
            raise ConnectionResetError("the client is leaving") from error

    def stop(self) -> None:
        """End the task that reads ahead, if there is one."""
        if self._reader is not None:
            self._reader.cancel()

    async def _read_ahead(self) -> None:
        try:
            while not self._left:
                message = await self._receive()
                self._held.append(message)
                self._held_size += _size(message)
                self._left = message["type"] == "websocket.disconnect"
                self._arrived.set()
                while not self._left and self._held_size > HELD_SIZE:
                    self._room.clear()
                    await self._room.wait()
        finally:
            self._arrived.set()


def _size(message: Message) -> int:
    return _MESSAGE_SIZE + len(message.get("text") or message.get("bytes") or b"")
