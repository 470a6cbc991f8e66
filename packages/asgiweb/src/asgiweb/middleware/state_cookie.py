"""The cookie that a middleware keeps something in: how it is called, and what browsers are told of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from multidict import istr

from ..cookies import SameSite, format_cookie
from ..errors import RegistrationError
from ..headers import add_vary
from ..request import Request
from ..response import Response

# A multidict makes one of each other name, again and again.
_CACHE_CONTROL = istr("cache-control")

_SECURE_SCHEMES = frozenset({"https", "wss"})


@dataclass(slots=True, frozen=True, kw_only=True)
class StateCookie:
    """Name and attributes; ``secure=None`` means that the scheme of the request decides."""

    name: str
    max_age: int | None
    path: str = "/"
    domain: str | None = None
    secure: bool | None = None
    samesite: SameSite = "lax"
    #: Only this very host can have set it, over HTTPS: ``__Host-`` comes before its name (6265bis, 4.1.3.2).
    host_prefix: bool = False

    def __post_init__(self) -> None:
        """RegistrationError if browsers would never take it."""
        if self.host_prefix and (self.domain is not None or self.path != "/" or self.secure is False):
            raise RegistrationError("a cookie with host_prefix has path='/', no domain, and is secure")
        if self.samesite == "none" and self.secure is not True:
            raise RegistrationError("samesite='none' needs secure=True: browsers do not take it otherwise")
        # HeaderError for what cannot be in a cookie, before there is a request.
        format_cookie(self.name, "", path=self.path, domain=self.domain, secure=self.secure is True)

    @property
    def full_name(self) -> str:
        """The name with its prefix."""
        return f"__Host-{self.name}" if self.host_prefix else self.name

    def read(self, request: Request[Any]) -> str | None:
        """Return its value in a request, or None."""
        return request.cookies.get(self.full_name)

    def write(self, request: Request[Any], value: str) -> str:
        """Return the value of the Set-Cookie header; the empty value makes the browser forget it."""
        secure = self.secure
        if secure is None:
            secure = self.host_prefix or request.scope.get("scheme") in _SECURE_SCHEMES
        return format_cookie(
            self.full_name,
            value,
            max_age=self.max_age if value else 0,
            path=self.path,
            domain=self.domain,
            secure=secure,
            samesite=self.samesite,
        )


def keep_private(response: Response, *, sets_cookie: bool) -> None:
    """Say to caches that the response depends on cookies, unless its Cache-Control says something already.

    What sets a cookie is not to be stored at all: RFC 9111, 7.3, leaves that to who answers.
    """
    headers = response.headers
    add_vary(headers, "cookie")
    if _CACHE_CONTROL not in headers:
        headers[_CACHE_CONTROL] = "no-store" if sets_cookie else "private, no-cache"
