"""Publishing to Redis: what many tasks publish at the same time goes over one connection in one batch."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from redis.asyncio import Redis

from .errors import BroadcastError, BroadcastUnavailable


@dataclass(slots=True)
class Publication:
    """A message on its way, and who waits until Redis has it."""

    channel: bytes
    data: bytes
    done: asyncio.Future[None]

    def fail(self, error: Exception, cause: BaseException | None = None) -> None:
        """Tell who waits that it was not published, as far as is known."""
        error.__cause__ = cause
        if not self.done.done():
            self.done.set_exception(error)


class Publisher:
    """Sends in the order in which it is asked to, and never a message twice."""

    def __init__(self, client: Redis, timeout: float) -> None:
        self._client = client
        self._timeout = timeout
        self._waiting: list[Publication] = []
        self._filled = asyncio.Event()

    async def publish(self, channel: bytes, data: bytes) -> None:
        """Return once Redis has it; BroadcastUnavailable."""
        publication = Publication(channel, data, asyncio.get_running_loop().create_future())
        self._waiting.append(publication)
        self._filled.set()
        await publication.done

    async def run(self) -> None:
        """Send what is published, until this is cancelled."""
        batch: list[Publication] = []
        try:
            while True:
                await self._filled.wait()
                self._filled.clear()
                batch, self._waiting = self._waiting, []
                await self._send(batch)
        finally:
            for publication in batch + self._waiting:
                publication.fail(BroadcastError("the broadcast was left before Redis had this message"))

    async def _send(self, batch: list[Publication]) -> None:
        try:
            async with asyncio.timeout(self._timeout), self._client.pipeline(transaction=False) as pipeline:
                for publication in batch:
                    pipeline.publish(publication.channel, publication.data)
                results = await pipeline.execute(raise_on_error=False)
        except Exception as error:  # whatever it is, these do not wait for ever, and the next are sent
            for publication in batch:
                publication.fail(BroadcastUnavailable(f"Redis does not answer: {error!r}"), error)
            return
        for publication, result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                publication.fail(BroadcastUnavailable(f"Redis refuses the message: {result}"), result)
            elif not publication.done.done():
                publication.done.set_result(None)
