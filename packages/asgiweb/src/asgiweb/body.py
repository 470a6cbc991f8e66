"""Reading a request's body: within its limit, once, and never cut short without saying so."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from .asgi import Message, Receive
from .errors import BodyConsumed, ClientDisconnected
from .exceptions import HTTPBadRequest, HTTPContentTooLarge

#: Bytes of a body that are held for a later reader, and with them at most one message more.
HELD_SIZE = 65536


class BodyReader:
    """The one reader of one request's body. ``limit`` is in bytes, 0 for none.

    Raises HTTPContentTooLarge as soon as the limit is known to be passed (RFC 9110, 15.5.14), and
    ClientDisconnected when the client leaves before the end: what has come until then is never given out
    as if it were the whole.
    """

    __slots__ = (
        "_body",
        "_complete",
        "_declared",
        "_held",
        "_hold",
        "_limit",
        "_reading",
        "_receive",
        "_receiving",
        "_repeated",
        "_size",
        "_started",
    )

    def __init__(
        self, receive: Receive, limit: int, content_length: str | None, *, chunked: bool, hold: bool
    ) -> None:
        self._receive = receive
        self._reading = asyncio.Lock()
        self._receiving = asyncio.Lock()
        # What came before anybody asked for it, because the disconnect was waited for.
        self._held: deque[Message] = deque()
        self._hold = hold
        self._limit = limit
        self._declared = _parse_length(content_length)
        self._body: bytes | None = None
        self._started = False
        self._repeated = False
        self._size = 0
        # Nobody has to read a body that is not there: then the next message can only be the disconnect.
        self._complete = not self._declared and not chunked

    async def read(self) -> bytes:
        """Return the whole body, which is kept for whoever asks next, or asks meanwhile in another task."""
        async with self._reading:
            if self._body is None:
                # Most bodies come in one piece, which is then not copied.
                pieces = [piece async for piece in self.stream()]
                self._body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            return self._body

    async def stream(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes; nothing is kept. BodyConsumed for the second who tries."""
        if self._body is not None:
            yield self._body
            return
        self._check(max(self._declared, self._size))
        if self._started:
            raise BodyConsumed("the body was streamed already: read it with request.body() to have it twice")
        self._started = True
        more = True
        while more:
            async with self._receiving:
                message = self._held.popleft() if self._held else await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected("the client left before the end of the body")
            piece = message.get("body", b"")
            more = message.get("more_body", False)
            self._complete = not more
            if piece:
                self._size += len(piece)
                self._check(self._size)
                yield piece

    def _check(self, size: int) -> None:
        if self._limit and size > self._limit:
            raise HTTPContentTooLarge(f"the body is larger than {self._limit} bytes")

    async def receive_disconnect(self) -> Message:
        """Wait for what comes after the body, without taking a piece of it from whoever may still read it.

        With ``hold`` a body that nobody reads does not stand in the way, up to HELD_SIZE.
        """
        held_size = 0
        while self._hold and not self._complete and not self._started and held_size < HELD_SIZE:
            async with self._receiving:
                message = await self._receive()
                self._held.append(message)
            if message["type"] == "http.disconnect":
                return message
            held_size += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
        if not self._complete:
            await asyncio.get_running_loop().create_future()
        return await self._receive()

    async def receive(self) -> Message:
        """Receive as an ASGI application does, without limit; a body that was read as a whole comes again.

        BodyConsumed if it was streamed.
        """
        if self._body is not None and not self._repeated:
            self._repeated = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        if self._complete and not self._held:
            return await self._receive()
        if self._started:
            raise BodyConsumed("the body was streamed already, and nothing is left of it for what is mounted")
        async with self._receiving:
            message = self._held.popleft() if self._held else await self._receive()
        if message["type"] == "http.request":
            self._complete = not self._held and not message.get("more_body", False)
        return message


def _parse_length(content_length: str | None) -> int:
    if content_length is None:
        return 0
    if content_length.isascii() and content_length.isdecimal():
        return int(content_length)
    raise HTTPBadRequest("Content-Length is not a number")
