"""The request as handlers and middlewares see it: one object through the whole chain.

Everything is a view of the ASGI scope that is computed when somebody asks for it, and then kept.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, NamedTuple
from urllib.parse import parse_qsl, quote, unquote

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict, MultiDictProxy

from .asgi import Message, Receive, Scope
from .body import BodyReader
from .cookies import parse_cookies
from .exceptions import HTTPBadRequest, HTTPUnsupportedMediaType
from .headers import CHARSETS, charset, media_type
from .typevars import State

if TYPE_CHECKING:
    from yarl import URL

    from .application import Application
    from .routing import Route
    from .websockets import WebSocket

# RFC 9110, 7.2, with RFC 3986, 3.2.2. What passes here cannot make yarl fail when it takes the URL apart.
_HOST = re.compile(r"([0-9A-Za-z\-._~%!$&'()*+,;=]+|\[[0-9A-Fa-f:.]+\])(:(?P<port>[0-9]{0,5}))?")


class Address(NamedTuple):
    """Where a client's connection comes from; ``port`` is 0 where there is none."""

    host: str
    port: int


class Request(Generic[State]):
    """One HTTP request; ``State`` is the type of what the application's lifespan yields."""

    __slots__ = (
        "_body",
        "_context",
        "_cookies",
        "_headers",
        "_query",
        "_receive",
        "_url",
        "app",
        "match_info",
        "route",
        "scope",
        "streams",
    )

    def __init__(
        self,
        app: Application[State],
        scope: Scope,
        receive: Receive,
        route: Route | None,
        match_info: Mapping[str, Any],
    ) -> None:
        #: The application that answers.
        self.app = app
        #: The ASGI scope, with everything that has no attribute here.
        self.scope = scope
        #: The route that was found, or None where the answer will be 404 or 405.
        self.route = route
        #: The path's parameters by name, converted.
        self.match_info = match_info
        #: The streams of all responses on the way; the application closes them, whatever becomes of them.
        self.streams: tuple[AsyncIterable[bytes | str], ...] = ()
        self._receive = receive
        self._body: BodyReader | None = None
        self._context: dict[str, Any] | None = None
        self._cookies: dict[str, str] | None = None
        self._headers: CIMultiDictProxy[str] | None = None
        self._query: MultiDictProxy[str] | None = None
        self._url: URL | None = None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path!r}>"

    @property
    def state(self) -> State:
        """The very object that the lifespan yielded, or that was assigned to ``app.state``."""
        return self.app.state_of(self.scope)

    @property
    def context(self) -> dict[str, Any]:
        """A place for what middlewares find out about this request, such as who sent it."""
        if self._context is None:
            self._context = {}
        return self._context

    @property
    def websocket(self) -> WebSocket[State] | None:
        """The websocket that this request opens, or None."""
        return None

    @property
    def method(self) -> str:
        """The method, in capitals."""
        return str(self.scope["method"])

    @property
    def path(self) -> str:
        """The path, percent-decoded, with the prefix that the application is mounted at."""
        return str(self.scope["path"])

    @property
    def url(self) -> URL:
        """The URL that was asked for, with the host that the client named (RFC 9110, 7.1)."""
        if self._url is None:
            self._url = _build_url(self.scope, self.headers.get("host"))
        return self._url

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields; names in any case, values decoded as Latin-1."""
        if self._headers is None:
            pairs = [
                (name.decode("latin-1"), value.decode("latin-1")) for name, value in self.scope["headers"]
            ]
            self._headers = CIMultiDictProxy(CIMultiDict(pairs))
        return self._headers

    @property
    def query(self) -> MultiDictProxy[str]:
        """The parameters of the query, decoded; those without a value have an empty one."""
        if self._query is None:
            text = self.scope.get("query_string", b"").decode("latin-1")
            self._query = MultiDictProxy(MultiDict(parse_qsl(text, keep_blank_values=True)))
        return self._query

    @property
    def cookies(self) -> Mapping[str, str]:
        """The cookies by name; of two with one name, the one with the nearer path (RFC 6265, 5.4)."""
        if self._cookies is None:
            self._cookies = parse_cookies(self.headers.getall("cookie", ()))
        return self._cookies

    @property
    def content_type(self) -> str:
        """The body's media type in lower case, without parameters; empty if the client does not say."""
        return media_type(self.headers.get("content-type", ""))

    @property
    def client(self) -> Address | None:
        """Where the connection comes from; None where the server cannot tell, as on a UNIX socket."""
        client = self.scope.get("client")
        return None if client is None else Address(client[0], int(client[1] or 0))

    def url_for(self, name: str, **parameters: Any) -> URL:
        """Build the path of a named route, below the prefix that the application is mounted at.

        UrlError if there is no such route or a parameter does not fit it.
        """
        return self.app.router.url_for(name, parameters, root_path=self.scope.get("root_path", ""))

    async def body(self) -> bytes:
        """Read the whole body; it is kept, so everybody may ask for it.

        HTTPContentTooLarge above the limit, ClientDisconnected if it does not come to its end.
        """
        return await self._reader().read()

    async def text(self) -> str:
        """Read the body as text, in the charset it names or UTF-8. HTTPBadRequest if it is not that.

        HTTPUnsupportedMediaType for charsets that are not in common use.
        """
        encoding = charset(self.headers.get("content-type", ""))
        if encoding.lower() not in CHARSETS:
            raise HTTPUnsupportedMediaType(f"the charset {encoding!r} is not known here")
        body = await self.body()
        try:
            return body.decode(encoding)
        except ValueError:
            raise HTTPBadRequest(f"the body is not text in {encoding!r}") from None

    async def json(self) -> Any:
        """Read the body as JSON. HTTPBadRequest if it is not that (RFC 8259)."""
        body = await self.body()
        try:
            return msgspec.json.decode(body)
        except (msgspec.DecodeError, ValueError) as error:
            raise HTTPBadRequest(f"the body is not JSON: {error}") from None
        except RecursionError:
            raise HTTPBadRequest("the body is JSON that is nested too deeply") from None

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, within the limit; nothing of it is kept."""
        return self._reader().stream()

    def _reader(self) -> BodyReader:
        if self._body is None:
            route = self.route
            limit = self.app.max_body_size
            if route is not None and route.max_body_size is not None:
                limit = route.max_body_size
            headers = self.headers
            # HTTP/2 has no sign for a body of unknown length, but a GET with one is next to unheard of.
            unknown = self.scope.get("http_version", "1.1") >= "2" and self.method not in ("GET", "HEAD")
            chunked = unknown or "transfer-encoding" in headers
            # On servers of ASGI HTTP before 2.4, receive() alone tells that the client left, after the body.
            # On others send() raises then, and a body that nobody wants is not asked for.
            hold = self.scope.get("asgi", {}).get("spec_version", "2.0") < "2.4"
            self._body = BodyReader(
                self._receive, limit, headers.get("content-length"), chunked=chunked, hold=hold
            )
        return self._body

    async def receive_disconnect(self) -> Message:
        """Wait for the client to leave, as an ASGI ``receive`` that takes no part of the body."""
        return await self._reader().receive_disconnect()


def _quoted_path(scope: Scope) -> str:
    """Return the path as it was quoted, with the prefix of the mount, which not every server puts there."""
    raw_path = scope.get("raw_path")
    if raw_path is None:
        return quote(scope["path"])
    path: str = raw_path.partition(b"?")[0].decode("latin-1")
    root_path = scope.get("root_path", "").rstrip("/")
    if root_path and root_path + unquote(path) == scope["path"]:
        return quote(root_path) + path
    return path


def _build_url(scope: Scope, host: str | None) -> URL:
    if host is None:
        server = scope.get("server")
        # A UNIX socket has a path and no port: no client could ask for it by this name.
        host = f"{server[0]}:{server[1]}" if server is not None and server[1] is not None else "localhost"
    path = _quoted_path(scope)
    query = scope.get("query_string", b"").decode("latin-1")
    scheme = scope.get("scheme", "http")
    match = _HOST.fullmatch(host)
    if match is None or not path.startswith("/") or int(match["port"] or 0) > 65535:
        raise HTTPBadRequest("there is no URL: the Host header names no host, or the target is no path")
    # It would be 4 % of an import of asgiweb, and many applications never ask for a URL.
    from yarl import URL

    return URL.build(scheme=scheme, authority=host, path=path, query_string=query, encoded=True)
