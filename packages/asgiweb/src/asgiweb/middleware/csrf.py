"""Cross-site request forgery: a page of another site lets a user's browser send what the user never meant.

Browsers say which site a request comes from (`origin`), and that decides. What says nothing, which only very
old browsers and programs do, needs a token that a page of another site cannot know.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets as random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from ..cookies import SameSite
from ..errors import InvalidSignature, RegistrationError, SessionError
from ..exceptions import HTTPForbidden
from ..handlers import Handler
from ..request import Request
from ..response import Response
from ..signing import Signer
from .origin import Sender, checked_origins, sender_of
from .state_cookie import StateCookie, keep_private

Exempt: TypeAlias = Callable[[Request[Any]], bool]

#: RFC 9110, 9.2.1.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

_KEY = "asgiweb.csrf"
_SIZE = 32


class CSRF:
    """Refuses requests of unsafe methods, and websockets, that a page of another site has caused: 403.

    ``secrets`` sign the cookie of the tokens. ``trusted_origins`` are other sites that may send. ``exempt``
    are paths, or a predicate, of what no browser sends, such as webhooks. ``bind`` names who the tokens are
    for, such as the user who is logged in: those of others are not valid then. ``require_token`` asks
    for a token whatever the browser says. Without ``multipart`` no upload is read for its token.
    """

    def __init__(
        self,
        secrets: str | Sequence[str],
        *,
        trusted_origins: Iterable[str] = (),
        exempt: Iterable[str] | Exempt = (),
        bind: Callable[[Request[Any]], str] | None = None,
        require_token: bool = False,
        header: str = "x-csrf-token",
        field: str = "csrf_token",
        multipart: bool = True,
        cookie: str = "csrf",
        max_age: int | None = None,
        secure: bool | None = None,
        samesite: SameSite = "lax",
        host_prefix: bool = False,
    ) -> None:
        #: Whether a token is asked for whatever the browser says of the site.
        self.require_token = require_token
        #: The header that a token may come in.
        self.header = header
        #: The field of a form that a token may come in.
        self.field = field
        #: Whether a multipart form may have it, too: it is read as a whole then, and kept for the handler.
        self.multipart = multipart
        self._trusted = checked_origins("CSRF: trusted_origins", trusted_origins)
        self._exempt = exempt if callable(exempt) else _paths(exempt)
        self._bind = bind
        self._signer = Signer(secrets, purpose="asgiweb.csrf")
        self._cookie = StateCookie(
            name=cookie, max_age=max_age, secure=secure, samesite=samesite, host_prefix=host_prefix
        )

    async def __call__(self, request: Request[Any], handler: Handler) -> Response:
        """Let the handler answer, unless the request is forged."""
        if request.websocket is not None or request.method not in SAFE_METHODS:
            await self._check(request)
        context = request.context
        outer = context.get(_KEY)
        context[_KEY] = self
        response = await handler(request)
        tokens = context[_KEY]
        if outer is not None:
            context[_KEY] = outer
        # It has become tokens if somebody has asked for one.
        if isinstance(tokens, _Tokens) and response.status != 101:
            cookie = tokens.new_cookie()
            if cookie is not None:
                response.headers.add("set-cookie", cookie)
            # What has a token in it is for one client, and no cache may give it to others.
            keep_private(response, sets_cookie=cookie is not None)
        return response

    async def _check(self, request: Request[Any]) -> None:
        """HTTPForbidden for a request that may be forged."""
        if self._exempt(request):
            return
        sender = sender_of(request, self._trusted)
        if sender is Sender.FOREIGN:
            raise HTTPForbidden("this comes from a page of another site")
        if request.websocket is not None:
            # Browsers always say where a websocket comes from (RFC 6455, 10.2): there is no token for it.
            return
        if sender is Sender.OWN and not self.require_token:
            return
        secret = _Tokens(request, self).known_secret()
        # Nothing is read for who cannot have a token.
        if secret is not None:
            token = request.headers.get(self.header) or await self._form_field(request)
            if token and hmac.compare_digest(_unmasked(token), secret):
                return
        raise HTTPForbidden(
            f"send a token of this site and its cookie, as header {self.header} or field {self.field} of the "
            f"form; a program or a test may send an Origin header of this site instead"
        )

    async def _form_field(self, request: Request[Any]) -> str | None:
        """Return the field of a form that is kept on the request, so that the handler can read it, too."""
        kind = request.content_type
        multipart = kind == "multipart/form-data" and self.multipart
        if kind != "application/x-www-form-urlencoded" and not multipart:
            return None
        try:
            return (await request.form()).text(self.field)
        except ImportError:
            # Without asgiweb[forms] no handler reads one either.
            return None


def csrf_token(request: Request[Any]) -> str:
    """Return a token for a form's hidden field or a header: another text each time, and valid all the same.

    SessionError without the middleware `CSRF`.
    """
    tokens = request.context.get(_KEY)
    if isinstance(tokens, CSRF):
        tokens = request.context[_KEY] = _Tokens(request, tokens)
    if not isinstance(tokens, _Tokens):
        raise SessionError("no tokens here: put CSRF(...) into the middlewares of application or route")
    return tokens.masked()


class _Tokens:
    """The secret of one client: in its cookie, which scripts cannot read, and masked in its pages."""

    __slots__ = ("_csrf", "_new", "_request", "_seed")

    def __init__(self, request: Request[Any], csrf: CSRF) -> None:
        self._csrf = csrf
        self._request = request
        self._seed: bytes | None = None
        self._new = False

    def masked(self) -> str:
        # A page that is compressed must not have one secret in it again and again (BREACH).
        secret = self.known_secret()
        if secret is None:
            self._seed = random.token_bytes(_SIZE)
            self._new = True
            secret = self._bound(self._seed)
        mask = random.token_bytes(_SIZE)
        return base64.urlsafe_b64encode(mask + _xor(mask, secret)).rstrip(b"=").decode()

    def known_secret(self) -> bytes | None:
        """Return what valid tokens unmask to; None if the client has no cookie yet, or none that is valid."""
        if self._seed is None:
            csrf = self._csrf
            text = csrf._cookie.read(self._request)
            try:
                seed = csrf._signer.unsign_for(csrf._cookie.name, text, csrf._cookie.max_age) if text else ""
                self._seed = bytes.fromhex(seed) or None
            except InvalidSignature:
                return None
        return None if self._seed is None else self._bound(self._seed)

    def new_cookie(self) -> str | None:
        if not self._new or self._seed is None:
            return None
        csrf = self._csrf
        return csrf._cookie.write(self._request, csrf._signer.sign_for(csrf._cookie.name, self._seed.hex()))

    def _bound(self, seed: bytes) -> bytes:
        bind = self._csrf._bind
        return hmac.digest(seed, b"" if bind is None else bind(self._request).encode(), hashlib.sha256)


def _paths(paths: Iterable[str]) -> Exempt:
    if isinstance(paths, str):
        raise RegistrationError(f"exempt is a list of paths: [{paths!r}]")
    exempt = frozenset(paths)
    return lambda request: request.path in exempt


def _unmasked(token: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(token.encode("ascii") + b"==")
    except (binascii.Error, UnicodeError):
        return b""
    return _xor(data[:_SIZE], data[_SIZE:]) if len(data) == 2 * _SIZE else b""


def _xor(one: bytes, other: bytes) -> bytes:
    return (int.from_bytes(one) ^ int.from_bytes(other)).to_bytes(_SIZE)
