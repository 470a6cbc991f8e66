"""Cookies (RFC 6265, and SameSite and Partitioned of its successor): read leniently, written strictly."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, TypeAlias, TypedDict

from .errors import HeaderError
from .headers import TOKEN

SameSite: TypeAlias = Literal["lax", "strict", "none"]

#: Bytes of name and value that browsers take (RFC 6265bis, 5.6).
COOKIE_SIZE = 4096

_VALUE = re.compile(r"[!#-+\--:<-\[\]-~]*")
_ATTRIBUTE = re.compile(r"[ -:<-~]*")


def parse_cookies(headers: Iterable[str]) -> dict[str, str]:
    """Read Cookie headers. Of two cookies of a name the first counts: its path is the nearer one (5.4)."""
    cookies: dict[str, str] = {}
    for header in headers:
        for part in header.split(";"):
            name, equals, value = part.partition("=")
            if equals:
                value = value.strip(" \t")
                if len(value) > 1 and value[0] == value[-1] == '"':
                    value = value[1:-1]
                cookies.setdefault(name.strip(" \t"), value)
    return cookies


class CookieAttributes(TypedDict, total=False):
    """What may be said of a cookie beside its name and value."""

    #: In seconds; without this and ``expires`` the cookie goes when the browser is closed.
    max_age: int | None
    expires: datetime | None
    #: "/" unless it is said otherwise: browsers send the cookie for this path and all below it.
    path: str | None
    #: Also for the hosts below this one; without it, for the host that answers alone.
    domain: str | None
    #: Over HTTPS only. Off unless it is asked for, because it shuts out development over HTTP.
    secure: bool
    #: Hidden from scripts. On unless it is said otherwise.
    httponly: bool
    #: Which requests from other sites carry the cookie: "lax" unless it is said otherwise.
    samesite: SameSite | None
    #: One cookie for each site that embeds this one (CHIPS).
    partitioned: bool


def format_cookie(
    name: str,
    value: str,
    *,
    max_age: int | None = None,
    expires: datetime | None = None,
    path: str | None = "/",
    domain: str | None = None,
    secure: bool = False,
    httponly: bool = True,
    samesite: SameSite | None = "lax",
    partitioned: bool = False,
) -> str:
    """Write the value of one Set-Cookie header. HeaderError where browsers would not take it."""
    _check(name, value, path, domain)
    if not secure and (partitioned or samesite == "none"):
        raise HeaderError(f"cookie {name!r}: browsers take samesite='none' and partitioned only with secure")
    _check_prefix(name.lower(), secure=secure, for_host=domain is None and path == "/")
    parts = [f"{name}={value}"]
    if max_age is not None:
        parts.append(f"Max-Age={max_age:d}")
    if expires is not None:
        # It takes as long to load as a tenth of this package.
        from email.utils import format_datetime

        parts.append(f"Expires={format_datetime(expires.astimezone(UTC), usegmt=True)}")
    for attribute, text in (("Domain", domain), ("Path", path), ("SameSite", samesite and samesite.title())):
        if text is not None:
            parts.append(f"{attribute}={text}")
    for attribute, on in (("Secure", secure), ("HttpOnly", httponly), ("Partitioned", partitioned)):
        if on:
            parts.append(attribute)
    return "; ".join(parts)


def _check(name: str, value: str, path: str | None, domain: str | None) -> None:
    if TOKEN.fullmatch(name) is None:
        raise HeaderError(f"cookie {name!r}: not a name, which is letters, digits and !#$%&'*+-.^_`|~")
    if not isinstance(value, str):
        raise HeaderError(f"cookie {name!r}: a value is text, not {type(value).__name__}")
    if _VALUE.fullmatch(value) is None:
        raise HeaderError(
            f"cookie {name!r}: spaces, quotes, commas, semicolons, backslashes and what is not ASCII cannot "
            f"be in a value: encode it first, for example with urllib.parse.quote()"
        )
    size = len(name) + len(value)
    if size > COOKIE_SIZE:
        raise HeaderError(f"cookie {name!r}: it has {size} bytes, and browsers take {COOKIE_SIZE}")
    for attribute, text in (("path", path), ("domain", domain)):
        if text is not None and _ATTRIBUTE.fullmatch(text) is None:
            raise HeaderError(f"cookie {name!r}: this cannot be a {attribute}: {text!r}")


def _check_prefix(name: str, *, secure: bool, for_host: bool) -> None:
    """Refuse a name that promises what the attributes do not keep (RFC 6265bis, 4.1.3)."""
    if name.startswith("__host-") and not (secure and for_host):
        raise HeaderError("cookie '__Host-...': browsers take it only with secure, path='/' and no domain")
    if name.startswith("__secure-") and not secure:
        raise HeaderError("cookie '__Secure-...': browsers take it only with secure")
