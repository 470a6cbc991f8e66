"""Request bodies: what takes the framing off them (RFC 9112 §6 and §7).

A reader is given the bytes behind a head, a piece at a time, and says what of them is content and what
lies behind the end. Everything a client can make large without sending content is limited here.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Final

from ..errors import RequestRefused

#: chunk-size of RFC 9112 §7.1; 15 digits stay below 2^60. Extensions may hold anything but controls.
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_TRAILER: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*")

#: All chunk extensions of one request together: Node.js stops at the same 16 KiB.
MAX_EXTENSIONS: Final = 16384

#: Lines of a chunked body that are read before the other connections have their turn: half a millisecond.
#: One read of the socket can bring 40,000 chunks of one byte.
LINES_AT_ONCE: Final = 256


class LengthReader:
    """A body of Content-Length bytes."""

    __slots__ = ("complete", "remaining")

    def __init__(self, length: int) -> None:
        self.remaining = length
        self.complete = False

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """Split `data` into content and what lies behind the end of the body."""
        if len(data) < self.remaining:
            self.remaining -= len(data)
            return data, b""
        content = data[: self.remaining]
        self.complete = True
        return content, data[self.remaining :]


class ChunkedReader:
    """A body in chunks, ended by one of size 0 and by trailers, which ASGI has no place for."""

    __slots__ = (
        "_extensions",
        "_in_chunk",
        "_in_trailers",
        "_max_size",
        "_pending",
        "_remaining",
        "_size",
        "_trailer_room",
        "complete",
    )

    #: How much is still to come, as far as it is known before it comes.
    remaining: Final = 0

    def __init__(self, max_size: int, max_trailers: int) -> None:
        self.complete = False
        self._max_size = max_size
        self._trailer_room = max_trailers
        self._size = 0
        self._extensions = 0
        self._remaining = 0  # content of the current chunk that has not come yet
        self._in_chunk = False  # the CR LF behind that content has not come yet
        self._in_trailers = False
        self._pending = b""  # a line, or CR LF, that has begun to come

    def read(self, data: bytes) -> tuple[bytes, bytes]:
        """Split `data` into content and what lies behind the end of the body.

        If that has not come, what is left is for a further call, in a later turn of the event loop. Raises
        RequestRefused: 400 for wrong framing, 413 for more content or extensions, 431 for more
        trailers than allowed.
        """
        if self._pending:
            data = self._pending + data
            self._pending = b""
        pieces: list[bytes] = []
        position = 0
        lines = 0
        while position < len(data) and lines < LINES_AT_ONCE:
            if self._remaining:
                content = data[position : position + self._remaining]
                pieces.append(content)
                position += len(content)
                self._remaining -= len(content)
                continue
            end = data.find(b"\n", position)
            if end < 0:
                self._keep(data[position:])
                return b"".join(pieces), b""
            if not data.endswith(b"\r", position, end):
                raise RequestRefused(HTTPStatus.BAD_REQUEST, "a line of a chunked body does not end in CRLF")
            self._read_line(data[position : end - 1])
            position = end + 1
            lines += 1
            if self.complete:
                break
        return b"".join(pieces), data[position:]

    def _keep(self, line: bytes) -> None:
        """Keep the beginning of a line, within the limit of what it can become."""
        if self._in_trailers:
            if len(line.removesuffix(b"\r")) > self._trailer_room:
                raise RequestRefused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the trailers are too large")
        elif self._in_chunk:
            if line != b"\r":
                raise RequestRefused(HTTPStatus.BAD_REQUEST, "a chunk is longer than its size")
        elif len(line) > MAX_EXTENSIONS:
            raise RequestRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the chunk extensions are too large")
        self._pending = line

    def _read_line(self, line: bytes) -> None:
        if self._in_chunk:
            if line:
                raise RequestRefused(HTTPStatus.BAD_REQUEST, "a chunk is longer than its size")
            self._in_chunk = False
        elif not self._in_trailers:
            self._read_size(line)
        elif line:
            self._read_trailer(line)
        else:
            self.complete = True

    def _read_size(self, line: bytes) -> None:
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "a chunk size is malformed")
        size = int(match[1], 16)
        self._extensions += len(line) - match.end(1)
        self._size += size
        if self._max_size and self._size > self._max_size:
            raise RequestRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the body is too large")
        if self._extensions > MAX_EXTENSIONS:
            raise RequestRefused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "the chunk extensions are too large")
        self._remaining = size
        self._in_chunk = size > 0
        self._in_trailers = size == 0

    def _read_trailer(self, line: bytes) -> None:
        if not _TRAILER.fullmatch(line):
            raise RequestRefused(HTTPStatus.BAD_REQUEST, "a trailer field is malformed")
        self._trailer_room -= len(line)
        if self._trailer_room < 0:
            raise RequestRefused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the trailers are too large")


BodyReader = LengthReader | ChunkedReader
