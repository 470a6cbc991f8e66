"""Responses: what a handler returns, and how it gets to the server.

The head is rendered in one place, just before it is sent, so middlewares may change everything until then
and nothing is sent that was not checked. Content-Length is written here, from the body, in bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack
from urllib.parse import quote

import msgspec
from multidict import CIMultiDict, istr

from .asgi import HeaderPair, Message, Receive, Scope, Send
from .background import P, Work, work_of
from .cookies import CookieAttributes, SameSite, format_cookie
from .errors import ClientDisconnected
from .headers import content_length_pair, content_type_pair, header_pair
from .streaming import close_stream, send_stream

if TYPE_CHECKING:
    from yarl import URL

Body: TypeAlias = bytes | str | AsyncIterable[bytes | str] | None
Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]

#: Statuses whose responses never have a body (RFC 9110, 6.4.1).
BODILESS = frozenset({204, 304})

# A multidict makes one of each other name at every iteration: 0.25 µs.
_CONTENT_TYPE = istr("content-type")
_CONTENT_LENGTH = istr("content-length")

_new = object.__new__
_encode_json = msgspec.json.Encoder().encode


class Response:
    """An answer: bytes, text (sent as UTF-8), or an async iterator of either that is always closed.

    ``content_type`` defaults to text/plain for text and application/octet-stream for bytes and streams.
    Is itself an ASGI application.
    """

    __slots__ = ("_content_type", "_headers", "background_work", "body", "status", "stream")

    def __init__(
        self,
        body: Body = None,
        status: int = 200,
        *,
        headers: Headers | None = None,
        content_type: str | None = None,
    ) -> None:
        self.status = status
        #: The whole body; empty while there is a ``stream``.
        self.body = b""
        #: What yields the body piece by piece, or None.
        self.stream: AsyncIterable[bytes | str] | None = None
        #: What ``add_background`` was given, or None.
        self.background_work: list[Work] | None = None
        default = "application/octet-stream"
        if isinstance(body, str):
            self.body = body.encode()
            default = "text/plain; charset=utf-8"
            if (
                content_type is not None
                and content_type.startswith("text/")
                and "charset" not in content_type
            ):
                content_type += "; charset=utf-8"
        elif isinstance(body, bytes):
            self.body = body
        elif body is not None:
            self.stream = _checked_stream(body)
        self._content_type = content_type or (default if body is not None else None)
        self._headers: CIMultiDict[str] | None = None
        if headers is not None:
            self._headers = CIMultiDict(headers)
            if self._content_type is not None and (content_type or _CONTENT_TYPE not in self._headers):
                self._headers[_CONTENT_TYPE] = self._content_type

    @property
    def headers(self) -> CIMultiDict[str]:
        """The header fields, which may be changed until the response is sent.

        Content-Length is not among them unless somebody has set it: it is written when the head is.
        """
        # Most responses are never asked for their headers, so they never get a multidict.
        if self._headers is None:
            self._headers = CIMultiDict()
            if self._content_type is not None:
                self._headers[_CONTENT_TYPE] = self._content_type
        return self._headers

    @property
    def content_type(self) -> str | None:
        """The Content-Type as it will be sent, with its parameters."""
        return self._content_type if self._headers is None else self._headers.get(_CONTENT_TYPE)

    @content_type.setter
    def content_type(self, content_type: str) -> None:
        self.headers[_CONTENT_TYPE] = content_type

    def set_cookie(self, name: str, value: str, **attributes: Unpack[CookieAttributes]) -> None:
        """Add a Set-Cookie header: "lax", hidden from scripts and for path "/" unless it is said otherwise.

        ``max_age`` is in seconds. HeaderError if browsers would not take the cookie.
        """
        self.headers.add("set-cookie", format_cookie(name, value, **attributes))

    def delete_cookie(
        self,
        name: str,
        *,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        samesite: SameSite | None = "lax",
        partitioned: bool = False,
    ) -> None:
        """Make the browser forget a cookie that was set with the same attributes.

        With another path, domain or ``partitioned`` it is another cookie. Without ``samesite="none"``, what
        is embedded in other sites sets and deletes none.
        """
        self.set_cookie(
            name,
            "",
            max_age=0,
            path=path,
            domain=domain,
            secure=secure,
            samesite=samesite,
            partitioned=partitioned,
        )

    def add_background(
        self, function: Callable[P, Coroutine[Any, Any, Any]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Start an async function when this response has been sent, or could not be because the client left.

        It is owned by the application, as what ``app.background()`` starts.
        """
        if self.background_work is None:
            self.background_work = []
        self.background_work.append(work_of(function, args, kwargs))

    def start_message(self, method: str) -> Message:
        """Render the head, for a request of this method. HeaderError if it cannot be sent."""
        status = self.status
        pairs: list[HeaderPair]
        if self._headers is None:
            pairs = [] if self._content_type is None else [content_type_pair(self._content_type)]
        else:
            pairs = self._header_pairs(self._headers, method)
        if self.stream is None and status not in BODILESS and not (method == "HEAD" and _has_length(pairs)):
            pairs.append(content_length_pair(len(self.body)))
        return {"type": "http.response.start", "status": status, "headers": pairs}

    def _header_pairs(self, headers: CIMultiDict[str], method: str) -> list[HeaderPair]:
        pairs = [header_pair(name, value) for name, value in headers.items()]
        # A length that somebody has set counts for a stream and for HEAD, where it cannot be known here.
        # A 204 has none (RFC 9110, 8.6).
        known = (self.stream is None and method != "HEAD") or self.status == 204
        if known and _CONTENT_LENGTH in headers:
            return [pair for pair in pairs if pair[0] != b"content-length"]
        return pairs

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application. ClientDisconnected if the client does not stay to the end."""
        method = scope["method"]
        try:
            if self.background_work is not None:
                raise RuntimeError("background work is owned by an Application: let a handler return this")
            start = self.start_message(method)
        except Exception:
            if self.stream is not None:
                await close_stream(self.stream)
            raise
        await self.transmit(start, method, receive, send)

    async def transmit(self, start: Message, method: str, receive: Receive, send: Send) -> None:
        """Send the rendered head and then the body. ClientDisconnected if nobody reads it."""
        bodiless = method == "HEAD" or self.status in BODILESS
        if self.stream is not None:
            await send_stream(self.stream, start, bodiless=bodiless, receive=receive, send=send)
            return
        try:
            await send(start)
            await send({"type": "http.response.body", "body": b"" if bodiless else self.body})
        except OSError as error:
            raise ClientDisconnected("the client left before the end of the response") from error


def _has_length(pairs: list[HeaderPair]) -> bool:
    return any(name == b"content-length" for name, _ in pairs)


def _checked_stream(body: object) -> AsyncIterable[bytes | str]:
    if isinstance(body, AsyncIterable):
        return body
    raise TypeError(
        f"a body is bytes, str, an async iterator of these, or None, not {type(body).__name__}: "
        f"json_response() makes JSON of other values"
    )


def json_response(
    data: Any, status: int = 200, *, headers: Headers | None = None, content_type: str = "application/json"
) -> Response:
    """Answer with JSON: dicts, lists, dataclasses, datetimes, UUIDs and all else that msgspec encodes."""
    body = _encode_json(data)
    if headers is not None or not content_type:
        return Response(body, status, headers=headers, content_type=content_type)
    # What Response() makes of these, without looking what they are: 0.3 µs instead of 0.45.
    response = _new(Response)
    response.status = status
    response.body = body
    response.stream = None
    response._content_type = content_type
    response._headers = None
    response.background_work = None
    return response


def html_response(body: str, status: int = 200, *, headers: Headers | None = None) -> Response:
    """Answer with a page. Nothing is escaped here: the text is sent as it is."""
    return Response(body, status, headers=headers, content_type="text/html; charset=utf-8")


def redirect(location: str | URL, status: int = 303, *, headers: Headers | None = None) -> Response:
    """Send the client to ``location``, which may be relative to the request's URL (RFC 9110, 10.2.2).

    303 makes the next request a GET; 307 and 308 keep its method and body.
    """
    response = Response(None, status, headers=headers)
    response.headers["location"] = location_header(location)
    return response


def location_header(location: str | URL) -> str:
    """Write a location as the header has it: quoted where it has to be."""
    return quote(str(location), safe="%/:?#[]@!$&'()*+,;=~")
