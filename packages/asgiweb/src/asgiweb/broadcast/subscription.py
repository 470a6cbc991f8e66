"""One subscriber: the messages that wait for it, never more than its limit, and how its iteration ends."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from .errors import BroadcastError, MessagesLost

T = TypeVar("T")


class Subscription(Generic[T]):
    """The messages of one subscriber as an async iterator, in the order of their publication.

    A message leaves the queue in the step that returns it: whoever is cancelled while waiting loses none.
    """

    __slots__ = (
        "_dropped",
        "_drops",
        "_ended",
        "_interruptions",
        "_limit",
        "_lost",
        "_queue",
        "_waiter",
        "topics",
    )

    def __init__(self, topics: tuple[str, ...], limit: int, *, drops: bool) -> None:
        self.topics = topics
        self._queue: deque[T] = deque(maxlen=limit)  # which drops the oldest by itself
        self._limit = limit
        self._drops = drops
        self._dropped = 0
        self._interruptions = 0
        self._lost: str | None = None
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    @property
    def dropped(self) -> int:
        """How many messages it missed because it was too slow; the oldest of those that waited each time."""
        return self._dropped

    @property
    def interruptions(self) -> int:
        """How often the connection to Redis was lost meanwhile, and with it an unknown number of messages."""
        return self._interruptions

    def __aiter__(self) -> Subscription[T]:
        return self

    async def __anext__(self) -> T:
        while not self._queue:
            if self._lost is not None:
                raise MessagesLost(self._lost)
            if self._ended:
                raise StopAsyncIteration
            await self._wait()
        return self._queue.popleft()

    async def _wait(self) -> None:
        if self._waiter is not None:
            raise BroadcastError("a subscription has one reader: let each task subscribe for itself")
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def put(self, message: T) -> bool:
        """Queue a message, which never waits. False if that was too much, and the subscriber is to go."""
        queue = self._queue
        if len(queue) == self._limit:
            if not self._drops:
                return False
            self._dropped += 1
        queue.append(message)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
        return True

    def interrupt(self) -> bool:
        """Note that messages may be missing from here on. False if that is too much, and it is to go."""
        self._interruptions += 1
        return self._drops

    def lose(self, reason: str) -> None:
        """Let the iteration raise MessagesLost now, and free what waits."""
        self._lost = reason
        self._queue.clear()
        self._wake()

    def end(self) -> None:
        """Let the iteration end, after what waits already."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
