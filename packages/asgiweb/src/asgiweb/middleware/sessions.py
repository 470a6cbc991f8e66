"""Sessions: what is kept about a client between its requests, in a signed cookie or in a store.

Nothing is read before a handler asks, and nothing is sent unless the session has changed.
"""

from __future__ import annotations

import hashlib
import logging
import secrets as random
from collections.abc import Sequence
from typing import Any

from multidict import CIMultiDict

from ..cookies import COOKIE_SIZE, SameSite
from ..errors import InvalidSignature, RegistrationError, SessionError, StoreUnavailable
from ..exceptions import HTTPServiceUnavailable
from ..handlers import Handler
from ..request import Request
from ..response import Headers, Response
from ..signing import Signer
from .session import EMPTY, Session
from .session_stores import SessionStore
from .state_cookie import StateCookie, keep_private

logger = logging.getLogger("asgiweb")

#: Two weeks.
MAX_AGE = 14 * 24 * 3600

_KEY = "asgiweb.session"

#: Characters of an id: 32 random bytes in base64.
_ID_SIZE = 43


class Sessions:
    """Gives requests a session, which handlers get by ``await session_of(request)``.

    ``keeper`` is the secret, or secrets, newest first, of a signed cookie that holds the data, or a
    `SessionStore`. ``max_age`` is in seconds, from the last change on; with ``rolling``, from the last
    request that asked for the session. Unless ``secure`` is given, the cookie is Secure if the request came
    over HTTPS.
    """

    def __init__(
        self,
        keeper: str | Sequence[str] | SessionStore,
        *,
        max_age: int = MAX_AGE,
        rolling: bool = False,
        cookie: str = "session",
        path: str = "/",
        domain: str | None = None,
        secure: bool | None = None,
        samesite: SameSite = "lax",
        host_prefix: bool = False,
    ) -> None:
        if max_age <= 0:
            raise RegistrationError(f"Sessions(max_age={max_age!r}): a session lives for more than 0 seconds")
        #: The life of a session in seconds.
        self.max_age = max_age
        #: Whether a session lives on when it is only read.
        self.rolling = rolling
        self._cookie = StateCookie(
            name=cookie,
            max_age=max_age,
            path=path,
            domain=domain,
            secure=secure,
            samesite=samesite,
            host_prefix=host_prefix,
        )
        self._keeper: _SignedCookie | _Stored
        if isinstance(keeper, str | Sequence):
            self._keeper = _SignedCookie(Signer(keeper, purpose="asgiweb.session"), self._cookie)
        else:
            self._keeper = _Stored(keeper, max_age)

    async def __call__(self, request: Request[Any], handler: Handler) -> Response:
        """Let the handler answer, and keep what has become of the session."""
        context = request.context
        outer = context.get(_KEY)
        context[_KEY] = self
        response = await handler(request)
        visit = context[_KEY]
        if outer is not None:
            context[_KEY] = outer
        # It has become a visit if somebody has asked for the session.
        if isinstance(visit, _Visit):
            await visit.finish(response)
        return response


async def session_of(request: Request[Any]) -> Session:
    """Return the session of the client that sent this request, an empty one if it has none.

    SessionError without the middleware `Sessions`. A store that does not answer is answered 503.
    """
    visit = request.context.get(_KEY)
    if isinstance(visit, Sessions):
        visit = request.context[_KEY] = _Visit(request, visit)
    if not isinstance(visit, _Visit):
        raise SessionError("no sessions here: put Sessions(...) into the middlewares of application or route")
    return await visit.begin() if visit.session is None else visit.session


