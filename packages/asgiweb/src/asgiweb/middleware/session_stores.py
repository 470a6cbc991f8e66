"""Where sessions are kept on the side of the server: the interface, and a store in memory."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Protocol

from ..errors import RegistrationError


class SessionStore(Protocol):
    """Keeps bytes by key for some time. StoreUnavailable if it cannot."""

    async def load(self, key: str) -> bytes | None:
        """Return what is kept, or None."""

    async def save(self, key: str, data: bytes, *, ttl: float, existing: bool) -> bool:
        """Keep it for ``ttl`` seconds, with ``existing`` only if the key is there; tell whether it is kept.

        So a session that another request has ended meanwhile does not come back.
        """

    async def delete(self, key: str) -> None:
        """Forget it, if it is there."""


class MemorySessionStore:
    """Keeps sessions in this process, ``max_sessions`` at most: then that goes which was saved longest ago.

    For one worker, tests and development: other processes do not see them, and a restart ends them.
    """

    def __init__(self, *, max_sessions: int = 100_000) -> None:
        if max_sessions < 1:
            raise RegistrationError(
                f"MemorySessionStore(max_sessions={max_sessions!r}): it keeps one at least"
            )
        self.max_sessions = max_sessions
        self._sessions: OrderedDict[str, tuple[float, bytes]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    async def load(self, key: str) -> bytes | None:
        """Return what is kept, or None."""
        expires, data = self._sessions.get(key, (0.0, None))
        return data if expires > time.monotonic() else None

    async def save(self, key: str, data: bytes, *, ttl: float, existing: bool) -> bool:
        """Keep it for ``ttl`` seconds, with ``existing`` only if the key is there; tell whether it is."""
        if existing and await self.load(key) is None:
            return False
        now = time.monotonic()
        self._sessions[key] = now + ttl, data
        self._sessions.move_to_end(key)
        # Those that were saved first expire first, as long as all have the same time to live.
        while len(self._sessions) > self.max_sessions or self._oldest_expired(now):
            self._sessions.popitem(last=False)
        return True

    async def delete(self, key: str) -> None:
        """Forget it, if it is there."""
        self._sessions.pop(key, None)

    def _oldest_expired(self, now: float) -> bool:
        return bool(self._sessions) and next(iter(self._sessions.values()))[0] <= now
