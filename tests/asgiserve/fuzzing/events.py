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

_NAMES: Final = st.sampled_from(
    b"x-a,date,connection,content-length,,:status,x a,x-a:,x\r\ny,x\0,caf\xe9,x-a\n".split(b",")
)
_VALUES: Final = st.sampled_from(
    b"b,-2,+2,0x2,b\r\nx-c: d,b\n,2\n,\r,b\0,\x7f,\x1b[0m,2\r\n\r\nHTTP/1.1 200 OK".split(b",")
)
_NO_BYTES: Final = st.sampled_from(["b", 2, None, bytearray(b"b"), memoryview(b"b")])
_FIELDS: Final = st.tuples(_NAMES | st.binary(max_size=3), _VALUES | st.binary(max_size=3) | _NO_BYTES)
_HEADERS: Final = (
    st.lists(_PLAIN | _FIELDS, max_size=3) | st.lists(_FIELDS.map(list) | _JUNK, max_size=2) | _JUNK
)
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
_STATUSES: Final = _GOOD_STATUSES | st.sampled_from(
    [-200, 0, 99, 1000, 2**64, 200.0, "200", b"200", None, True]
)
_GOOD_BODIES: Final = st.sampled_from(b"|b|bo|body|0\r\n\r\n|HTTP/1.1 200 OK\r\n\r\n".split(b"|"))
_BODIES: Final = _GOOD_BODIES | st.sampled_from(
    [bytearray(b"b"), memoryview(b"bo"), "b", None, 5, [98], object]
)
_FLAGS: Final[st.SearchStrategy[Any]] = st.sampled_from([True, False, None, 1])
_MORE: Final[st.SearchStrategy[Any]] = st.sampled_from([True, True, True, False, None, 0, 1, "yes", []])
_OTHER_TYPES: Final[st.SearchStrategy[Any]] = st.sampled_from(
    ["http.response.debug", "http.response", "websocket.send", "", None, 5, []]
)


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
    | _event(_OTHER_TYPES, status=_STATUSES, body=_BODIES)
    | _JUNK
    | st.just(PAUSE)
)


@st.composite
def programs(draw: st.DrawFn) -> list[Any]:
    """What an application sends, one after the other: a response that could be right, and anything else."""
    events = draw(st.lists(_ANYTHING, max_size=2))
    events.append(draw(_GOOD_START))
    return events + draw(st.lists(_GOOD_PIECE | _GOOD_PIECE | _EXTENSION | _ANYTHING, max_size=4))
