"""Files that an application names to be sent, read for those who change what is sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from io import FileIO
from typing import Any

from ..asgi import Message

_PIECE_SIZE = 65536


async def file_pieces(message: Message) -> AsyncIterator[bytes]:
    """Yield what a message of the extensions ``pathsend`` and ``zerocopysend`` stands for; else nothing."""
    if message["type"] == "http.response.pathsend":
        file = await asyncio.to_thread(open, message["path"], "rb")
        try:
            async for piece in _read(file, None):
                yield piece
        finally:
            file.close()
    elif message["type"] == "http.response.zerocopysend":
        # The application closes it (ASGI extensions, "Zero Copy Send"). Some are a descriptor alone.
        source: Any = message["file"]
        if not hasattr(source, "seek"):
            source = FileIO(source.fileno(), closefd=False)
        if message.get("offset") is not None:
            await asyncio.to_thread(source.seek, message["offset"])
        async for piece in _read(source, message.get("count")):
            yield piece


async def _read(file: Any, count: int | None) -> AsyncIterator[bytes]:
    while count is None or count > 0:
        piece = await asyncio.to_thread(file.read, _PIECE_SIZE if count is None else min(_PIECE_SIZE, count))
        if not piece:
            return
        if count is not None:
            count -= len(piece)
        yield piece
