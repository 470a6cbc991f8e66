"""Two parsers for the head of a request behind one call: httptools (llhttp, in C) and h11 (pure Python).

Both are given exactly one head, up to and with its empty line, and only say whether its grammar is right
(RFC 9112 §3, §5); what it means is decided in `request`, once for both. Bodies never reach them, for three
reasons seen on the wire: httptools reports chunked trailers as if they were header fields, it drops the body
of a request whose Upgrade is not taken, and neither tells where in the input a pipelined request begins.
A head at a time also needs no parser per connection, so an idle one is small.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Final, Protocol

from ..errors import ConfigError, RequestRefused
from .request import RequestHead, read_head


class HeadParser(Protocol):
    """What the connection needs of a parser."""

    def parse(self, data: bytes) -> RequestHead:
        """Read one complete head; raises RequestRefused when it cannot be served."""
        ...


class HttptoolsParser:
    """Heads checked by llhttp."""

    def __init__(self) -> None:
        # Imported here: the package also runs where httptools has no wheel.
        from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

        self._parser: Callable[[object], HttpRequestParser] = HttpRequestParser
        self._error = HttpParserError
        self._upgrade = HttpParserUpgrade

    def parse(self, data: bytes) -> RequestHead:
        """Read one complete head; raises RequestRefused when it cannot be served."""
        try:
            # A parser for each head costs 0.2 µs, and nothing that one client sent can reach another. It has
            # no callbacks: splitting a head that is known to be right is faster than a call for each field.
            self._parser(None).feed_data(data)
        except self._upgrade:
            pass  # an Upgrade that is not taken makes an ordinary request (RFC 9110 §7.8)
        except self._error as error:
            trimmed = _CODING.sub(rb"\1", data)
            if trimmed == data:
                raise _refusal(data) from error
            return self.parse(trimmed)  # llhttp takes a tab behind a transfer coding for a part of it
        return read_head(data)


class H11Parser:
    """Heads checked by h11, and by us where it is more lenient than llhttp and RFC 9112 §2.2."""

    def __init__(self) -> None:
        import h11

        self._h11 = h11

    def parse(self, data: bytes) -> RequestHead:
        """Read one complete head; raises RequestRefused when it cannot be served."""
        if not _FIELDS.fullmatch(data, data.find(b"\n") + 1):
            raise _refusal(data)
        connection = self._h11.Connection(self._h11.SERVER, max_incomplete_event_size=len(data) + 1)
        connection.receive_data(data)
        try:
            connection.next_event()
        except self._h11.RemoteProtocolError as error:
            raise _refusal(data) from error.with_traceback(None)  # its frames refer to it, and to us
        return read_head(data)


def _refusal(data: bytes) -> RequestRefused:
    """Why a head that a parser stumbled over cannot be served: by our own rules, where they know it.

    So neither the status nor the text depend on the parser; what it says goes into the log.
    """
    try:
        read_head(data)
    except RequestRefused as refused:
        return refused
    return RequestRefused(HTTPStatus.BAD_REQUEST, "the request head is malformed")


#: field-line of RFC 9112 §5 with the value of RFC 9110 §5.5: no folding, no control character but tab.
_FIELDS: Final = re.compile(rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n")

#: A transfer coding with white space behind it, which is not of the value (RFC 9112 §5.1).
_CODING: Final = re.compile(rb"(?i)(\r\ntransfer-encoding:[^\r\n]*?)[\t ]+(?=\r\n)")


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
