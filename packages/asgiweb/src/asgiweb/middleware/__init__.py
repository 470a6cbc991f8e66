"""Middlewares for what most applications need, one module each.

Each is made with its settings, and goes into ``middlewares=`` of the application, a group or a route.
Optional libraries are imported when one that needs them is made; what keeps its data in Redis is in
``asgiweb.middleware.redis``.
"""

from __future__ import annotations

from .access_log import AccessLog
from .body_limit import BodyLimit
from .compression import Compression
from .cors import CORS
from .csrf import CSRF, csrf_token
from .https import HTTPSRedirect
from .rate_limit import RateLimit, client_address
from .request_ids import RequestId, RequestIdFilter, request_id
from .security_headers import SecurityHeaders, csp_nonce
from .session import Session
from .session_stores import MemorySessionStore, SessionStore
from .sessions import Sessions, session_of
from .timeout import Timeout
from .token_bucket import MemoryRateLimitStore, Quota, RateLimitStore, Taken
from .trusted_hosts import TrustedHosts

__all__ = [
    "CORS",
    "CSRF",
    "AccessLog",
    "BodyLimit",
    "Compression",
    "HTTPSRedirect",
    "MemoryRateLimitStore",
    "MemorySessionStore",
    "Quota",
    "RateLimit",
    "RateLimitStore",
    "RequestId",
    "RequestIdFilter",
    "SecurityHeaders",
    "Session",
    "SessionStore",
    "Sessions",
    "Taken",
    "Timeout",
    "TrustedHosts",
    "client_address",
    "csp_nonce",
    "csrf_token",
    "request_id",
    "session_of",
]
