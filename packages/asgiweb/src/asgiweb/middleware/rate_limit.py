"""A limit for how often a client may ask: 429 for what is more (RFC 6585, 4)."""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Literal, TypeAlias

from multidict import istr

from ..errors import RegistrationError, StoreUnavailable
from ..exceptions import HTTPServiceUnavailable, HTTPTooManyRequests
from ..handlers import Handler
from ..request import Request
from ..response import Response
from .token_bucket import MemoryRateLimitStore, Quota, RateLimitStore, Taken

logger = logging.getLogger("asgiweb")

# A multidict makes one of each other name, again and again.
_POLICY, _LIMIT = istr("ratelimit-policy"), istr("ratelimit")

# Characters of an IPv6 address, with the name of an interface (RFC 4007, 11).
_ADDRESS_SIZE = 64

#: Characters of a key that is kept as it is.
KEY_SIZE = 256

#: Tells whose bucket a request takes from; None for one that is not limited.
Key: TypeAlias = Callable[[Request[Any]], "str | Awaitable[str | None] | None"]


def client_address(request: Request[Any]) -> str:
    """Return the address of the client, of IPv6 the network of 64 bits: a client has all of these.

    "unknown" where the server cannot tell: all such clients share one bucket.
    """
    client = request.scope.get("client")
    if client is None:
        return "unknown"
    host: str = client[0]
    # Some servers believe whatever a proxy passes on. What is no address is not kept.
    return _grouped(host) if ":" in host and len(host) <= _ADDRESS_SIZE else host


@lru_cache(maxsize=4096)
def _grouped(host: str) -> str:
    try:
        address = ipaddress.IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((address, 64), strict=False))


def _shortened(key: str) -> str:
    """Return the key, or the digest of a long one, which a client may have made up: stores keep many."""
    if len(key) <= KEY_SIZE:
        return key
    return hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()


class RateLimit:
    """Lets each client ask ``rate`` times in ``per`` seconds, and up to ``burst`` times at once.

    A token bucket for each ``key``. ``name`` is that of the policy in the response's fields, and tells the
    buckets of several limits in one store apart. ``when_unavailable`` says whether a store that does not
    answer lets everybody through ("open") or nobody ("closed": 503).
    """

    def __init__(
        self,
        rate: int,
        per: float = 1.0,
        *,
        burst: int | None = None,
        key: Key = client_address,
        store: RateLimitStore | None = None,
        name: str = "default",
        when_unavailable: Literal["open", "closed"] = "open",
        headers: bool = True,
    ) -> None:
        burst = rate if burst is None else burst
        if rate < 1 or not per > 0 or burst < 1:
            raise RegistrationError(
                f"RateLimit({rate!r}, {per!r}, burst={burst!r}): rate and burst are 1 at least, "
                f"and per is more than 0 seconds"
            )
        if not (name.isascii() and name.isprintable()) or '"' in name or "\\" in name:
            raise RegistrationError(f"RateLimit(name={name!r}): a name is printable ASCII without quotes")
        #: The bucket that each key has.
        self.quota = Quota(burst, per / rate)
        self.name = name
        self.when_unavailable = when_unavailable
        self._key = key
        self._store = MemoryRateLimitStore() if store is None else store
        self._headers = headers
        self._policy = f'"{name}";q={burst};w={math.ceil(self.quota.window)}'
        self._available = True

    async def __call__(self, request: Request[Any], handler: Handler) -> Response:
        """Let the handler answer, unless there were too many requests."""
        key = self._key(request)
        if key is not None and not isinstance(key, str):
            key = await key
        if key is None:
            return await handler(request)
        taken = await self._take(f"{self.name}:{_shortened(key)}")
        if taken is not None and not taken.allowed:
            raise HTTPTooManyRequests(
                headers={"retry-after": str(math.ceil(taken.retry_after)), **self._fields(taken)}
            )
        response = await handler(request)
        if taken is not None and response.status != 101 and self._headers:
            # Several limits make one list (RFC 9651, 3.1).
            for name, value in self._fields(taken).items():
                response.headers.add(name, value)
        return response

    async def _take(self, key: str) -> Taken | None:
        try:
            taken = await self._store.take(key, self.quota)
        except StoreUnavailable as error:
            # Once for each time that it goes away: there may be thousands of requests in that time.
            if self._available:
                self._available = False
                logger.warning("rate limit %r is %s: %s", self.name, self.when_unavailable, error)
            if self.when_unavailable == "closed":
                raise HTTPServiceUnavailable("requests cannot be counted now") from error
            return None
        if not self._available:
            self._available = True
            logger.warning("rate limit %r: requests are counted again", self.name)
        return taken

    def _fields(self, taken: Taken) -> dict[str, str]:
        """Return the fields of draft-ietf-httpapi-ratelimit-headers-10."""
        if not self._headers:
            return {}
        return {
            _POLICY: self._policy,
            _LIMIT: f'"{self.name}";r={taken.remaining};t={math.ceil(taken.reset)}',
        }
