"""Which site has made a browser send a request: what the browser itself says of it.

Fetch metadata (https://www.w3.org/TR/fetch-metadata) where there is any, else Origin (RFC 6454, 7), else
Referer (RFC 9110, 10.1.3). Scripts and forms cannot change these.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from ..request import Request

_HTTP = {"ws": "http", "wss": "https"}
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class Sender(Enum):
    """Who has made the browser send it."""

    #: A page of this origin or of a trusted one, or the user, by the address bar.
    OWN = "own"
    #: Somebody else's page.
    FOREIGN = "foreign"
    #: No browser, or one that says nothing.
    UNKNOWN = "unknown"


def sender_of(request: Request[Any], trusted: frozenset[str]) -> Sender:
    """Find out who has made the browser send a request; ``trusted`` are origins like ``own_origin()``'s."""
    headers = request.headers
    site: str | None = headers.get("sec-fetch-site")
    if site in ("same-origin", "none"):
        return Sender.OWN
    origin: str | None = headers.get("origin")
    if site is not None:
        return Sender.OWN if origin is not None and origin.lower() in trusted else Sender.FOREIGN
    if origin is None:
        referer = headers.get("referer")
        if referer is None:
            return Sender.UNKNOWN
        origin = _origin_of(referer)
    # "null" is the origin of what hides its own, and that of nobody here.
    origin = origin.lower()
    return Sender.OWN if origin in trusted or origin == own_origin(request) else Sender.FOREIGN


def own_origin(request: Request[Any]) -> str:
    """Return the origin that was asked, as a browser writes it: ``https://example.com``."""
    scheme: str = request.scope.get("scheme", "http")
    scheme = _HTTP.get(scheme, scheme)
    host = request.headers.get("host", "").lower()
    return f"{scheme}://{host.removesuffix(_DEFAULT_PORTS.get(scheme, ''))}"


def checked_origins(origins: Iterable[str]) -> frozenset[str]:
    """Return origins as browsers write them. ValueError for what is none."""
    listed = [origins] if isinstance(origins, str) else list(origins)
    for origin in listed:
        if not origin or _origin_of(origin) != origin.lower():
            raise ValueError(f"{origin!r} is no origin: write scheme and host only, as 'https://example.com'")
    return frozenset(origin.lower() for origin in listed)


def _origin_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.netloc:
        return ""
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{host.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ''))}"
