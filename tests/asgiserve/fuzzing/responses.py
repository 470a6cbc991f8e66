"""A strict reader of what a server sends: h11 for the messages, and the ABNF for each head.

It knows nothing of asgiserve. What it cannot read, or finds behind the end of the last response, is a fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

import h11

Headers = list[tuple[bytes, bytes]]

#: status-line and field-lines of RFC 9112 §4 and §5, and nothing else: h11 takes more.
_HEAD: Final = re.compile(
    rb"HTTP/1\.1 [1-9][0-9]{2} [\t \x21-\x7e\x80-\xff]*\r\n"
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t \x21-\x7e\x80-\xff]*\r\n)*\r\n"
)


class NotHTTP(Exception):
    """What the server sent is no sequence of HTTP/1.1 responses to these requests."""


@dataclass
class Response:
    """One final response, as it stood on the wire."""

    status: int
    headers: Headers
    body: bytes = b""
    complete: bool = False
    interim: list[tuple[int, Headers]] = field(default_factory=list)  # what came before it
    trailers: Headers = field(default_factory=list)

    def all(self, name: bytes) -> list[bytes]:
        """The values of a field."""
        return [value for key, value in self.headers if key == name]

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends with it."""
        return self.all(b"connection") == [b"close"]


def read_responses(data: bytes, methods: Iterable[str], cut: bool = False) -> list[Response]:
    """The responses to requests of these methods, all that were sent before the connection ended.

    The last one may be incomplete: also one that goes on to the end of the connection, if that was `cut`.
    Raises NotHTTP.
    """
    responses: list[Response] = []
    for method in methods:
        if not data:
            break
        if responses and (responses[-1].closes or not responses[-1].complete):
            raise NotHTTP(f"behind the last response: {data!r}")
        response, data = _read_response(data, method, cut)
        responses.append(response)
    if data:
        raise NotHTTP(f"behind all responses: {data!r}")
    return responses


def _read_response(data: bytes, method: str, cut: bool) -> tuple[Response, bytes]:
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method=method, target="/", headers=[("host", "test")]))
    parser.send(h11.EndOfMessage())
    interim: list[tuple[int, Headers]] = []
    response: Response | None = None
    position = 0  # of the end of the last head
    parser.receive_data(data)
    if not cut:
        parser.receive_data(b"")
    while True:
        event = _next_event(parser)
        if event is h11.NEED_DATA or isinstance(event, h11.RemoteProtocolError):
            if response is not None:
                return response, b""  # the connection ended within the body
            if interim and position == len(data):
                return Response(interim[-1][0], [], interim=interim), b""  # or before the final head
            raise NotHTTP(f"{event}: {data!r}")
        if isinstance(event, (h11.InformationalResponse, h11.Response)):
            head = _HEAD.match(data, position)
            if head is None:
                raise NotHTTP(f"no head by the grammar: {data[position:]!r}")
            position = head.end()
            if isinstance(event, h11.InformationalResponse):
                interim.append((event.status_code, list(event.headers)))
            else:
                response = Response(event.status_code, list(event.headers), interim=interim)
        elif isinstance(event, h11.Data) and response is not None:
            response.body += event.data
        elif isinstance(event, h11.EndOfMessage) and response is not None:
            response.trailers = list(event.headers)
            response.complete = True
            return response, parser.trailing_data[0]
        else:
            raise NotHTTP(f"no response: {data!r}")


def _next_event(parser: h11.Connection) -> object:
    try:
        return parser.next_event()
    except h11.RemoteProtocolError as error:
        return error
