"""Stores in Redis, for all processes that use it: of sessions, and of the buckets of rate limits.

Redis may be away, or hang. Nobody waits for it longer than ``timeout``, and after a failure nobody asks it
for ``pause`` seconds, and then one: otherwise each request of a busy site would wait.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

try:
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("asgiweb.middleware.redis needs redis: pip install 'asgiweb[redis]'") from error

from ..errors import StoreUnavailable
from .token_bucket import Quota, Taken

__all__ = ["RedisRateLimitStore", "RedisSessionStore"]

logger = logging.getLogger("asgiweb")

# The algorithm of token_bucket.take(), in microseconds of Redis' clock: all processes see one time, and
# nobody gets between reading and writing. A key lives until its bucket is full.
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local full_in = math.max((tonumber(redis.call('GET', KEYS[1])) or now) - now, 0) + interval
if full_in > window + 0.5 then
  return {0, string.format('%.0f', full_in - interval), string.format('%.0f', full_in - window)}
end
redis.call('SET', KEYS[1], string.format('%.3f', now + full_in), 'PX', math.ceil(full_in / 1000))
return {1, string.format('%.0f', full_in), '0'}
"""


class _Store:
    """A client of redis-py, with limits for the time that it may take."""

    def __init__(self, client: Redis, *, prefix: str, timeout: float = 1.0, pause: float = 1.0) -> None:
        #: What comes before the keys.
        self.prefix = prefix
        #: Seconds that Redis may take to answer.
        self.timeout = timeout
        #: Seconds in which it is not asked after a failure.
        self.pause = pause
        self._client = client
        self._failed_at: float | None = None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        """Nothing is connected before it is needed."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _ask(self, command: Callable[..., Awaitable[Any]], *arguments: Any, **options: Any) -> Any:
        """Wait for an answer. StoreUnavailable if there is none; that is logged once."""
        failed_at = self._failed_at
        if failed_at is not None:
            now = time.monotonic()
            if now - failed_at < self.pause:
                raise StoreUnavailable("Redis did not answer a moment ago")
            # As long as this one waits, no other does.
            self._failed_at = now
        try:
            async with asyncio.timeout(self.timeout):
                answer = await command(*arguments, **options)
        except (RedisError, OSError) as error:
            # TimeoutError is an OSError, too.
            message = f"Redis does not answer: {type(error).__name__} {error}".rstrip()
            if failed_at is None:
                logger.warning("%s: %s", type(self).__name__, message)
            self._failed_at = time.monotonic()
            raise StoreUnavailable(message) from error
        if failed_at is not None:
            self._failed_at = None
            logger.warning("%s: Redis answers again", type(self).__name__)
        return answer


def _client_of(url: str, timeout: float, options: dict[str, Any]) -> Redis:
    # No retries: they would take longer than anybody waits here.
    defaults: dict[str, Any] = {
        "retry": Retry(NoBackoff(), 0),
        "socket_connect_timeout": timeout,
        "protocol": 2,
    }
    client: Redis = Redis.from_url(url, **(defaults | options))
    return client


class RedisSessionStore(_Store):
    """Keeps sessions in Redis, which forgets them when their time is over. ``client`` is one of redis-py."""

    def __init__(
        self, client: Redis, *, prefix: str = "session:", timeout: float = 1.0, pause: float = 1.0
    ) -> None:
        super().__init__(client, prefix=prefix, timeout=timeout, pause=pause)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = "session:",
        timeout: float = 1.0,
        pause: float = 1.0,
        **options: Any,
    ) -> Self:
        """Use the Redis of a URL, ``redis://``, ``rediss://`` or ``unix://``; ``options`` are redis-py's."""
        return cls(_client_of(url, timeout, options), prefix=prefix, timeout=timeout, pause=pause)

    async def load(self, key: str) -> bytes | None:
        """Return what is kept, or None. StoreUnavailable."""
        data: bytes | str | None = await self._ask(self._client.get, self.prefix + key)
        # Text comes from a client with decode_responses.
        return data.encode() if isinstance(data, str) else data

    async def save(self, key: str, data: bytes, *, ttl: float, existing: bool) -> None:
        """Keep it for ``ttl`` seconds; with ``existing``, only if the key is there. StoreUnavailable."""
        milliseconds = max(round(ttl * 1000), 1)
        await self._ask(self._client.set, self.prefix + key, data, px=milliseconds, xx=existing)

    async def delete(self, key: str) -> None:
        """Forget it, if it is there. StoreUnavailable."""
        await self._ask(self._client.delete, self.prefix + key)


class RedisRateLimitStore(_Store):
    """Keeps the buckets of rate limits in Redis: one script takes a token, by Redis' clock."""

    def __init__(
        self, client: Redis, *, prefix: str = "ratelimit:", timeout: float = 0.25, pause: float = 1.0
    ) -> None:
        super().__init__(client, prefix=prefix, timeout=timeout, pause=pause)
        self._take = client.register_script(_TAKE)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        prefix: str = "ratelimit:",
        timeout: float = 0.25,
        pause: float = 1.0,
        **options: Any,
    ) -> Self:
        """Use the Redis of a URL, ``redis://``, ``rediss://`` or ``unix://``; ``options`` are redis-py's."""
        return cls(_client_of(url, timeout, options), prefix=prefix, timeout=timeout, pause=pause)

    async def take(self, key: str, quota: Quota) -> Taken:
        """Take a token, if there is one. StoreUnavailable."""
        interval, window = quota.interval * 1e6, quota.window * 1e6
        allowed, reset, late = await self._ask(
            self._take, keys=[self.prefix + key], args=[f"{interval:.3f}", f"{window:.3f}"]
        )
        reset = int(reset)
        remaining = int((window - reset + 1) / interval) if allowed else 0
        return Taken(bool(allowed), remaining, reset / 1e6, int(late) / 1e6)
