"""The middlewares that are built in: settings with safe defaults, and nothing of those that are not used.

Importing them needs no optional library: those are imported where they are used. What keeps its data in
Redis is in ``asgiweb.middleware.redis``.
"""

from __future__ import annotations

from .access_log import AccessLog
from .body_limit import BodyLimit
from .csrf import CSRF, csrf_token
from .rate_limit import RateLimit, client_address
from .session import Session
from .session_stores import MemorySessionStore, SessionStore
from .sessions import Sessions, session_of
from .timeout import Timeout
from .token_bucket import MemoryRateLimitStore, Quota, RateLimitStore, Taken

__all__ = [
    "CSRF",
    "AccessLog",
    "BodyLimit",
    "MemoryRateLimitStore",
    "MemorySessionStore",
    "Quota",
    "RateLimit",
    "RateLimitStore",
    "Session",
    "SessionStore",
    "Sessions",
    "Taken",
    "Timeout",
    "client_address",
    "csrf_token",
    "session_of",
]
