"""Sending a body piece by piece, until it ends or the client leaves.

Servers tell that the client has left in two ways: ``send()`` raises an OSError (ASGI HTTP 2.4), or it
silently does nothing and only ``receive()`` gives ``http.disconnect``. Both end a stream, also one that is
waiting for its next piece; and however it ends, its iterator is closed before this returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Protocol, TypeVar

from .asgi import Message, Receive, Send
from .errors import ClientDisconnected

Piece = TypeVar("Piece")


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


@asynccontextmanager
async def iterating(stream: AsyncIterable[Piece]) -> AsyncIterator[AsyncIterator[Piece]]:
    """``async with`` the iterator of a stream, which is closed here if the stream has made it for this.

    One that is its own iterator is closed by whoever it belongs to.
    """
    iterator = aiter(stream)
    try:
        yield iterator
    finally:
        if iterator is not stream:
            await close_stream(iterator)


async def end_task(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end. Who is cancelled meanwhile cancels it once more, and waits on."""
    cancelled: asyncio.CancelledError | None = None
    task.cancel()
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
            task.cancel()
    if cancelled is not None:
        raise cancelled


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
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a stream can only be sent from a task")
        self._cancelling = task.cancelling()
        self._watcher = asyncio.create_task(self._watch())
        if self._left:
            # An eager task has looked already. A cancellation might come only after the block.
            raise ClientDisconnected("the client left before the end of the response")
        self._task = task

    async def _watch(self) -> None:
        try:
            while (await self._receive())["type"] != "http.disconnect":
                pass
        except Exception:
            # A receive() that fails says nothing about the client; the next send() will.
            return
        self._left = True
        # No task: the block has not begun, or has ended while this was about to run.
        if self._task is not None:
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
