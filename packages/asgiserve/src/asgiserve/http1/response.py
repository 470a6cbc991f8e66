"""Responses: checking what an application passes, rendering the head, framing the body (RFC 9112 §4 to §7).

Nothing an application passes reaches the wire unchecked. A field is checked and rendered once for each
(name, value) pair and kept in a bounded table, so that the common ones cost a dictionary lookup.
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

#: Entries of the table of rendered lines, and the longest line that is kept: 2 MiB at the very worst.
_TABLE_SIZE: Final = 2048
_TABLE_LINE: Final = 1024


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

#: Which of the server's own fields an application has replaced, as bits.
_DATE: Final = 1
_SERVER: Final = 2


class Response:
    """A checked response: its head, rendered as far as it is known, then the framing of its body."""

    # Defaults of the class, because most responses leave them as they are.
    content_length: int | None = None  # as the application declared it
    replaced = 0  # which of our own fields the application passes itself: _DATE | _SERVER
    close = False  # the connection ends with this response
    silent = False  # no content may be sent, whatever the application passes
    chunked = False
    remaining: int | None = None  # of the declared length
    size = 0  # content written, in bytes

    def __init__(self, status: int, lines: list[bytes]) -> None:
        self.status = status
        self.lines = lines
        if status < 200:
            self.close = True  # the client waits for a final response, and none will follow

    @property
    def until_close(self) -> bool:
        """Whether the body is ended by the end of the connection (RFC 9112 §6.3)."""
        return not self.silent and not self.chunked and self.remaining is None

    def begin(self, method: str, http_version: str, body: bytes, more: bool) -> bytes:
        """Decide the framing, now that the first piece of the body is known; return its field.

        Raises ValueError, with nothing changed, if that piece contradicts the declared Content-Length.
        """
        length = self.content_length
        if method == "HEAD" or self.status in _WITHOUT_CONTENT:
            self.silent = True
            return self._bodiless_length(body, more)
        if length is None:
            if more:
                if http_version == "1.1":
                    self.chunked = True
                    return b"transfer-encoding: chunked\r\n"
                self.close = True  # HTTP/1.0: the end of the connection ends the body (RFC 9112 §6.3)
                return b""
            length = len(body)
        elif len(body) > length or (not more and len(body) < length):
            raise _wrong_length(length, len(body))
        self.remaining = length
        return b"content-length: %d\r\n" % length

    def _bodiless_length(self, body: bytes, more: bool) -> bytes:
        """Content-Length where no content follows (RFC 9110 §8.6): what a GET would get, or nothing."""
        if self.status == 205:
            return b"content-length: 0\r\n"
        if self.status < 200 or self.status == 204:
            return b""
        length = self.content_length
        if length is None and not more and self.status != 304:
            length = len(body)
        return b"" if length is None else b"content-length: %d\r\n" % length

    def frame(self, body: bytes, more: bool) -> bytes:
        """Put the framing around a piece of the body.

        Raises ValueError, with nothing changed, if the body gets longer, or ends shorter, than declared.
        """
        if self.silent:
            return b""
        size = len(body)
        if self.remaining is not None:
            if size > self.remaining or (not more and size < self.remaining):
                raise _wrong_length(self.size + self.remaining, self.size + size)
            self.remaining -= size
        elif self.chunked:
            if body:
                body = b"%x\r\n%b\r\n" % (size, body)
            if not more:
                body += b"0\r\n\r\n"
        self.size += size
        return body


def _wrong_length(declared: int, passed: int) -> ValueError:
    return ValueError(f"the response declares Content-Length: {declared}, but its body has {passed} bytes")


class ResponseRenderer:
    """Checks and renders response heads for all connections of one event loop."""

    def __init__(
        self, *, server_header: bool, date_header: bool, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> None:
        self._table: dict[tuple[bytes, bytes], bytes] = {}
        self._server = b"server: asgiserve\r\n" if server_header else b""
        self._date_header = date_header
        self._extra = b"".join(_render(name, value) for name, value in headers)
        self.own: tuple[bytes, bytes, bytes, bytes]
        self.refresh_date()

    def refresh_date(self) -> None:
        """Render the server's own fields anew: Date (RFC 9110 §6.6.1) changes every second."""
        date = f"date: {formatdate(usegmt=True)}\r\n".encode() if self._date_header else b""
        rest = self._extra
        # One for each combination of `replaced`.
        self.own = (date + self._server + rest, self._server + rest, date + rest, rest)

    def check(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Response:
        """Check what an application passed with ``http.response.start``, and render it as far as possible.

        Raises TypeError or ValueError that names what is wrong, before anything has changed.
        """
        if not isinstance(status, int) or isinstance(status, bool):
            raise TypeError(f"the status must be an int, not {status!r}")
        if status not in _STATUS_LINES:
            raise ValueError(f"the status must lie between 100 and 999, not {status}")
        response = Response(status, [_STATUS_LINES[status]])
        lines = response.lines
        table = self._table
        for name, value in headers:
            if name == b"content-length" and type(value) is bytes:
                # It differs with each response, and its own check is stricter than that of others.
                _content_length(response, value)
                continue
            try:
                line = table.get((name, value))
            except TypeError:  # unhashable, so not bytes: _render says so
                line = None
            lines.append(self._render_new(response, name, value) if line is None else line)
        return response

    def _render_new(self, response: Response, name: bytes, value: bytes) -> bytes:
        """Render a field that is not in the table; the fields that mean something to us never get there."""
        line = _render(name, value)
        special = _SPECIAL.get(name.lower())
        if special is not None:
            return line if special(response, value) else b""
        if len(line) <= _TABLE_LINE and name.lower() != b"set-cookie":  # it differs, and may be secret
            if len(self._table) >= _TABLE_SIZE:
                self._table.clear()
            self._table[name, value] = line
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


def _content_length(response: Response, value: bytes) -> bool:
    if not value.isdigit() or len(value) > 18:
        raise ValueError(f"Content-Length must be a number of bytes, not {value!r}")
    length = int(value)
    if response.content_length not in (None, length):
        raise ValueError(f"two lengths are declared: {response.content_length} and {length}")
    response.content_length = length
    return False  # `begin` writes it, once


def _transfer_encoding(response: Response, value: bytes) -> bool:
    return False  # the server alone decides on chunked, and must ignore the field (ASGI HTTP)


def _connection(response: Response, value: bytes) -> bool:
    if b"close" in [option.strip() for option in value.lower().split(b",")]:
        response.close = True
    return False  # hop-by-hop, and so the server's own (RFC 9110 §7.6.1)


def _replace(field: int) -> Callable[[Response, bytes], bool]:
    def replace(response: Response, value: bytes) -> bool:
        first = not response.replaced & field
        response.replaced |= field
        return first

    return replace


#: Fields that mean something to the server: each notes what it says, and tells whether to write it.
_SPECIAL: Final[dict[bytes, Callable[[Response, bytes], bool]]] = {
    b"content-length": _content_length,
    b"transfer-encoding": _transfer_encoding,
    b"connection": _connection,
    b"date": _replace(_DATE),
    b"server": _replace(_SERVER),
}
