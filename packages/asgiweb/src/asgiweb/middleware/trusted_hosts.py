"""Answering only for the hosts that this application is meant for (RFC 9110, 7.2 and 15.5.20).

Whoever builds links, redirects or cache keys from the Host header believes what a client writes there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from ..errors import RegistrationError
from ..exceptions import HTTPBadRequest, HTTPMisdirectedRequest
from ..handlers import Handler
from ..request import Request
from ..response import Response
from .fields import field_value

# A name or an IPv4 address, or an IPv6 address in brackets; then a port, which may be empty (RFC 3986, 3.2).
_HOST = re.compile(r"([0-9A-Za-z_](?:[0-9A-Za-z\-_.]*[0-9A-Za-z_])?\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?")


class TrustedHosts:
    """Refuses requests for other hosts than these with 421, and those that name none with 400.

    "example.com" is that host, "*.example.com" all below it and not itself. Ports do not matter.
    """

    def __init__(self, hosts: Iterable[str]) -> None:
        if isinstance(hosts, str):
            raise RegistrationError(f"TrustedHosts takes a list: write TrustedHosts([{hosts!r}])")
        listed = list(hosts)
        if not listed:
            raise RegistrationError("TrustedHosts([]) would refuse everybody: list the hosts")
        self._exact = frozenset(_checked(host) for host in listed if not host.startswith("*"))
        self._below = tuple(f".{_checked(host[2:], host)}" for host in listed if host.startswith("*"))

    async def __call__(self, request: Request[Any], handler: Handler) -> Response:
        """Answer requests and websockets for these hosts."""
        value = field_value(request.scope, b"host")
        # As it is mostly written: a dictionary knows it at once.
        if value not in self._exact:
            host = None if value is None else host_of(value)
            if host is None:
                raise HTTPBadRequest("the Host header names no host")
            if host not in self._exact and not host.endswith(self._below):
                raise HTTPMisdirectedRequest(f"{host} is not served here")
        return await handler(request)


def host_of(value: str) -> str | None:
    """Return the host of a Host header in one form, without its port; None if it is none."""
    match = _HOST.fullmatch(value)
    if match is None or ".." in match[1]:
        return None
    host = match[1].lower().removesuffix(".")
    if not host.startswith("["):
        return host
    try:
        return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
    except ValueError:
        return None


def _checked(host: str, written: str | None = None) -> str:
    written = host if written is None else written
    known = host_of(host)
    if known is None or (":" in host and not host.endswith("]")) or written not in (host, f"*.{host}"):
        raise RegistrationError(
            f"TrustedHosts: {written!r} is none of 'example.com', '*.example.com', '192.0.2.1' and '[::1]'; "
            f"without a port, and other alphabets than Latin as in 'xn--bcher-kva.example'"
        )
    return known
