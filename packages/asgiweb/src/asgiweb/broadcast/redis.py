"""A broadcast over Redis' pub/sub: the same as in one process, for all processes that use one Redis.

Each process has one connection for all its subscriptions (`listener`) and one for what it publishes
(`publisher`). What it publishes comes back to it through Redis as well, so that everybody sees one order.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

try:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("asgiweb.broadcast.redis needs redis: pip install 'asgiweb[redis]'") from error

from .codec import Codec
from .in_process import Broadcast, Overflow
from .listener import Listener
from .publisher import Publisher
from .subscription import Subscription

__all__ = ["Codec", "RedisBroadcast"]

T = TypeVar("T")
# What `from_url` finds out from its arguments: to pyright, T is unknown where the class is named without it.
Message = TypeVar("Message")

logger = logging.getLogger("asgiweb")


class RedisBroadcast(Broadcast[T]):
    """Delivers each message to everybody who is subscribed to its topic in any process that uses this Redis.

    ``connect`` makes a client of redis-py, which is closed again in the end; `from_url` is the short way.
    ``kind`` says what messages are on the wire: see `Codec.of`. ``prefix`` comes before the topics in the
    names of Redis' channels. ``timeout`` is how long Redis may take to answer, in seconds.
    """

    def __init__(
        self,
        connect: Callable[[], Redis],
        kind: type[T] | Codec[T],
        *,
        prefix: str = "",
        timeout: float = 5.0,
        limit: int = 64,
        overflow: Overflow = "disconnect",
    ) -> None:
        super().__init__(limit=limit, overflow=overflow)
        self.prefix = prefix
        self.timeout = timeout
        self._connect = connect
        self._codec = Codec.of(kind)
        self._stack = AsyncExitStack()

    @classmethod
    def from_url(
        cls,
        url: str,
        kind: type[Message] | Codec[Message],
        *,
        prefix: str = "",
        timeout: float = 5.0,
        limit: int = 64,
        overflow: Overflow = "disconnect",
        **options: Any,
    ) -> RedisBroadcast[Message]:
        """Use the Redis of a URL, ``redis://``, ``rediss://`` or ``unix://``; `options` are redis-py's."""
        # No retries: a PUBLISH whose answer was lost may have been delivered, and would be a second time.
        # Pub/sub needs nothing of RESP3, and version 2 is what every server and every proxy speaks.
        defaults: dict[str, Any] = {
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "socket_connect_timeout": timeout,
        }
        connect: Callable[[], Redis] = partial(Redis.from_url, url, **(defaults | options))
        make: type[RedisBroadcast[Any]] = cls
        return make(connect, kind, prefix=prefix, timeout=timeout, limit=limit, overflow=overflow)

    async def __aenter__(self) -> Self:
        """Connect; BroadcastUnavailable if Redis cannot be reached."""
        await super().__aenter__()
        async with AsyncExitStack() as stack:
            stack.push_async_exit(super().__aexit__)
            client = self._connect()
            stack.push_async_callback(client.aclose)
            self._publisher = Publisher(client, self.timeout)
            self._listener = Listener(client, self.timeout, self.prefix, self._receive, self._interrupt)
            first = await self._listener.connect()
            for work in (self._publisher.run(), self._listener.run(first)):
                stack.push_async_callback(_end, asyncio.create_task(work))
            # Until both have begun: who is cancelled before that cleans up nothing.
            await asyncio.sleep(0)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)  # first, so that nobody asks for more
        await self._stack.aclose()

    async def publish(self, topic: str, message: T) -> None:
        """Hand a message to Redis. BroadcastUnavailable: it did not take it, or its answer did not arrive."""
        self._require_this_loop()
        await self._publisher.publish((self.prefix + topic).encode(), self._codec.encode(message))

    @asynccontextmanager
    async def subscribe(self, *topics: str) -> AsyncIterator[Subscription[T]]:
        """``async with`` what yields the messages of these topics, once Redis has confirmed it.

        BroadcastUnavailable if it does not in time, or refuses.
        """
        "".join(topics).encode()  # UnicodeEncodeError is for who asks, not for the connection of all
        self._require_this_loop()
        async with self._listener.subscribed(topics), super().subscribe(*topics) as subscription:
            yield subscription

    async def _receive(self, topic: str, data: bytes) -> None:
        try:
            message = self._codec.decode(data)
        except Exception as error:
            logger.warning("somebody published what is no message to %r: %s", topic, error)
            return
        await self._deliver(topic, message)

    def _interrupt(self) -> None:
        for subscription in self._subscriptions():
            if not subscription.interrupt():
                self._remove(subscription)
                subscription.lose("the connection to Redis was lost, and messages with it perhaps")


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
