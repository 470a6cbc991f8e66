"""The reading half of a connection: cuts the input at the end of a head, then at the end of its body.

What a client sends ahead of an answer (pipelining) is held unparsed, and past a limit the socket is paused.
So a connection holds one request and a bounded number of bytes, whatever a client sends; requests are
answered in order; and one that is malformed does not take the answer from the one before it.
"""

from __future__ import annotations

import asyncio
import re
import sys
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from ..deadlines import TICK
from ..errors import RequestRefused
from .body import BodyReader, ChunkedReader, LengthReader
from .request import KEPT_FIELDS, Fields, check_partial, check_size, read_again

if TYPE_CHECKING:
    from ..service import Service
    from .connection import Connection

#: Bytes of a request body that wait for the application before the socket is paused; also of input that
#: is held behind a request in progress. The event loop may add one read of 256 KiB.
HIGH_WATER: Final = 65536

#: Bytes of a body that are read and thrown away, after a response that did not wait for it, to keep the
#: connection; with more to come it is closed.
MAX_DISCARD: Final = 262144

#: Seconds that a client may fall short of the minimum rate at the start of a body (Kestrel's grace period).
RATE_GRACE: Final = 5.0


#: Before a request line they are ignored (RFC 9112 §2.2).
_EMPTY_LINES: Final = re.compile(rb"(?:\r\n)++")


