"""Headers that make browsers careful with the answers: what a page may load, who may frame it, and more.

Each has a default that is as strict as most sites can have it, and a setting; what a response has set itself
stays as it is. The nonce of the Content-Security-Policy is made when a page asks for it, by ``csp_nonce()``.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from multidict import istr

from ..errors import RegistrationError
from ..handlers import Handler
from ..headers import header_pair
from ..request import Request
from ..response import Response
from .content_security_policy import Policy, PolicySource

#: Everything from this site alone, no plugins, no frames around it; scripts and styles in a page by nonce.
DEFAULT_CSP = {
    "default-src": "'self'",
    "script-src": "'self' 'nonce'",
    "style-src": "'self' 'nonce'",
    "img-src": "'self' data:",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}

_KEY = "asgiweb.csp_nonce"


class _Nonce:
    """The nonce of one request; ``written`` once the policy is, after which none can be added."""

    __slots__ = ("value", "written")

    def __init__(self) -> None:
        self.value: str | None = None
        self.written = False


class SecurityHeaders:
    """Adds security headers to every answer. None as a setting leaves that header out.

    ``csp`` and ``csp_report_only`` are texts or dicts of directives, in which the source ``'nonce'`` stands
    for what ``csp_nonce(request)`` gives. ``others`` are headers by name. RegistrationError for a policy that
    cannot be right, HeaderError for a header.
    """

    def __init__(
        self,
        *,
        csp: PolicySource | None = DEFAULT_CSP,
        csp_report_only: PolicySource | None = None,
        content_type_options: str | None = "nosniff",
        referrer_policy: str | None = "strict-origin-when-cross-origin",
        frame_options: str | None = "DENY",
        opener_policy: str | None = "same-origin",
        resource_policy: str | None = "same-origin",
        embedder_policy: str | None = None,
        permissions_policy: str | None = None,
        others: Mapping[str, str] | None = None,
    ) -> None:
        policies = {
            "content-security-policy": csp,
            "content-security-policy-report-only": csp_report_only,
        }
        self._policies = [(istr(name), Policy(csp)) for name, csp in policies.items() if csp is not None]
        headers = {
            "x-content-type-options": content_type_options,
            "referrer-policy": referrer_policy,
            "x-frame-options": frame_options,
            "cross-origin-opener-policy": opener_policy,
            "cross-origin-resource-policy": resource_policy,
            "cross-origin-embedder-policy": embedder_policy,
            "permissions-policy": permissions_policy,
            **(others or {}),
        }
        self._headers = [(istr(name), value) for name, value in headers.items() if value is not None]
        for name, value in self._headers:
            header_pair(name, value)

    async def __call__(self, request: Request[Any], handler: Handler) -> Response:
        """Add the headers; a websocket has no page that they could be about."""
        if request.websocket is not None:
            return await handler(request)
        # One that is further out has its own policy, and the same nonce.
        nonce = request.context.get(_KEY)
        if nonce is None:
            nonce = request.context[_KEY] = _Nonce()
        response = await handler(request)
        headers = response.headers
        for name, value in self._headers:
            headers.setdefault(name, value)
        for name, policy in self._policies:
            if name not in headers:
                headers[name] = policy.text(nonce.value)
        nonce.written = True
        return response


def csp_nonce(request: Request[Any]) -> str:
    """Return the nonce of this answer, for ``<script nonce="...">`` and ``<style nonce="...">``.

    The same at each call for one request. RegistrationError without SecurityHeaders, or when the response is
    on its way already: a stream asks for it before it begins.
    """
    nonce = request.context.get(_KEY)
    if nonce is None:
        raise RegistrationError("there is no nonce: put SecurityHeaders() into the application's middlewares")
    if nonce.value is None:
        if nonce.written:
            raise RegistrationError(
                "the Content-Security-Policy is written, without a nonce: call csp_nonce(request) before "
                "the response is returned, not in its stream"
            )
        # 128 bits, in characters that mean nothing in HTML (CSP, 7.1).
        nonce.value = secrets.token_urlsafe(16)
    return str(nonce.value)
