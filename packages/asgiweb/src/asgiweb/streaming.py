"""Sending a body piece by piece, until it ends or the client leaves.

Servers tell that the client has left in two ways: ``send()`` raises an OSError (ASGI HTTP 2.4), or it
silently does nothing and only ``receive()`` gives ``http.disconnect``. Both end a stream, also one that is
waiting for its next piece; and however it ends, its iterator is closed before this returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Iterable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Protocol

from .asgi import Message, Receive, Send
from .errors import ClientDisconnected


class Closable(Protocol):
    """What is closed when the request has been answered."""

    async def aclose(self) -> object:
        """Close it."""


async def send_stream(
    stream: AsyncIterable[bytes | str], start: Message, *, bodiless: bool, receive: Receive, send: Send
) -> None:
    """Send the rendered head and then each piece. ClientDisconnected if nobody reads it to the end."""
    pieces = aiter(stream)
    try:
        async with UntilDisconnect(receive):
            await _send(send, start)
            if not bodiless:
                async for piece in pieces:
                    data = piece.encode() if isinstance(piece, str) else piece
                    await _send(send, {"type": "http.response.body", "body": data, "more_body": True})
        # Out of the block: once the response is complete, servers report a disconnect that is none.
        await _send(send, {"type": "http.response.body", "body": b"", "more_body": False})
    finally:
        await close_stream(pieces)


async def _send(send: Send, message: Message) -> None:
    # Only what send() raises means that the client has left: an OSError of the stream is a fault of its own.
    try:
        await send(message)
    except OSError as error:
        raise ClientDisconnected("the client left before the end of the response") from error


async def close_stream(stream: AsyncIterable[object] | Closable) -> None:
    """Close a stream, if it can be; one that makes its iterators when it is asked to has nothing to close."""
    aclose = getattr(stream, "aclose", None)
    if aclose is not None:
        await aclose()


async def close_unsent(
    streams: Iterable[AsyncIterable[bytes | str] | Closable], sent: AsyncIterable[bytes | str] | None
) -> None:
    """Close all streams but the one that was sent, the last first, and all of them even if one fails."""
    unsent = {id(stream): stream for stream in streams if stream is not sent}
    async with AsyncExitStack() as stack:
        for stream in unsent.values():
            stack.push_async_callback(close_stream, stream)


class UntilDisconnect:
    """``async with`` a block that is cancelled when the client leaves, and then raises ClientDisconnected.

    The block runs in the task of its caller, so context variables and cancellation stay what they seem.
    Built like ``asyncio.timeout``, with the disconnect for the deadline.
    """

    __slots__ = ("_cancelling", "_left", "_receive", "_task", "_watcher")

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._left = False
        self._cancelling = 0
        self._task: asyncio.Task[object] | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        if self._task is None:
            raise RuntimeError("a stream can only be sent from a task")
        self._cancelling = self._task.cancelling()
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        try:
            while (await self._receive())["type"] != "http.disconnect":
                pass
        except Exception:
            # A receive() that fails says nothing about the client; the next send() will.
            return
        # No task any more: the block has ended while this was about to run.
        if self._task is not None:
            self._left = True
            self._task.cancel()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if self._watcher is not None:
            self._watcher.cancel()
        if self._left and task is not None:
            cancelled_by_others = task.uncancel() > self._cancelling
            if kind is asyncio.CancelledError and not cancelled_by_others:
                raise ClientDisconnected("the client left before the end of the response") from error
