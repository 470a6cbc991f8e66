"""Everything by TLS: redirects from http to https, and HSTS, so that browsers ask for https by themselves.

What counts is the scheme in the scope. Behind a proxy that ends TLS it is the server's to believe that
proxy (asgiserve's ``--proxy-headers``): no header is looked at here, so no client can pretend.
"""

from __future__ import annotations

from typing import Any

from multidict import istr

from ..errors import RegistrationError
from ..exceptions import HTTPBadRequest, HTTPForbidden
from ..handlers import Handler
from ..request import Request
from ..response import Response, redirect
from .fields import field_value
from .trusted_hosts import host_of

_HSTS = istr("strict-transport-security")
_REDIRECTS = frozenset({301, 302, 307, 308})

#: Seconds that a list of browsers' makers asks for at least (hstspreload.org).
_PRELOAD_AGE = 31_536_000


class HTTPSRedirect:
    """Redirects requests by http to https, and tells browsers to come by https alone (RFC 6797).

    ``port`` is where https is. ``hsts_max_age`` is in seconds: 30 days, None for no HSTS, and 0 to make
    browsers forget it. Websockets without TLS are refused with 403. Goes inside of TrustedHosts: the client
    names the host that it is sent to.
    """

    def __init__(
        self,
        *,
        status: int = 308,
        port: int = 443,
        hsts_max_age: int | None = 2_592_000,
        include_subdomains: bool = False,
        preload: bool = False,
    ) -> None:
        if status not in _REDIRECTS:
            raise RegistrationError(f"HTTPSRedirect: the status is one of {sorted(_REDIRECTS)}, not {status}")
        if preload and not (include_subdomains and (hsts_max_age or 0) >= _PRELOAD_AGE):
            raise RegistrationError(
                f"HTTPSRedirect: preload=True needs include_subdomains=True and hsts_max_age={_PRELOAD_AGE} "
                f"or more (hstspreload.org)"
            )
        self._status = status
        self._port = "" if port == 443 else f":{port}"
        self._policy = None if hsts_max_age is None else f"max-age={hsts_max_age}"
        if self._policy is not None:
            self._policy += "; includeSubDomains" * include_subdomains + "; preload" * preload

    async def __call__(self, request: Request[Any], handler: Handler) -> Response:
        """Answer what came by TLS, and redirect the rest."""
        scheme = request.scope.get("scheme", "http")
        if scheme == "https":
            response = await handler(request)
            # Not on answers by http, where browsers have to ignore it (RFC 6797, 8.1).
            if self._policy is not None:
                response.headers.setdefault(_HSTS, self._policy)
            return response
        if scheme == "wss":
            return await handler(request)
        if request.websocket is not None:
            raise HTTPForbidden("websockets are opened by wss here, not by ws")
        return redirect(self._location(request), self._status)

    def _location(self, request: Request[Any]) -> str:
        host = host_of(field_value(request.scope, b"host") or "")
        if host is None:
            raise HTTPBadRequest("the Host header names no host")
        return f"https://{host}{self._port}{request.url.raw_path_qs}"
