"""The body of a request on its way to the application, which may ask for it in its own time.

Who is cancelled while waiting for a piece, by a timeout for example, loses nothing of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx

from ..asgi import Message


class SentBody:
    """What ``receive()`` gives: the pieces, and http.disconnect after ``gone``."""

    def __init__(self, request: httpx.Request, gone: asyncio.Future[None]) -> None:
        if not isinstance(request.stream, httpx.AsyncByteStream):
            raise TypeError("the body of a request is bytes, text or an async iterator here, no iterator")
        self._pieces = aiter(request.stream)
        self._gone = gone
        self._next: asyncio.Task[bytes | None] | None = None
        self._complete = False
        # A handler may read the body while the response waits for the disconnect.
        self._receiving = asyncio.Lock()

    async def receive(self) -> Message:
        """Return the next message, as an ASGI ``receive``. Raises what the iterator of the test raises."""
        async with self._receiving:
            if self._complete or self._gone.done():
                await asyncio.shield(self._gone)
                return {"type": "http.disconnect"}
            if self._next is None:
                self._next = asyncio.create_task(self._pull())
            await asyncio.wait([self._next, self._gone], return_when=asyncio.FIRST_COMPLETED)
            if not self._next.done():
                return {"type": "http.disconnect"}
            pulled, self._next = self._next, None
            piece = pulled.result()
            self._complete = piece is None
            return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

    async def _pull(self) -> bytes | None:
        async for piece in self._pieces:
            return piece
        return None

    async def close(self) -> None:
        """Let go of the iterator, wherever it is."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.wait([self._next])
            if not self._next.cancelled():
                self._next.exception()
        if isinstance(self._pieces, AsyncIterator) and hasattr(self._pieces, "aclose"):
            await self._pieces.aclose()
