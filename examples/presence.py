"""Who is here, in all workers of chat.py: none knows it alone, and one that is killed says no goodbye.

Each worker tells all of them who is connected to it: at every change, and again at each roll call. It puts
together what it is told, its own list as well. The list of a worker that has fallen silent is left out.
"""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import msgspec

from asgiweb import Broadcast, BroadcastUnavailable, Subscription

#: Seconds from one roll call to the next. Whoever was silent for three times that is gone.
ROLL_CALL = 5.0


class Here(msgspec.Struct, tag=True):
    """The names of all who are in a room, as far as this worker knows."""

    names: list[str]
    worker: str


class Connected(msgspec.Struct):
    """The names of those who are in a room and connected to one worker."""

    worker: str
    room: str
    names: list[str]


class Presence:
    """Who is in which room; ``here`` has the news for the people of this worker.

    Both broadcasts drop what is too much for who is slow, because the next list says it again.
    """

    def __init__(self, workers: Broadcast[Connected]) -> None:
        self.worker = f"{socket.gethostname()}/{os.getpid()}"
        self.here = Broadcast[Here](limit=1, overflow="drop")
        self._workers = workers
        # By room. A name is there as often as it is connected.
        self._connected: dict[str, list[str]] = {}
        # By room and worker: when it was told, and what.
        self._told: dict[str, dict[str, tuple[float, list[str]]]] = {}

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """``async with``: talk to the other workers."""
        async with (
            self.here,
            self._workers,
            self._workers.subscribe("") as told,
            asyncio.TaskGroup() as tasks,
        ):
            work = [tasks.create_task(self._listen(told)), tasks.create_task(self._call_the_roll())]
            yield
            for task in work:
                task.cancel()

    @asynccontextmanager
    async def entered(self, room: str, name: str) -> AsyncIterator[None]:
        """``async with``: somebody is in this room."""
        self._connected.setdefault(room, []).append(name)
        try:
            await self._tell_workers(room)
            yield
        finally:
            self._connected[room].remove(name)
            if not self._connected[room]:
                del self._connected[room]
            await self._tell_workers(room)

    async def _tell_workers(self, room: str) -> None:
        with suppress(BroadcastUnavailable):  # the next roll call says it again
            await self._workers.publish("", Connected(self.worker, room, self._connected.get(room, [])))

    async def _listen(self, told: Subscription[Connected]) -> None:
        async for connected in told:
            self._told.setdefault(connected.room, {})[connected.worker] = time.monotonic(), connected.names
            await self._tell_people(connected.room)  # no news, too: pages take silence for a lost connection

    async def _tell_people(self, room: str) -> None:
        names = {name for _, names in self._told.get(room, {}).values() for name in names}
        if not names:
            self._told.pop(room, None)
        await self.here.publish(room, Here(sorted(names), self.worker))

    async def _call_the_roll(self) -> None:
        while True:
            await asyncio.sleep(ROLL_CALL)
            await asyncio.gather(*map(self._tell_workers, self._connected))
            oldest = time.monotonic() - 3 * ROLL_CALL
            for room, workers in list(self._told.items()):
                silent = [worker for worker, (when, _) in workers.items() if when < oldest]
                for worker in silent:
                    del workers[worker]
                if silent:
                    await self._tell_people(room)