class _Visit:
    """One request whose session was asked for."""

    __slots__ = ("_request", "_sessions", "_token", "session")

    def __init__(self, request: Request[Any], sessions: Sessions) -> None:
        self.session: Session | None = None
        self._request = request
        self._sessions = sessions
        # What the cookie says, once it was found to be valid.
        self._token: str | None = None

    async def begin(self) -> Session:
        request = self._request
        token = self._sessions._cookie.read(request)
        try:
            data = await self._sessions._keeper.load(token) if token else None
        except StoreUnavailable as error:
            raise HTTPServiceUnavailable("the session cannot be read now") from error
        # Another task of the same request may have been faster.
        if self.session is None:
            self.session = Session(data)
            self._token = token if data is not None else None
            if request.websocket is not None and not request.websocket.accepted:
                request.websocket.on_accept.append(self._accepting)
        return self.session

    async def finish(self, response: Response) -> None:
        """Keep the session; what the client has to know of it goes into the response's headers."""
        ws = self._request.websocket
        if ws is not None and ws.accepted:
            await self._finish_conversation()
            return
        cookie = await self._keep()
        if cookie is not None:
            response.headers.add("set-cookie", cookie)
        keep_private(response, sets_cookie=cookie is not None)

    async def _accepting(self) -> Headers:
        cookie = await self._keep()
        return CIMultiDict() if cookie is None else CIMultiDict({"set-cookie": cookie})

    async def _finish_conversation(self) -> None:
        if self.session is None or not self.session.changed:
            return
        before = self._token
        await self._keep()
        # An id that is the same leads to the new data, and one that was deleted in a store to none.
        if self._token != before and (self.session or isinstance(self._sessions._keeper, _SignedCookie)):
            logger.warning(
                "websocket %r: its session was changed after acceptance in a way that only a cookie can "
                "tell the client, and so this is lost",
                self._request.path,
            )

    async def _keep(self) -> str | None:
        """Keep the session if it has changed; return the Set-Cookie that this makes necessary."""
        session = self.session
        sessions = self._sessions
        if session is None:
            return None
        data = session.encode()
        if data == EMPTY:
            return await self._end()
        if not (session.differs(data) or sessions.rolling):
            return None
        try:
            token = await sessions._keeper.save(self._token, data, renewed=session.renewed)
        except StoreUnavailable as error:
            raise HTTPServiceUnavailable("the session cannot be kept now") from error
        session.kept(data)
        if token is None:
            return None
        self._token = token
        return sessions._cookie.write(self._request, token)

    async def _end(self) -> str | None:
        """Make both sides forget an empty session; nothing if there was none."""
        token, self._token = self._token, None
        if token is None:
            return None
        try:
            await self._sessions._keeper.delete(token)
        except StoreUnavailable as error:
            raise HTTPServiceUnavailable("the session cannot be ended now") from error
        if self.session is not None:
            self.session.kept(EMPTY)
        return self._sessions._cookie.write(self._request, "")


class _SignedCookie:
    """The data is in the cookie: its token is the signed data."""

    __slots__ = ("_cookie", "_signer")

    def __init__(self, signer: Signer, cookie: StateCookie) -> None:
        self._signer = signer
        self._cookie = cookie

    async def load(self, token: str) -> bytes | None:
        try:
            return self._signer.unsign_for(self._cookie.name, token, self._cookie.max_age).encode()
        except InvalidSignature:
            return None

    async def save(self, token: str | None, data: bytes, *, renewed: bool) -> str:
        token = self._signer.sign_for(self._cookie.name, data.decode())
        size = len(self._cookie.full_name) + len(token)
        if size > COOKIE_SIZE:
            raise SessionError(
                f"the session makes a cookie of {size} bytes, and browsers take {COOKIE_SIZE}: keep less in "
                f"it, such as an id only, or use a store: Sessions(MemorySessionStore())"
            )
        return token

    async def delete(self, token: str) -> None:
        """Nothing is kept here, and so a copy of the cookie stays valid until its time is over."""


class _Stored:
    """The data is in a store: the token is a random id, and its hash the key.

    Who reads the store, or a backup of it, learns no ids.
    """

    __slots__ = ("_store", "_ttl")

    def __init__(self, store: SessionStore, ttl: float) -> None:
        self._store = store
        self._ttl = ttl

    async def load(self, token: str) -> bytes | None:
        return await self._store.load(_key(token)) if len(token) == _ID_SIZE else None

    async def save(self, token: str | None, data: bytes, *, renewed: bool) -> str | None:
        if token is not None and not renewed:
            kept = await self._store.save(_key(token), data, ttl=self._ttl, existing=True)
            # Ended or renewed meanwhile: the browser may have another cookie by now, which is to stay.
            return token if kept else None
        # An id always comes from here, never from the client.
        new = random.token_urlsafe(32)
        await self._store.save(_key(new), data, ttl=self._ttl, existing=False)
        if token is not None:
            await self._store.delete(_key(token))
        return new

    async def delete(self, token: str) -> None:
        await self._store.delete(_key(token))


def _key(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