class Inbound:
    """What a connection reads, and how far it has come."""

    __slots__ = (
        "_checked",
        "_clock",
        "_connection",
        "_fields",
        "_paused_at",
        "_reading_on",
        "_service",
        "_transport",
        "_waiting",
        "body",
        "continue_due",
        "held",
        "paused",
        "proceeding",
        "size",
    )

    def __init__(self, connection: Connection, service: Service, transport: asyncio.Transport) -> None:
        self._connection = connection
        self._service = service
        self._transport = transport
        self.held = b""  # the beginning of a head, or what follows the request in progress
        self._checked = 0  # of a head that has begun to come: where its last line begins
        self.proceeding = False  # reading on in what was held behind a request
        self.paused = False  # the socket is not read
        self._paused_at = 0.0
        self._reading_on = False  # the event loop is about to call `read_on`
        self._fields: Fields | None = None  # of the last head, to know them again
        self.body: BodyReader | None = None  # while the request's body has not been read to its end
        self.continue_due = False  # the client waits for 100 Continue before it sends the body
        self._waiting = 0  # content that the application has not taken yet
        self.size = 0  # content of the body so far
        self._clock = 0.0  # when the body began, not counting the time in which it was not read

    def feed(self, data: bytes) -> None:
        """Read what the client has sent, as far as it is its turn; raises RequestRefused."""
        self.held = self.held + data if self.held else data
        connection = self._connection
        while self.held and not connection.closing:
            if self.body is not None:
                self._read_body(self.body)
                if self.body is not None and self.held:
                    self._read_on_soon()
                    return
            elif connection.exchange is not None or connection.write_paused:
                if len(self.held) > HIGH_WATER:
                    self.pause()
                return
            elif not self._read_head(self.held):
                return

    def proceed(self) -> None:
        """Read on in what was held behind a request; raises RequestRefused."""
        self.resume()
        self.proceeding = True
        try:
            self.feed(b"")
        finally:
            self.proceeding = False

    def _read_on_soon(self) -> None:
        """Read on in a body of which much came at once, when the other connections have had their turn."""
        self.pause()
        if not self._reading_on:
            self._reading_on = True
            self._service.loop.call_soon(self._connection.read_on)

    def read_on(self) -> None:
        """Read on in the body that is held; raises RequestRefused."""
        self._reading_on = False
        if self.body is not None and self.held and self._waiting < HIGH_WATER:  # or `want_body` reads on
            self.resume()
            self.feed(b"")

    def read_rest(self) -> None:
        """Read all that is held of the body, because nothing follows; raises RequestRefused."""
        while self.body is not None and self.held:
            self._read_body(self.body)

    def _read_head(self, data: bytes) -> bool:
        """Begin a request if its head is complete; return whether there may be more to do."""
        service = self._service
        fields = self._fields
        if (
            fields is not None
            and len(data) <= service.harmless_head_size
            and (head := read_again(data, fields)) is not None
        ):
            method, target, end = head
        elif data[0] == 13 and (empty := _EMPTY_LINES.match(data)):
            self.held = data[empty.end() :]
            return True
        else:
            end = data.find(b"\r\n\r\n", max(self._checked - 2, 0)) + 4
            if end == 3:
                self._checked = check_partial(data, self._checked, service.config)
                self._connection.head_began()
                return False
            if end > service.harmless_head_size:
                check_size(data[:end], service.config)
            method, target, fields = service.parser.parse(data if end == len(data) else data[:end])
            if len(fields.headers) > service.config.max_headers > 0:
                raise RequestRefused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "too many header fields")
            self._fields = fields if 0 < len(fields.raw) <= KEPT_FIELDS else None
        self._checked = 0
        rest = data[end:]
        if fields.has_body:
            content, rest = self._begin_body(fields, rest)
        else:
            content = b""
        self.held = rest
        self._connection.begin(method, target, fields, content)
        return True

    def _begin_body(self, fields: Fields, data: bytes) -> tuple[bytes, bytes]:
        """Read what came of a body together with its head; return its content, and what lies behind it."""
        config = self._service.config
        reader: BodyReader
        if fields.content_length is None:
            reader = ChunkedReader(config.max_body_size, config.max_headers_size or sys.maxsize)
        elif 0 < config.max_body_size < fields.content_length:
            raise RequestRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
        else:
            reader = LengthReader(fields.content_length)
        self.restart_clock()
        content, rest = reader.read(data)
        self.size = self._waiting = len(content)
        if not reader.complete:
            self.body = reader
            self.continue_due = fields.expect_continue and not data
            if len(content) >= HIGH_WATER:
                self.pause()
        return content, rest

    def _read_body(self, reader: BodyReader) -> None:
        """Pass the application a piece of the body; what lies behind the body stays held."""
        content, self.held = reader.read(self.held)
        self.size += len(content)
        self.continue_due = False
        if reader.complete:
            self.body = None
        exchange = self._connection.exchange
        if exchange is None:  # answered already: nobody wants the rest
            if reader.complete:
                self._connection.turn()
            elif self.size > MAX_DISCARD:
                self._connection.close()
            return
        if content or reader.complete:
            self._waiting = exchange.feed(content, reader.complete)
            if self._waiting >= HIGH_WATER and not reader.complete:
                self.pause()
        self._connection.arm()

    def want_body(self) -> None:
        """Read on: the application waits for more of the body, or took what there was."""
        if self.continue_due:
            self.continue_due = False
            self.restart_clock()  # the client was right to wait until now
            if not self._connection.responding:  # not after the final one (RFC 9110 §10.1.1)
                self._connection.outbound.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._waiting = 0
        self.resume()
        if self.held:
            self._read_on_soon()
        self._connection.arm()

    def discard_body(self) -> None:
        """Throw away the rest of a body that was answered before it was read."""
        self.restart_clock()
        self._waiting = 0
        self.resume()
        if self.held:
            self._read_on_soon()

    def can_discard_body(self) -> bool:
        """Whether the rest of the body is short and sure to come, so that the connection can be kept.

        A client that was never told to continue may send its body or not (RFC 9110 §10.1.1).
        """
        return self.body is None or (not self.continue_due and self.body.remaining <= MAX_DISCARD)

    def restart_clock(self) -> None:
        """Count size and time of the body from here."""
        self.size = 0
        self._clock = self._service.deadlines.now

    def body_deadline(self) -> float:
        """When the next piece of the body is due, and the body's rate too low."""
        service = self._service
        deadline = service.deadlines.now + service.request_wait
        rate = service.config.min_body_rate
        if rate:
            deadline = min(deadline, self._clock + max(RATE_GRACE, self.size / rate) + TICK)
        return deadline

    def pause(self) -> None:
        """Stop reading from the socket."""
        if not self.paused:
            self.paused = True
            self._paused_at = self._service.deadlines.now
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read from the socket again."""
        if self.paused:
            self.paused = False
            self._clock += self._service.deadlines.now - self._paused_at
            self._transport.resume_reading()
