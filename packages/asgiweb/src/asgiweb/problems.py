"""The forms of an error's answer: problem details (RFC 9457), a page, or plain text.

The client's Accept decides (RFC 9110, 12.5.1): the form with the highest weight, and of several the one that
is named rather than covered by a wildcard. Who names none of them, or takes everything, gets text, and
problem details if it has sent JSON itself. Nobody is refused: an error in another form says more than a 406.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from multidict import CIMultiDict

from .asgi import Scope
from .headers import media_type
from .negotiation import elements
from .response import Response, html_response, json_response

if TYPE_CHECKING:
    from .exceptions import HTTPException
    from .request import Request


class Form(enum.Enum):
    """What an error is written as."""

    PROBLEM = "application/problem+json"
    PAGE = "text/html"
    TEXT = "text/plain"


#: Characters of an Accept that is remembered with its form; browsers need about 150.
_REMEMBERED = 512

#: Pages load nothing and run nothing; the hash is that of the style below (CSP 3, 2.3.1).
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src 'sha256-{}'"
)

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:1.05rem/1.6 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center}"
    "main{box-sizing:border-box;width:100%;max-width:38rem;padding:1.5rem}"
    "h1{font-size:1.7rem;line-height:1.25;margin:0}"
    "h1 small{display:block;font-size:1rem;font-weight:400;opacity:.75;margin-bottom:.4rem}"
    "p{margin:1rem 0 0;white-space:pre-line;overflow-wrap:anywhere}"
)
_STYLE_HASH = "1oktSKCi5dFBndOmR1aBuzzzyPAh4cvuJprMebEycdw="

_PAGE_POLICY = POLICY.format(_STYLE_HASH)


def problem_response(error: HTTPException, request: Request[Any] | None) -> Response:
    """Answer an HTTPException in the form that the request prefers; as text if there is no request."""
    if request is None:
        return Response(_printable(error.detail), error.status, headers=error.headers)
    form = preferred_form(request.scope)
    if error.detail == error.title and not error.headers and not error.members:
        body, headers = _bare(error.status, error.title, form)
        return Response(body, error.status, headers=headers)
    return _written(error.status, error.title, _printable(error.detail), error.headers, error.members, form)


# Most errors say no more than their status: so a 404 takes 1.3 us less, and scanners want thousands.
@lru_cache(maxsize=256)
def _bare(status: int, title: str, form: Form) -> tuple[bytes, CIMultiDict[str]]:
    response = _written(status, title, title, {}, {}, form)
    return response.body, response.headers


def _written(
    status: int,
    title: str,
    detail: str,
    headers: Mapping[str, str],
    members: Mapping[str, Any],
    form: Form,
) -> Response:
    headers = vary_by_accept(headers)
    if form is Form.TEXT:
        return Response(detail, status, headers=headers)
    if form is Form.PAGE:
        headers.setdefault("content-security-policy", _PAGE_POLICY)
        return html_response(_page(status, title, detail), status, headers=headers)
    problem = {"type": "about:blank", "title": title, "status": status}
    if detail != title:
        problem["detail"] = detail
    # Members may say of which type the problem is, and so what its title is.
    return json_response({**problem, **members}, status, headers=headers, content_type=form.value)


def _printable(detail: str) -> str:
    """Return what can be sent: it may hold what is no Unicode, such as the name of a file (os.fsdecode)."""
    return detail.encode(errors="backslashreplace").decode()


def vary_by_accept(headers: Mapping[str, str]) -> dict[str, str]:
    """Return a copy that tells caches that Accept decides (RFC 9110, 12.5.5)."""
    if not headers:
        return {"vary": "accept"}
    varied = {name.lower(): value for name, value in headers.items()}
    varied["vary"] = f"{varied['vary']}, accept" if "vary" in varied else "accept"
    return varied


def preferred_form(scope: Scope) -> Form:
    """Return the form that the client of a request prefers."""
    accept = content_type = b""
    for name, value in scope.get("headers", ()):
        if name == b"accept":
            accept = accept + b"," + value if accept else value
        elif name == b"content-type":
            content_type = value
    choose = _choose if len(accept) <= _REMEMBERED else _choose.__wrapped__
    form = choose(accept)
    if form is None:
        kind = media_type(content_type.decode("latin-1")) if content_type else ""
        return Form.PROBLEM if kind == "application/json" or kind.endswith("+json") else Form.TEXT
    return form


@lru_cache(maxsize=128)
def _choose(accept: bytes) -> Form | None:
    """Return the form that an Accept prefers; None if it prefers none."""
    # Whatever parameters a client names beside the weight: an error of that type is better than another.
    ranges = {element.value: element.q for element in elements(accept.decode("latin-1"))}
    # A client of an interface names JSON, and rarely the form in which its errors come.
    kinds = {
        Form.PROBLEM: ("application/problem+json", "application/json"),
        Form.PAGE: ("text/html", "application/xhtml+xml"),
        Form.TEXT: ("text/plain",),
    }
    ranked = [(max(_rank(kind, ranges) for kind in kinds[form]), form) for form in kinds]
    (weight, named), form = max(ranked, key=lambda pair: pair[0])
    if not weight or not named:
        return None
    # "text/*" covers two: it is text.
    return Form.TEXT if named == 1 and ranked[-1][0] == (weight, named) else form


def _rank(kind: str, ranges: dict[str, float]) -> tuple[float, int]:
    """Return the weight of a media type, and how precisely the range that gives it names the type."""
    for precision, media_range in ((2, kind), (1, kind.partition("/")[0] + "/*"), (0, "*/*")):
        if media_range in ranges:
            return ranges[media_range], precision
    return 0.0, 0


def _page(status: int, title: str, detail: str) -> str:
    # It brings a table of all entities, which a program without pages need not load.
    from html import escape

    text = "" if detail == title else f"<p>{escape(detail)}</p>"
    heading = escape(title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{status} {heading}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1><small>{status}</small> {heading}</h1>{text}</main></body></html>\n"
    )
