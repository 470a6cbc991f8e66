"""Two parsers for the head of a request behind one call: httptools (llhttp, in C) and h11 (pure Python).

Both are given exactly one head, up to and with its empty line, and only read its fields. Bodies never
reach them, for three reasons seen on the wire: httptools reports chunked trailers as if they were
headers, it drops the body of a request whose Upgrade is not taken, and neither tells where in the input
a pipelined request begins. A head at a time also needs no parser per connection, so an idle one is small.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from ..errors import ConfigError, RequestRefused
from ..types import HeaderList
from .request import RULES, RequestHead, read_head, refusal

if TYPE_CHECKING:
    import h11


class HeadParser(Protocol):
    """What the connection needs of a parser."""

    def parse(self, data: bytes) -> RequestHead:
        """Read one complete head; raises RequestRefused when it cannot be served."""
        ...


class HttptoolsParser:
    """Heads read by llhttp, which checks names and values and calls `on_header` for each field."""

    def __init__(self) -> None:
        # Imported here: the package also runs where httptools has no wheel.
        from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

        self._parser: Callable[[object], HttpRequestParser] = HttpRequestParser
        self._error = HttpParserError
        self._upgrade = HttpParserUpgrade
        self._headers: HeaderList = []
        self._notable: HeaderList = []

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one field; llhttp leaves the white space behind a value (RFC 9112 §5.1)."""
        name = name.lower()
        field = (name, value.strip())
        self._headers.append(field)
        if name in RULES:
            self._notable.append(field)

    def parse(self, data: bytes) -> RequestHead:
        """Read one complete head; raises RequestRefused when it cannot be served."""
        headers: HeaderList = []
        notable: HeaderList = []
        self._headers = headers
        self._notable = notable
        line = data[: data.find(b"\r\n")]
        try:
            # A parser for each head costs 0.2 µs, and nothing that one client sent can reach another.
            self._parser(self).feed_data(data)
        except self._upgrade:
            pass  # an Upgrade that is not taken makes an ordinary request (RFC 9110 §7.8)
        except self._error as error:
            raise _explain(line, error) from None
        return read_head(line, headers, notable)


class H11Parser:
    """Heads read by h11, after a check of what it is more lenient about than llhttp and RFC 9112 §2.2."""

    def __init__(self) -> None:
        import h11

        self._h11 = h11

    def parse(self, data: bytes) -> RequestHead:
        """Read one complete head; raises RequestRefused when it cannot be served."""
        line, _, fields = data.partition(b"\r\n")
        if not _FIELDS.fullmatch(fields):
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "a header field is malformed")
        connection = self._h11.Connection(self._h11.SERVER, max_incomplete_event_size=len(data) + 1)
        connection.receive_data(data)
        try:
            event = connection.next_event()
        except self._h11.RemoteProtocolError as error:
            raise self._refusal(line, fields, error) from None
        headers: HeaderList = list(getattr(event, "headers", ()))
        return read_head(line, headers, [field for field in headers if field[0] in RULES])

    def _refusal(self, line: bytes, fields: bytes, error: h11.RemoteProtocolError) -> RequestRefused:
        """Let our own rules name the fault where they know it, so that both parsers answer alike."""
        headers: HeaderList = []
        for field in fields.splitlines()[:-1]:
            name, _, value = field.partition(b":")
            headers.append((name.lower(), value.strip()))
        try:
            read_head(line, headers, [field for field in headers if field[0] in RULES])
        except RequestRefused as refused:
            return refused
        return _explain(line, error)


def _explain(line: bytes, error: Exception) -> RequestRefused:
    """Blame the request line where it is at fault, and else the field that the parser stumbled over."""
    fault = refusal(line)
    if fault.status is not HTTPStatus.BAD_REQUEST:
        return fault
    return RequestRefused(HTTPStatus.BAD_REQUEST, str(error))


#: field-line of RFC 9112 §5 with the value of RFC 9110 §5.5: no folding, no control character but tab.
_FIELDS: Final = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n")


def head_parser(name: str) -> HeadParser:
    """The parser called `name`: ``auto`` is httptools where it can be imported, and h11 elsewhere."""
    for candidate, parser in (("httptools", HttptoolsParser), ("h11", H11Parser)):
        if name in ("auto", candidate):
            try:
                return parser()
            except ImportError:
                if name == candidate:
                    raise ConfigError(f"http: {name} is not installed; pip install {name}") from None
    raise ConfigError("http: neither httptools nor h11 is installed; pip install httptools")
