"""The host that a request names, and its labels, which host-bound routes are compared with."""

from __future__ import annotations

import re
from functools import lru_cache

from ..asgi import Scope

# What a name on the internet is made of (RFC 952, RFC 1123, and the underscore that is in use), or an address
# of IPv6. Anything else is the host of no route, so that no odd character gets into a parameter.
# Compiled when it is needed: few programs have routes with a host.
_HOST = rb"(?P<host>[a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])\.?(:(?P<port>[0-9]{1,5}))?"

#: Characters of a name (RFC 1035, 2.3.4; RFC 1123, 2.1). A header may have more.
NAME_SIZE = 253
# With a dot at its end and a port.
_SIZE = NAME_SIZE + len(".:65535")


def labels_of(scope: Scope) -> tuple[str, ...]:
    """Return the labels of the host, in lower case; none if there is no host or it is no name."""
    host = _host_header(scope)
    return _labels(host) if len(host) <= _SIZE else ()


def port_of(scope: Scope) -> str:
    """Return the port that the client named beside the host, or an empty text."""
    match = re.fullmatch(_HOST, _host_header(scope).lower())
    return "" if match is None else (match["port"] or b"").decode()


def _host_header(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"host":
            return bytes(value)
    return b""


# Hosts repeat. Their number and size are bounded here and not by those who send them.
@lru_cache(maxsize=256)
def _labels(host: bytes) -> tuple[str, ...]:
    match = re.fullmatch(_HOST, host.lower())
    if match is None:
        return ()
    name = match["host"].decode()
    return (name,) if name.startswith("[") else tuple(name.split("."))
