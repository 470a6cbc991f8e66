"""Waiting for something to happen on a connection, without asyncio's Event and Condition.

An Event costs a deque and a lock-like protocol on each request; here nothing exists until somebody waits.
"""

from __future__ import annotations

import asyncio


class Waiters:
    """Coroutines that wait for the same thing; each on a Future of its own, so one can be cancelled alone."""

    __slots__ = ("_futures",)

    def __init__(self) -> None:
        self._futures: list[asyncio.Future[None]] = []

    def __bool__(self) -> bool:
        return bool(self._futures)

    async def wait(self) -> None:
        """Wait until the next `wake`; the caller then looks again at what it waited for."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._futures.append(future)
        try:
            await future
        finally:
            if future in self._futures:
                self._futures.remove(future)

    def wake(self) -> None:
        """Let all of them look again."""
        futures, self._futures = self._futures, []
        for future in futures:
            if not future.done():
                future.set_result(None)
