"""Middlewares for what most applications need, one module each.

Each is made with its settings, and goes into ``middlewares=`` of the application, a group or a route.
Optional libraries are imported when one that needs them is made.
"""

from .compression import Compression
from .cors import CORS
from .https import HTTPSRedirect
from .request_ids import RequestId, RequestIdFilter, request_id
from .security_headers import SecurityHeaders, csp_nonce
from .trusted_hosts import TrustedHosts

__all__ = [
    "CORS",
    "Compression",
    "HTTPSRedirect",
    "RequestId",
    "RequestIdFilter",
    "SecurityHeaders",
    "TrustedHosts",
    "csp_nonce",
    "request_id",
]
