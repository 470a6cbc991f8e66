"""Cross-origin resource sharing: which other sites' pages may read the answers (Fetch standard, 3.2).

Browsers decide; this tells them. A preflight is answered here, whatever the path, before anything that
asks who the client is, so this is the first of the middlewares. All other answers, errors too, get the
headers on their way out. A websocket has no such protocol, so one from another site is refused here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from multidict import CIMultiDict, istr

from ..asgi import Scope
from ..errors import RegistrationError
from ..exceptions import HTTPForbidden
from ..handlers import Handler
from ..headers import add_vary
from ..request import Request
from ..response import Response
from .fields import check_tokens, field_value
from .origin import ORIGIN, checked_origins, is_own

_ALLOW_ORIGIN = istr("access-control-allow-origin")
_ALLOW_CREDENTIALS = istr("access-control-allow-credentials")


class CORS:
    """Lets pages of other origins read the answers. The first of an application's middlewares.

    ``origins`` are as browsers write them, "https://example.com", or "*" for everybody; ``predicate`` is
    asked about others. ``max_age`` is how many seconds a preflight's answer may be kept. RegistrationError
    for what browsers would not take, or what would give every site the cookies of the user.
    """

    def __init__(
        self,
        origins: Iterable[str] = (),
        *,
        predicate: Callable[[str], object] | None = None,
        methods: Iterable[str] = ("DELETE", "GET", "HEAD", "PATCH", "POST", "PUT"),
        headers: Iterable[str] = ("authorization", "content-type"),
        credentials: bool = False,
        expose: Iterable[str] = (),
        max_age: int | None = 600,
        websockets: bool = True,
    ) -> None:
        self._origins = _checked_origins(origins)
        self._predicate = _checked_predicate(predicate)
        self._everybody = "*" in self._origins
        self._websockets = websockets and not self._everybody
        self._credentials = credentials
        allowed = {
            "access-control-allow-methods": check_tokens("methods", methods),
            "access-control-allow-headers": check_tokens("headers", headers),
        }
        exposed = {"access-control-expose-headers": check_tokens("expose", expose)}
        if credentials:
            _check_credentials(self._origins, {**allowed, **exposed})
        if not self._origins and predicate is None:
            raise RegistrationError("CORS() allows nobody: write CORS(['https://example.com']) or CORS('*')")
        self._for_all = _joined(exposed)
        self._for_preflights = _joined(allowed)
        if max_age is not None:
            self._for_preflights[istr("access-control-max-age")] = str(max_age)

    async def __call__(self, request: Request[Any], handler: Handler) -> Response:
        """Answer a preflight, and add the headers to all other answers."""
        if request.websocket is not None:
            return await self._handshake(request, handler)
        scope = request.scope
        origin = field_value(scope, b"origin")
        if origin is not None and scope["method"] == "OPTIONS" and _is_preflight(scope):
            return self._preflight(origin)
        response = await handler(request)
        self._share(response.headers, origin, self._for_all)
        return response

    def _preflight(self, origin: str) -> Response:
        """Say all that is allowed: the browser compares, and tells the developer what is missing."""
        if not self._allows(origin):
            response = Response(f"CORS: the origin {origin!r} is not allowed here", 403)
            add_vary(response.headers, "origin")
            return response
        response = Response(None, 204)
        self._share(response.headers, origin, self._for_preflights)
        return response

    def _share(self, headers: CIMultiDict[str], origin: str | None, more: Mapping[str, str]) -> None:
        if not self._everybody:
            # On every answer: a cache must not give a page what was meant for another's (Fetch, 3.2.5).
            add_vary(headers, "origin")
            if origin is None or not self._allows(origin):
                return
        # What the handler has set itself is more exact than what is set for all.
        if _ALLOW_ORIGIN in headers:
            return
        headers[_ALLOW_ORIGIN] = "*" if self._everybody else str(origin)
        if self._credentials:
            headers[_ALLOW_CREDENTIALS] = "true"
        if more:
            headers.update(more)

    def _allows(self, origin: str) -> bool:
        if self._everybody or origin in self._origins:
            return True
        if self._predicate is None or ORIGIN.fullmatch(origin) is None:
            return False
        return bool(self._predicate(origin))

    async def _handshake(self, request: Request[Any], handler: Handler) -> Response:
        """Refuse pages that are neither allowed nor this site's own (RFC 6455, 10.2)."""
        if self._websockets:
            origin = field_value(request.scope, b"origin")
            # Other clients than browsers send none, or what they like.
            if origin is not None and not is_own(origin, request) and not self._allows(origin):
                raise HTTPForbidden(f"websockets are not opened here for pages of {origin!r}")
        return await handler(request)


def _is_preflight(scope: Scope) -> bool:
    return field_value(scope, b"access-control-request-method") is not None


def _joined(lists: dict[str, tuple[str, ...]]) -> dict[str, str]:
    return {istr(name): ", ".join(values) for name, values in lists.items() if values}


def _checked_origins(origins: Iterable[str]) -> frozenset[str]:
    try:
        return checked_origins("CORS", origins, others=("*", "null"))
    except RegistrationError as error:
        message = f"{error}; others are for predicate=re.compile(...).fullmatch"
        raise RegistrationError(message) from None


def _checked_predicate(predicate: Callable[[str], object] | None) -> Callable[[str], object] | None:
    if inspect.iscoroutinefunction(predicate):
        raise RegistrationError("CORS: predicate is a plain function: a coroutine is always true")
    return predicate


def _check_credentials(origins: frozenset[str], lists: dict[str, tuple[str, ...]]) -> None:
    """Refuse what is ineffective with credentials, or open to every page (Fetch, 3.2.5)."""
    if "*" in origins:
        raise RegistrationError("CORS: with credentials '*' is no origin: list those that are trusted")
    if "null" in origins:
        raise RegistrationError(
            "CORS: with credentials 'null' would be everybody: any page can have a frame of that origin"
        )
    for name, values in lists.items():
        if "*" in values:
            raise RegistrationError(f"CORS: with credentials {name}: * is a name like others: list them")
