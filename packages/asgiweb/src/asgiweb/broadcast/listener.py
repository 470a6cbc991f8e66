"""The connection to Redis that all subscriptions of a process share, and how it comes back when it is lost.

Two tasks use it at once, one that reads and one that writes. Redis answers in the order of the commands, so
that each confirmation is that of the oldest command that still waits for one.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from .errors import BroadcastUnavailable

#: Seconds before the first new attempt to connect, and before those after many; at random down to half of it.
FIRST_DELAY, LONGEST_DELAY = 0.05, 2.0

#: Redis' answer to a SUBSCRIBE or UNSUBSCRIBE: None, or why it refuses.
Answer: TypeAlias = "asyncio.Future[ResponseError | None]"

logger = logging.getLogger("asgiweb")


class Listener:
    """Keeps Redis' view of what this process is subscribed to up to date, and delivers what comes.

    The connection is made of redis-py's parts rather than its PubSub, which would connect again by itself,
    from the reader and the writer at once, and does not say when a subscription is confirmed.
    """

    def __init__(
        self,
        client: Redis,
        timeout: float,
        prefix: str,
        deliver: Callable[[str, bytes], Awaitable[None]],
        interrupted: Callable[[], None],
    ) -> None:
        self._client = client
        self._timeout = timeout
        self._prefix = prefix
        self._deliver = deliver
        self._interrupted = interrupted
        self._wanted: dict[str, int] = {}  # how many want each topic
        self._subscribed: dict[str, Answer] = {}  # whether Redis has confirmed it
        self._sent: set[str] = set()  # what this connection has been asked for
        self._answers: deque[Answer] = deque()
        self._changes: dict[str, None] = {}  # topics that somebody wants, or nobody does any more
        self._changed = asyncio.Event()
        self._delay = FIRST_DELAY

    @asynccontextmanager
    async def subscribed(self, topics: tuple[str, ...]) -> AsyncIterator[None]:
        """``async with``: Redis has confirmed the subscription to all of them. BroadcastUnavailable."""
        for topic in topics:
            self._wanted[topic] = self._wanted.get(topic, 0) + 1
        self._look_at(topics)
        try:
            await self._confirm(topics)
            yield
        finally:
            for topic in topics:
                self._wanted[topic] -= 1
                if not self._wanted[topic]:
                    del self._wanted[topic]
            self._look_at(topics)

    def _look_at(self, topics: Iterable[str]) -> None:
        self._changes.update(dict.fromkeys(topics))
        self._changed.set()

    async def _confirm(self, topics: tuple[str, ...]) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                # Again and again: all of them have to be confirmed on one connection.
                while waiting := [answer for answer in map(self._subscription, topics) if not answer.done()]:
                    await asyncio.wait(waiting)
        except TimeoutError as error:
            raise BroadcastUnavailable(f"Redis does not confirm the subscription to {topics}") from error
        for topic in topics:
            refusal = self._subscription(topic).result()
            if refusal is not None:
                raise BroadcastUnavailable(f"Redis refuses the topic {topic!r}: {refusal}") from refusal

    def _subscription(self, topic: str) -> Answer:
        answer = self._subscribed.get(topic)
        if answer is None:
            answer = self._subscribed[topic] = asyncio.get_running_loop().create_future()
        return answer

    async def connect(self) -> Any:
        """Make a connection; BroadcastUnavailable."""
        pool: Any = self._client.connection_pool  # redis-py gives no types to its connections
        connection = pool.make_connection()
        connection.socket_timeout = None  # a subscriber waits for as long as nobody publishes
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, RedisError | OSError):
                raise BroadcastUnavailable(f"Redis cannot be reached: {error}") from error
            raise
        return connection

    async def run(self, connection: Any) -> None:
        """Listen on this connection, and then on new ones, until this is cancelled."""
        try:
            while True:
                await self._listen(connection)
                self._start_again()
                self._interrupted()
                connection = await self._reconnect()
                logger.info("connected to Redis again")
        finally:
            for answer in self._subscribed.values():
                if not answer.done():
                    answer.set_result(None)  # who waits for it goes on, to an iteration that has ended

    async def _listen(self, connection: Any) -> None:
        """Return when the connection is lost."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._read(connection))
                tasks.create_task(self._write(connection))
        except* (RedisError, OSError) as errors:
            logger.warning("the connection to Redis was lost: %s", errors.exceptions[0])
        except* Exception as errors:
            logger.error("listening to Redis failed", exc_info=errors)
        finally:
            await connection.disconnect(nowait=True)

    async def _reconnect(self) -> Any:
        said = ""
        while True:
            await asyncio.sleep(self._delay * random.uniform(0.5, 1))
            self._delay = min(2 * self._delay, LONGEST_DELAY)
            try:
                return await self.connect()
            except Exception as error:
                if said != (said := str(error)):  # once for each reason, in an outage of hours
                    logger.warning("%s", said)
                self._start_again()  # without what nobody waits for any more

    def _start_again(self) -> None:
        """Let the next connection ask for all topics; who waits for an answer waits for that one."""
        loop = asyncio.get_running_loop()
        waiting = {topic: answer for topic, answer in self._subscribed.items() if not answer.done()}
        self._subscribed = {topic: waiting.get(topic) or loop.create_future() for topic in self._wanted}
        self._sent.clear()
        self._answers.clear()
        self._changes.clear()
        self._look_at(self._wanted)

    async def _write(self, connection: Any) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            changes, self._changes = self._changes, {}
            commands = [command for topic in changes for command in self._command(topic)]
            if commands:
                # Health checks would read their answer, which is for the reader to do.
                await connection.send_packed_command(connection.pack_commands(commands), check_health=False)

    def _command(self, topic: str) -> list[tuple[str, bytes]]:
        """What to tell Redis of a topic, if anything; of one at a time, because it may refuse one of them."""
        if topic in self._wanted:
            if topic in self._sent:
                return []
            self._sent.add(topic)
            self._answers.append(self._subscription(topic))
            return [("SUBSCRIBE", (self._prefix + topic).encode())]
        self._subscribed.pop(topic, None)
        if topic not in self._sent:
            return []
        self._sent.remove(topic)
        self._answers.append(asyncio.get_running_loop().create_future())
        return [("UNSUBSCRIBE", (self._prefix + topic).encode())]

    async def _read(self, connection: Any) -> None:
        start = len(self._prefix.encode())
        while True:
            try:
                reply = await connection.read_response(disable_decoding=True, push_request=True)
            except ResponseError as refusal:
                self._answers.popleft().set_result(refusal)
                continue
            if reply[0] == b"message":
                await self._deliver(reply[1][start:].decode(), reply[2])
            elif reply[0] in (b"subscribe", b"unsubscribe"):
                self._answers.popleft().set_result(None)
                self._delay = FIRST_DELAY  # a server that does more than to accept connections
