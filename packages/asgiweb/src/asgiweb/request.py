"""The request as handlers and middlewares see it: one object through the whole chain.

Everything is a view of the ASGI scope that is computed when somebody asks for it, and then kept.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from multidict import CIMultiDictProxy, MultiDict, MultiDictProxy

from .asgi import Address, Message, Receive, Scope, Send
from .body import BodyReader, DisconnectWatch, reader_of
from .cookies import parse_cookies
from .exceptions import HTTPUnsupportedMediaType
from .headers import decoded, media_type
from .models import decode_body, is_json
from .negotiation import best_language, best_media_type
from .streaming import Closable
from .target_uri import target_uri
from .texts import decode_text, encoding_of
from .typevars import State
from .urlencoded import parse_urlencoded

if TYPE_CHECKING:
    from yarl import URL

    from .application import Application
    from .forms import FormData, FormLimits, Part
    from .routing import Route
    from .websockets import WebSocket

Model = TypeVar("Model")


class Request(Generic[State]):
    """One HTTP request; ``State`` is the type of what the application's lifespan yields."""

    __slots__ = (
        "_body",
        "_context",
        "_cookies",
        "_headers",
        "_max_body_size",
        "_query",
        "_receive",
        "_url",
        "app",
        "match_info",
        "route",
        "scope",
        "send_wrappers",
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
        #: The streams of all responses on the way, and what a form has opened: the application closes them.
        self.streams: tuple[AsyncIterable[bytes | str] | Closable, ...] = ()
        #: What the application puts around ASGI's ``send`` for the answer, such as one that counts.
        self.send_wrappers: tuple[Callable[[Send], Send], ...] = ()
        self._receive = receive
        self._body: BodyReader | None = None
        self._context: dict[str, Any] | None = None
        self._cookies: dict[str, str] | None = None
        self._headers: CIMultiDictProxy[str] | None = None
        self._max_body_size: int | None = None
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
            self._url = target_uri(self.scope, self.headers.get("host"))
        return self._url

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        """The header fields; names in any case, values decoded as Latin-1."""
        if self._headers is None:
            self._headers = decoded(self.scope["headers"])
        return self._headers

    @property
    def query(self) -> MultiDictProxy[str]:
        """The parameters of the query, decoded; those without a value have an empty one."""
        if self._query is None:
            text = self.scope.get("query_string", b"").decode(errors="replace")
            self._query = MultiDictProxy(MultiDict(parse_urlencoded(text, "replace")))
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

    def accepts(self, *media_types: str) -> str | None:
        """Return which of these the client prefers, None if it takes none of them (RFC 9110, 12.5.1).

        The first if it does not say. Answers that depend on this have a header ``Vary: Accept``.
        """
        return best_media_type(", ".join(self.headers.getall("accept", ())), media_types)

    def accepts_language(self, *languages: str) -> str | None:
        """Return which of these the client prefers, None if it wants none of them (RFC 9110, 12.5.4)."""
        return best_language(", ".join(self.headers.getall("accept-language", ())), languages)

    def url_for(self, name: str, /, **parameters: Any) -> URL:
        """Build the path of a named route, below the prefix that the application is mounted at.

        With scheme and host for a route that is bound to a host. UrlError if there is no such route or a
        parameter does not fit it.
        """
        scope = self.scope
        return self.app.router.url_for(name, parameters, root_path=scope.get("root_path", ""), scope=scope)

    @property
    def max_body_size(self) -> int:
        """The limit for the body in bytes, 0 for none: the route's or the application's.

        A middleware may set another; it holds for what is read from then on.
        """
        if self._max_body_size is not None:
            return self._max_body_size
        of_route = None if self.route is None else self.route.max_body_size
        return self.app.max_body_size if of_route is None else of_route

    @max_body_size.setter
    def max_body_size(self, size: int) -> None:
        self._max_body_size = size
        if self._body is not None:
            self._body.limit = size

    async def body(self) -> bytes:
        """Read the whole body; it is kept, so everybody may ask for it.

        HTTPContentTooLarge above the limit, ClientDisconnected if it does not come to its end.
        """
        return await self._reader().read()

    async def text(self) -> str:
        """Read the body as text, in the charset it names or UTF-8. HTTPBadRequest if it is not that.

        HTTPUnsupportedMediaType for charsets that are not in common use.
        """
        encoding = encoding_of(self.headers.get("content-type", ""))
        return decode_text(await self.body(), encoding)

    @overload
    async def json(self) -> Any: ...
    @overload
    async def json(self, model: type[Model]) -> Model: ...
    @overload
    async def json(self, model: Any) -> Any: ...
    async def json(self, model: Any = Any) -> Any:
        """Read the body as JSON, and make a ``model`` of it: any type that msgspec knows.

        HTTPBadRequest if it is not JSON (RFC 8259), HTTPUnprocessableContent, which says where, if it does
        not fit the model, and HTTPUnsupportedMediaType if the client says that it is not JSON.
        """
        content_type = self.headers.get("content-type")
        if content_type != "application/json" and content_type and not is_json(content_type):
            raise HTTPUnsupportedMediaType("the body is not application/json, by its Content-Type")
        return decode_body(await self._reader().read(), model)

    @overload
    def query_as(self, model: type[Model]) -> Model: ...
    @overload
    def query_as(self, model: Any) -> Any: ...
    def query_as(self, model: Any) -> Any:
        """Make a ``model`` of the query: a Struct, dataclass, TypedDict or dict, whose texts are converted.

        HTTPUnprocessableContent, which says which parameter does not fit.
        """
        from .fields import query_into  # loaded late, as all below that not every program needs

        return query_into(self.query, model)

    @overload
    async def form(self, *, limits: FormLimits | None = None) -> FormData: ...
    @overload
    async def form(self, model: type[Model], *, limits: FormLimits | None = None) -> Model: ...
    @overload
    async def form(self, model: Any, *, limits: FormLimits | None = None) -> Any: ...
    async def form(self, model: Any = None, *, limits: FormLimits | None = None) -> Any:
        """Read the body as a form, which is kept; its files are closed when the request has been answered.

        With a ``model``, make one of it, as ``query_as()`` does. HTTPBadRequest, HTTPContentTooLarge above
        the limits, HTTPUnsupportedMediaType, HTTPUnprocessableContent.
        """
        from .forms.limits import limits_of
        from .forms.reading import FormReader, form_into

        body = self._reader()
        if body.form is None:
            body.form = FormReader(body)
            self.streams += (body.form,)
        form = await body.form.read(self.headers.get("content-type", ""), limits or limits_of(self))
        return form if model is None else form_into(form, model)

    def multipart(self, *, limits: FormLimits | None = None) -> AsyncIterator[Part]:
        """Yield the parts of a multipart form as they come. Nothing is kept, and unread ones are skipped.

        Raises what ``form()`` and ``body()`` do.
        """
        from .forms.limits import limits_of
        from .forms.multipart import read_parts

        stream, content_type = self._reader().stream(), self.headers.get("content-type", "")
        return read_parts(stream, content_type, limits or limits_of(self))

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, within the limit; nothing of it is kept."""
        return self._reader().stream()

    def _reader(self) -> BodyReader:
        if self._body is None:
            self._body = reader_of(self.scope, self.headers, self._receive, self.max_body_size)
        return self._body

    async def is_disconnected(self) -> bool:
        """Say whether the client has left, as far as the server knows by now; waits for nothing.

        While more than 64 KiB of a body are to be read the answer is no: who reads them is told there.
        """
        body = self._reader()
        if body.watch is None:
            body.watch = DisconnectWatch(body)
            self.streams += (body.watch,)
        return await body.watch.is_disconnected()

    async def receive(self) -> Message:
        """Receive as the ASGI application that is mounted here; a body that was read as a whole comes again.

        BodyConsumed if it was streamed. Of limits, only one that a middleware has set holds here.
        """
        return await self._reader().receive(limited=self._max_body_size is not None)

    async def receive_disconnect(self) -> Message:
        """Wait for the client to leave, as an ASGI ``receive`` that takes no part of the body."""
        return await self._reader().receive_disconnect()
