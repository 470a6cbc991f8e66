"""Hypothesis strategies: what applications may pass to `send`, right and wrong."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from hypothesis import strategies as st

#: What an application may do instead of sending something: wait until the head has left alone.
PAUSE: Final = "pause"

_JUNK: Final[st.SearchStrategy[Any]] = st.sampled_from(
    [None, True, 5, 1.5, "b", b"b", (), [], {}, [None], object]
)

# Fields
_PLAIN: Final = st.tuples(
    st.sampled_from(b"x-a X-B set-cookie".split()), st.sampled_from([b"b", b" b\t", b""])
)
_SPECIAL: Final = st.tuples(
    st.sampled_from(b"content-length Content-Length".split()), st.sampled_from([b"2", b"04"])
)
_SPECIAL_TOO: Final = st.sampled_from(
    b"connection:close|connection:x, Close|connection:keep-alive|transfer-encoding:chunked|content-length:0|"
    b"transfer-encoding:b|date:today|Date:b|Server:b|server:c".split(b"|")
).map(lambda line: tuple(line.split(b":")))
_GOOD_HEADERS: Final = st.lists(_PLAIN | _SPECIAL | _SPECIAL_TOO, max_size=3)

_BAD_NAMES: Final[list[Any]] = [
    *b",:status,x a,x-a:,x\r\ny,x\0,caf\xe9,x-a\n".split(b","),
    "x-a",
    None,
    bytearray(b"x-a"),
]
_BAD_VALUES: Final[list[Any]] = [
    *b"b\r\nx-c: d,b\n,\r,b\0,\x7f,\x1b[0m,2\r\n\r\nHTTP/1.1 200 OK".split(b","),
    *("b", 2, None, bytearray(b"b"), memoryview(b"b")),
]
_BAD_LENGTHS: Final = [*b"-2,+2,0x2,2\n, 2,2 2,two,".split(b","), b"9" * 19]
_BAD_FIELDS: Final[list[Any]] = [
    *((name, b"b") for name in _BAD_NAMES),
    *(
        (name, value)
        for name in (b"x-a", b"date", b"connection", b"transfer-encoding")
        for value in _BAD_VALUES
    ),
    *((b"content-length", length) for length in _BAD_LENGTHS),
    *((b"x-a",), (b"x-a", b"b", b"c"), b"x-a", None, 5),
]
_FIELDS: Final = st.sampled_from(_BAD_FIELDS) | st.tuples(st.binary(max_size=3), st.binary(max_size=3))
_HEADERS: Final = st.lists(_PLAIN | _FIELDS, max_size=3) | st.lists(_FIELDS | _JUNK, max_size=2) | _JUNK
_TRAILERS: Final = st.lists(
    st.tuples(st.sampled_from([b"x-sum", b"X-Sum", b"host"]), st.sampled_from([b"", b"b"])), max_size=2
)
_LINKS: Final = (
    st.lists(st.sampled_from([b"</a>", b"</b>; rel=preload", b"</c>\r\nx: d", "</d>", None]), max_size=2)
    | _JUNK
)

# Events
_GOOD_STATUSES: Final = st.sampled_from(
    [200, 200, HTTPStatus.CREATED, 404, 204, 205, 304, 101, 199, 299, 999]
)
_BAD_STATUSES: Final[list[Any]] = [-200, 0, 99, 1000, 2**64, 200.0, "200", b"200", None, True]
_STATUSES: Final = _GOOD_STATUSES | st.sampled_from(_BAD_STATUSES)
_GOOD_BODIES: Final = st.sampled_from(b"|b|bo|body|0\r\n\r\n|HTTP/1.1 200 OK\r\n\r\n".split(b"|"))
_BAD_BODIES: Final[list[Any]] = ["b", None, 5, [98], object]
_BODIES: Final = _GOOD_BODIES | st.sampled_from([bytearray(b"b"), memoryview(b"bo"), *_BAD_BODIES])
_FLAGS: Final[st.SearchStrategy[Any]] = st.sampled_from([True, False, None, 1])
_MORE: Final[st.SearchStrategy[Any]] = st.sampled_from([True, True, True, False, None, 0, 1, "yes", []])
_OTHER_TYPES: Final[list[Any]] = ["http.response.debug", "http.response", "websocket.send", "", None, 5, []]


def _event(kind: st.SearchStrategy[Any] | str, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An event that may lack any of these."""
    kinds = st.just(kind) if isinstance(kind, str) else kind
    return st.fixed_dictionaries({"type": kinds}, optional=values)


_GOOD_START: Final = st.fixed_dictionaries(
    {"type": st.just("http.response.start"), "status": _GOOD_STATUSES, "headers": _GOOD_HEADERS},
    optional={"trailers": _FLAGS},
)
_GOOD_PIECE: Final = st.fixed_dictionaries(
    {"type": st.just("http.response.body"), "body": _GOOD_BODIES, "more_body": _MORE}
)
_EXTENSION: Final = _event(
    "http.response.trailers", headers=_TRAILERS | _HEADERS, more_trailers=_FLAGS
) | _event("http.response.early_hint", links=_LINKS)
_ANYTHING: Final = (
    _event("http.response.start", status=_STATUSES, headers=_HEADERS, trailers=_FLAGS)
    | _EXTENSION
    | _event("http.response.body", body=_BODIES, more_body=_MORE)
    | _event(st.sampled_from(_OTHER_TYPES), status=_STATUSES, body=_BODIES)
    | _JUNK
    | st.just(PAUSE)
)


#: Events with exactly one thing wrong with them, whatever came before.
WRONG: Final[list[Any]] = [
    *({"type": "http.response.start", "status": status, "headers": []} for status in _BAD_STATUSES),
    *(
        {"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"b"), bad]}
        for bad in _BAD_FIELDS
    ),
    *({"type": "http.response.start", "status": 200, "headers": bad} for bad in (None, 5, True)),
    *({"type": "http.response.body", "body": body} for body in _BAD_BODIES),
    *({"type": "http.response.body", "body": body, "more_body": True} for body in _BAD_BODIES),
    *({"type": "http.response.trailers", "headers": [(b"x-a", b"b"), bad]} for bad in _BAD_FIELDS),
    *({"type": kind} for kind in _OTHER_TYPES),
    *({"type": "http.response.start"}, {"type": "http.response.trailers"}, {}, None, 5, []),
]

#: Pieces of a body of 2 bytes that are too long, or end it too soon, as the first piece or behind one byte.
WRONG_FOR_LENGTH_2: Final[list[Any]] = [
    {"type": "http.response.body", "body": body, "more_body": more}
    for body, more in ((b"", False), (b"bcd", False), (b"bcd", True))
]


@st.composite
def programs(draw: st.DrawFn) -> list[Any]:
    """What an application sends, one after the other: a response that could be right, and anything else."""
    events = draw(st.lists(st.sampled_from(WRONG) | _ANYTHING, max_size=2))
    events.append(draw(_GOOD_START))
    return events + draw(st.lists(_GOOD_PIECE | _GOOD_PIECE | _EXTENSION | _ANYTHING, max_size=4))
