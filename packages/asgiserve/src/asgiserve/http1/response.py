"""Response heads: checking what an application passes, and rendering it (RFC 9112 §4, §5).

Nothing an application passes reaches the wire unchecked. What was checked and rendered is kept in bounded
tables: fields, and whole heads of such fields, so that a head that an application passes often costs one
lookup in a dictionary.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

#: A name is a token, in any case; a value has no control character but tab (RFC 9110 §5.1, §5.5).
_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")

#: Entries of the tables, and the longest entry that is kept: of each, 2 MiB at the very worst.
_LINES: Final = 2048
_LINE_SIZE: Final = 1024
_HEADS: Final = 1024
_HEAD_SIZE: Final = 2048


#: RFC 9110's phrases, where Python before 3.13 has older ones.
_PHRASES: Final = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def _status_line(status: int) -> bytes:
    try:
        phrase = _PHRASES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        phrase = ""  # RFC 9112 §4: the phrase may be empty, the space before it may not be missing
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


_STATUS_LINES: Final = {status: _status_line(status) for status in range(100, 1000)}

#: Statuses whose responses end with their head (RFC 9110 §6.4.1; 205 must not have content, §15.3.6).
_WITHOUT_CONTENT: Final = frozenset({*range(100, 200), 204, 205, 304})
#: Statuses without the Content-Length that an application declares (RFC 9110 §8.6, §15.3.6).
_WITHOUT_LENGTH: Final = frozenset({*range(100, 200), 204, 205})

#: Which of the server's own fields an application has replaced, as bits.
_DATE: Final = 1
_SERVER: Final = 2


#: Fields that say how to take a message, or who may; behind its body they come too late (RFC 9110 §6.5.1).
_NO_TRAILERS: Final = frozenset(
    b"""
    transfer-encoding content-length host connection keep-alive upgrade trailer te
    authorization proxy-authorization proxy-authenticate www-authenticate cookie set-cookie
    cache-control expect max-forwards pragma range if-match if-none-match if-modified-since
    if-unmodified-since if-range age expires date location retry-after vary warning
    content-encoding content-type content-range
    """.split()
)


class ResponseHead:
    """A checked head, rendered but for what depends on the request and on the time; it never changes."""

    __slots__ = ("close", "content_length", "has_content", "lines", "replaced", "status")

    def __init__(self, status: int) -> None:
        self.status = status
        self.lines = _STATUS_LINES[status]  # the status line, then the fields
        self.content_length: int | None = None  # as the application declared it
        self.replaced = 0  # which of our own fields the application passes itself: _DATE | _SERVER
        self.has_content = status not in _WITHOUT_CONTENT
        #: The connection ends with this response; also with one that is not final, as none will follow.
        self.close = status < 200


def wrong_length(declared: int, passed: int) -> ValueError:
    """What `send` raises for a body that contradicts its declared length."""
    return ValueError(f"the response declares Content-Length: {declared}, but its body has {passed} bytes")


class ResponseRenderer:
    """Checks and renders response heads for all connections of one event loop."""

    def __init__(
        self, *, server_header: bool, date_header: bool, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> None:
        self._lines: dict[tuple[bytes, bytes], bytes] = {}
        self._heads: dict[tuple[int, tuple[tuple[bytes, bytes], ...]], ResponseHead] = {}
        self._server = b"server: asgiserve\r\n" if server_header else b""
        self._date_header = date_header
        self._extra = b"".join(_render(name, value) for name, value in headers)
        self.own: tuple[bytes, bytes, bytes, bytes]
        self.refresh_date()

    def refresh_date(self) -> None:
        """Render the server's own fields anew: Date (RFC 9110 §6.6.1) changes every second."""
        date = f"date: {formatdate(usegmt=True)}\r\n".encode() if self._date_header else b""
        end = self._extra + b"\r\n"
        # One for each combination of `replaced`.
        self.own = (date + self._server + end, self._server + end, date + end, end)

    def check(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> ResponseHead:
        """Check what an application passed with ``http.response.start``, and render it as far as possible.

        Raises TypeError or ValueError that names what is wrong, before anything has changed.
        """
        headers = tuple(headers)
        try:
            head = self._heads.get((status, headers))
        except TypeError:  # a pair that is a list has no hash
            return self._check_new(status, headers)[0]
        if head is not None and isinstance(status, int):  # 200.0 equals a number that is known, too
            for name, value in headers:
                if type(name) is not bytes or type(value) is not bytes:  # and a memoryview equals bytes
                    break
            else:
                return head
        head, common = self._check_new(status, headers)
        if common and len(head.lines) <= _HEAD_SIZE:
            if len(self._heads) >= _HEADS:
                self._heads.clear()
            self._heads[status, headers] = head
        return head

    def check_trailers(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Check the fields behind a body, and render them (RFC 9110 §6.5).

        Raises TypeError or ValueError that names what is wrong.
        """
        lines = []
        for name, value in headers:
            lines.append(_render(name, value))
            if name.lower() in _NO_TRAILERS:
                raise ValueError(f"{name!r} cannot be a trailer (RFC 9110, section 6.5.1)")
        return b"".join(lines)

    def check_links(self, links: Iterable[bytes]) -> bytes:
        """Check the links of an early hint, and render it (RFC 8297); nothing if there are none.

        Raises TypeError or ValueError that names what is wrong.
        """
        lines = [_render(b"link", link) for link in links]
        return b"".join((b"HTTP/1.1 103 Early Hints\r\n", *lines, b"\r\n")) if lines else b""

    def _check_new(self, status: int, headers: tuple[tuple[bytes, bytes], ...]) -> tuple[ResponseHead, bool]:
        """Check a head that is not in the table; return it, and whether all its fields were seen before."""
        if not isinstance(status, int) or isinstance(status, bool):
            raise TypeError(f"the status must be an int, not {status!r}")
        if status not in _STATUS_LINES:
            raise ValueError(f"the status must lie between 100 and 999, not {status}")
        head = ResponseHead(status)
        lines = [head.lines]
        common = True
        for name, value in headers:
            try:
                line = self._lines.get((name, value)) if type(value) is bytes else None
            except TypeError:  # not hashable, so not bytes: _render says so
                line = None
            if line is None:
                line = self._render_new(head, name, value)
                common = common and name == b"content-length"
            lines.append(line)
        if status == 205:
            lines.append(b"content-length: 0\r\n")  # RFC 9110 §15.3.6
        head.lines = b"".join(lines)
        return head, common

    def _render_new(self, head: ResponseHead, name: bytes, value: bytes) -> bytes:
        """Render a field that is not in the table; the fields that mean something to us never get there."""
        line = _render(name, value)
        name = name.lower()
        special = _SPECIAL.get(name)
        if special is not None:
            return line if special(head, value) else b""
        if len(line) <= _LINE_SIZE and name != b"set-cookie":  # it differs, and may be secret
            if len(self._lines) >= _LINES:
                self._lines.clear()
            self._lines[name, value] = line
        return line


def _render(name: bytes, value: bytes) -> bytes:
    if not isinstance(name, bytes) or not isinstance(value, bytes):
        raise TypeError(f"header names and values must be bytes, not {name!r}: {value!r}")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a header name (RFC 9110, section 5.1)")
    if not _VALUE.fullmatch(value):
        raise ValueError(
            f"the value of {name!r} holds a control character: {value!r} (RFC 9110, section 5.5)"
        )
    return b"%b: %b\r\n" % (name, value)


def _content_length(head: ResponseHead, value: bytes) -> bool:
    if not value.isdigit() or len(value) > 18:
        raise ValueError(f"Content-Length must be a number of bytes, not {value!r}")
    length = int(value)
    first = head.content_length is None
    if not first and head.content_length != length:
        raise ValueError(f"two lengths are declared: {head.content_length} and {length}")
    head.content_length = length
    return first and head.status not in _WITHOUT_LENGTH


def _transfer_encoding(head: ResponseHead, value: bytes) -> bool:
    return False  # the server alone decides on chunked, and must ignore the field (ASGI HTTP)


def _connection(head: ResponseHead, value: bytes) -> bool:
    options = [option.strip() for option in value.lower().split(b",")]
    if b"close" in options:
        head.close = True
    # Hop-by-hop, and so the server's own (§7.6.1); but a 426 has to say what to upgrade to (RFC 9110 §7.8).
    return head.status == HTTPStatus.UPGRADE_REQUIRED and options == [b"upgrade"]


def _replace(field: int) -> Callable[[ResponseHead, bytes], bool]:
    def replace(head: ResponseHead, value: bytes) -> bool:
        first = not head.replaced & field
        head.replaced |= field
        return first

    return replace


#: Fields that mean something to the server: each notes what it says, and tells whether to write it.
_SPECIAL: Final[dict[bytes, Callable[[ResponseHead, bytes], bool]]] = {
    b"content-length": _content_length,
    b"transfer-encoding": _transfer_encoding,
    b"connection": _connection,
    b"date": _replace(_DATE),
    b"server": _replace(_SERVER),
}
