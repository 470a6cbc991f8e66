"""Origins, and which site has made a browser send a request: what the browser itself says of it.

Fetch metadata (https://www.w3.org/TR/fetch-metadata) where there is any, else Origin (RFC 6454, 7), else
Referer (RFC 9110, 10.1.3). Scripts and forms cannot change these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

from ..errors import RegistrationError
from ..request import Request
from .fields import field_value

#: An origin as browsers write it: lower case, and no port where it is the scheme's own (RFC 6454, 6.2).
ORIGIN = re.compile(r"[a-z][a-z0-9+.\-]*://([a-z0-9\-._]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?")

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
    """Find out who has made the browser send a request; ``trusted`` are origins as browsers write them."""
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
    return Sender.OWN if origin in trusted or is_own(origin, request) else Sender.FOREIGN


def is_own(origin: str, request: Request[Any]) -> bool:
    """Tell whether a page of this origin is of the host that it asks, by the same scheme or by TLS.

    A proxy may have ended TLS and not said so. A page by http is never one of a site by https: whoever is on
    the line can have written it.
    """
    scheme, _, authority = origin.partition("://")
    asked: str = request.scope.get("scheme", "http")
    if scheme not in (_HTTP.get(asked, asked), "https"):
        return False
    host = (field_value(request.scope, b"host") or "").lower()
    return bool(authority) and authority == host.removesuffix(_DEFAULT_PORTS.get(scheme, ""))


def checked_origins(setting: str, origins: Iterable[str], *, others: Iterable[str] = ()) -> frozenset[str]:
    """Return what a setting lists. RegistrationError for what is no origin, and none of the ``others``."""
    listed = frozenset([origins] if isinstance(origins, str) else origins)
    for origin in listed.difference(others):
        match = ORIGIN.fullmatch(origin)
        if match is None or match[2] == _DEFAULT_PORTS.get(origin.partition(":")[0], ""):
            raise RegistrationError(
                f"{setting}: {origin!r} is no origin as browsers write it: scheme and host in lower case, a "
                f"port unless it is the scheme's own, and no path, such as 'https://example.com'"
            )
    return listed


def _origin_of(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if not parts.netloc:
        return ""
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{host.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ''))}"
