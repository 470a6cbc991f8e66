"""The exceptions that are answers: HTTPException, and one class for each status of the IANA registry.

    HTTPException
    ├── HTTPRedirection     301 302 303 307 308: carry a location
    ├── HTTPClientError     400 to 451
    └── HTTPServerError     500 to 511

An HTTPException can make a response and is not one itself: it can be raised anywhere, is caught by its
class, and an error handler may answer it in another form. The names are those of RFC 9110.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from .problems import problem_response
from .response import Response, location_header, redirect

if TYPE_CHECKING:
    from yarl import URL

    from .request import Request


class HTTPException(Exception):
    """Raised to answer the request: ``detail`` is text for the client, the status's title if empty.

    ``headers`` are added to the response, and ``members`` to the problem details that clients get who prefer
    JSON (RFC 9457, 3): extensions, or ``type`` and ``instance``. A status that is missing here is made
    by a subclass: ``class HTTPTeapot(HTTPClientError, status=418, title="I'm a Teapot")``.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal Server Error"

    def __init__(
        self,
        detail: str = "",
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(detail, str):
            raise TypeError(_no_detail(type(self), detail))
        super().__init__(detail)
        self.detail = detail or self.title
        self.headers = dict(headers) if headers else {}
        self.members = dict(members) if members else {}

    def __init_subclass__(cls, *, status: int | None = None, title: str | None = None) -> None:
        super().__init_subclass__()
        if status is not None:
            cls.status = status
        if title is not None:
            cls.title = title

    def __str__(self) -> str:
        return f"{self.status} {self.detail}"

    def response(self, request: Request[Any] | None = None) -> Response:
        """Make the answer: problem details, a page or text, as the request prefers; text without one."""
        return problem_response(self, request)


def _no_detail(kind: type[HTTPException], detail: object) -> str:
    """Say what to write instead: other frameworks take the status here."""
    for group in (HTTPRedirection, HTTPClientError, HTTPServerError):
        for each in group.__subclasses__():
            if each.status == detail:
                return f"each status has its own class: write {each.__name__}(...) for {detail}"
    return f"the detail of {kind.__name__} is text, not {type(detail).__name__}"


class HTTPRedirection(HTTPException):
    """3xx: what is asked for is at ``location``, a URL that may be relative to the request's."""

    def __init__(self, location: str | URL, *, headers: Mapping[str, str] | None = None) -> None:
        self.location = str(location)
        # Among the headers, so that an error handler that keeps these still redirects.
        super().__init__(headers={**(headers or {}), "location": location_header(location)})

    def response(self, request: Request[Any] | None = None) -> Response:
        """Make the answer: no body, and the location."""
        return redirect(self.location, self.status, headers=self.headers)


class HTTPClientError(HTTPException):
    """4xx: the request cannot be answered as it is."""


class HTTPServerError(HTTPException):
    """5xx: the request may be right, but it cannot be answered here or now."""


class HTTPMovedPermanently(HTTPRedirection, status=301, title="Moved Permanently"):
    """301: for good; clients may turn a POST into a GET (RFC 9110, 15.4.2)."""


class HTTPFound(HTTPRedirection, status=302, title="Found"):
    """302: for now; clients may turn a POST into a GET (RFC 9110, 15.4.3)."""


class HTTPSeeOther(HTTPRedirection, status=303, title="See Other"):
    """303: the answer to a POST is there, to be fetched by GET (RFC 9110, 15.4.4)."""


class HTTPTemporaryRedirect(HTTPRedirection, status=307, title="Temporary Redirect"):
    """307: for now, with the same method and body (RFC 9110, 15.4.8)."""


class HTTPPermanentRedirect(HTTPRedirection, status=308, title="Permanent Redirect"):
    """308: for good, with the same method and body (RFC 9110, 15.4.9)."""


class HTTPBadRequest(HTTPClientError, status=400, title="Bad Request"):
    """400: the request makes no sense (RFC 9110, 15.5.1)."""


class HTTPUnauthorized(HTTPClientError, status=401, title="Unauthorized"):
    """401: say who you are; needs a WWW-Authenticate header (RFC 9110, 15.5.2)."""


class HTTPPaymentRequired(HTTPClientError, status=402, title="Payment Required"):
    """402: reserved, used by shops for what it says (RFC 9110, 15.5.3)."""


class HTTPForbidden(HTTPClientError, status=403, title="Forbidden"):
    """403: understood and refused (RFC 9110, 15.5.4)."""


class HTTPNotFound(HTTPClientError, status=404, title="Not Found"):
    """404: nothing is here (RFC 9110, 15.5.5)."""


class HTTPMethodNotAllowed(HTTPClientError, status=405, title="Method Not Allowed"):
    """405: not with this method; ``allow`` names those that work (RFC 9110, 15.5.6)."""

    def __init__(
        self, allow: Iterable[str], detail: str = "", *, headers: Mapping[str, str] | None = None
    ) -> None:
        self.allow = sorted(allow)
        super().__init__(detail, headers={"allow": ", ".join(self.allow), **(headers or {})})


class HTTPNotAcceptable(HTTPClientError, status=406, title="Not Acceptable"):
    """406: not in a form that the client accepts (RFC 9110, 15.5.7)."""


class HTTPProxyAuthenticationRequired(HTTPClientError, status=407, title="Proxy Authentication Required"):
    """407: say to the proxy who you are (RFC 9110, 15.5.8)."""


class HTTPRequestTimeout(HTTPClientError, status=408, title="Request Timeout"):
    """408: the request took too long to arrive (RFC 9110, 15.5.9)."""


class HTTPConflict(HTTPClientError, status=409, title="Conflict"):
    """409: against the present state of what is here (RFC 9110, 15.5.10)."""


class HTTPGone(HTTPClientError, status=410, title="Gone"):
    """410: was here, and will not come back (RFC 9110, 15.5.11)."""


class HTTPLengthRequired(HTTPClientError, status=411, title="Length Required"):
    """411: not without a Content-Length (RFC 9110, 15.5.12)."""


class HTTPPreconditionFailed(HTTPClientError, status=412, title="Precondition Failed"):
    """412: a condition in the request's headers is false (RFC 9110, 15.5.13)."""


class HTTPContentTooLarge(HTTPClientError, status=413, title="Content Too Large"):
    """413: the body is larger than the limit (RFC 9110, 15.5.14)."""


class HTTPURITooLong(HTTPClientError, status=414, title="URI Too Long"):
    """414: the target is longer than the limit (RFC 9110, 15.5.15)."""


class HTTPUnsupportedMediaType(HTTPClientError, status=415, title="Unsupported Media Type"):
    """415: the body is in a form that is not understood (RFC 9110, 15.5.16)."""


class HTTPRangeNotSatisfiable(HTTPClientError, status=416, title="Range Not Satisfiable"):
    """416: no byte of the range is there (RFC 9110, 15.5.17)."""


class HTTPExpectationFailed(HTTPClientError, status=417, title="Expectation Failed"):
    """417: the Expect header asks for too much (RFC 9110, 15.5.18)."""


class HTTPMisdirectedRequest(HTTPClientError, status=421, title="Misdirected Request"):
    """421: this server does not answer for that host (RFC 9110, 15.5.20)."""


class HTTPUnprocessableContent(HTTPClientError, status=422, title="Unprocessable Content"):
    """422: the body is well formed and says what cannot be (RFC 9110, 15.5.21)."""


class HTTPLocked(HTTPClientError, status=423, title="Locked"):
    """423: somebody holds a lock on it (RFC 4918, 11.3)."""


class HTTPFailedDependency(HTTPClientError, status=424, title="Failed Dependency"):
    """424: something that this depends on has failed (RFC 4918, 11.4)."""


class HTTPTooEarly(HTTPClientError, status=425, title="Too Early"):
    """425: not in early data that might be replayed (RFC 8470, 5.2)."""


class HTTPUpgradeRequired(HTTPClientError, status=426, title="Upgrade Required"):
    """426: only over another protocol; needs an Upgrade header (RFC 9110, 15.5.22)."""


class HTTPPreconditionRequired(HTTPClientError, status=428, title="Precondition Required"):
    """428: only with a condition, so that no update gets lost (RFC 6585, 3)."""


class HTTPTooManyRequests(HTTPClientError, status=429, title="Too Many Requests"):
    """429: slower; a Retry-After header says when (RFC 6585, 4)."""


class HTTPRequestHeaderFieldsTooLarge(HTTPClientError, status=431, title="Request Header Fields Too Large"):
    """431: the headers are larger than the limit (RFC 6585, 5)."""


class HTTPUnavailableForLegalReasons(HTTPClientError, status=451, title="Unavailable For Legal Reasons"):
    """451: somebody's law forbids it (RFC 7725, 3)."""


class HTTPInternalServerError(HTTPServerError, status=500, title="Internal Server Error"):
    """500: a fault on this side (RFC 9110, 15.6.1)."""


class HTTPNotImplemented(HTTPServerError, status=501, title="Not Implemented"):
    """501: this server cannot do that for anything (RFC 9110, 15.6.2)."""


class HTTPBadGateway(HTTPServerError, status=502, title="Bad Gateway"):
    """502: a server behind this one answered nonsense (RFC 9110, 15.6.3)."""


class HTTPServiceUnavailable(HTTPServerError, status=503, title="Service Unavailable"):
    """503: not now; a Retry-After header may say when (RFC 9110, 15.6.4)."""


class HTTPGatewayTimeout(HTTPServerError, status=504, title="Gateway Timeout"):
    """504: a server behind this one did not answer in time (RFC 9110, 15.6.5)."""


class HTTPVersionNotSupported(HTTPServerError, status=505, title="HTTP Version Not Supported"):
    """505: not in this version of HTTP (RFC 9110, 15.6.6)."""


class HTTPVariantAlsoNegotiates(HTTPServerError, status=506, title="Variant Also Negotiates"):
    """506: content negotiation runs in a circle (RFC 2295, 8.1)."""


class HTTPInsufficientStorage(HTTPServerError, status=507, title="Insufficient Storage"):
    """507: no room to keep it (RFC 4918, 11.5)."""


class HTTPLoopDetected(HTTPServerError, status=508, title="Loop Detected"):
    """508: the operation runs in a circle (RFC 5842, 7.2)."""


class HTTPNetworkAuthenticationRequired(HTTPServerError, status=511, title="Network Authentication Required"):
    """511: log in to the network first (RFC 6585, 6)."""
