"""The token bucket that limits a rate, and where its buckets are kept.

A bucket is one number, the time at which it will be full again (the generic cell rate algorithm): nothing
has to be filled while nobody asks.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from itertools import islice
from typing import NamedTuple, Protocol

from ..errors import RegistrationError

#: Part of an interval that rounding may add up to before somebody is refused for it.
SLACK = 0.01


class Quota(NamedTuple):
    """A bucket of ``burst`` tokens, to which one comes each ``interval`` seconds."""

    burst: int
    interval: float

    @property
    def window(self) -> float:
        """How long an empty bucket takes to be full, in seconds."""
        return self.burst * self.interval


class Taken(NamedTuple):
    """What has become of one request: whether it got a token, and how the bucket is now. Times in seconds."""

    allowed: bool
    #: Tokens that are left.
    remaining: int
    #: Until the bucket is full.
    reset: float
    #: Until there is a token again; 0 if there was one.
    retry_after: float


class RateLimitStore(Protocol):
    """Keeps buckets by key. StoreUnavailable if it cannot."""

    async def take(self, key: str, quota: Quota) -> Taken:
        """Take a token, if there is one; buckets that nobody has asked are full."""


def take(full_at: float, now: float, quota: Quota) -> tuple[float, Taken]:
    """Take a token of a bucket that is full at a time; return when it will be, and what has become of it."""
    full_in = max(full_at - now, 0.0) + quota.interval
    late = full_in - quota.window
    if late > quota.interval * SLACK:
        return full_at, Taken(False, 0, full_in - quota.interval, late)
    remaining = int((quota.window - full_in) / quota.interval + SLACK)
    return now + full_in, Taken(True, remaining, full_in, 0.0)


class MemoryRateLimitStore:
    """Keeps buckets in this process, ``max_keys`` at most: then the one goes that was asked least recently.

    Each worker counts for itself: of four workers, each client gets up to four times the rate.
    """

    def __init__(self, *, max_keys: int = 100_000) -> None:
        if max_keys < 1:
            raise RegistrationError(f"MemoryRateLimitStore(max_keys={max_keys!r}): there is one key at least")
        self.max_keys = max_keys
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    async def take(self, key: str, quota: Quota) -> Taken:
        """Take a token, if there is one."""
        now = time.monotonic()
        buckets = self._full_at
        buckets[key], taken = take(buckets.get(key, now), now, quota)
        buckets.move_to_end(key)
        # A full bucket is as good as none. Two are looked at for one that comes, so they never pile up.
        for oldest, full_at in list(islice(buckets.items(), 2)):
            if full_at > now and len(buckets) <= self.max_keys:
                break
            del buckets[oldest]
        return taken
