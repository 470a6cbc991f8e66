"""Compression of messages: the extension permessage-deflate (RFC 7692).

Each side keeps a window of what was compressed before ("context takeover"), for as long as a connection
lasts. Windows of 4 KiB need 32 KiB to compress and 11 KiB to decompress, and serve short messages as well as
the largest ones, which need 268 KiB and 44 KiB. Neither is made before the first message that needs it.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from .closing import INVALID_DATA, MESSAGE_TOO_BIG, ProtocolError

#: Bits of the window, where the client does not ask for a smaller one; and zlib's levels of memory and of
#: effort. 4 KiB of JSON take 20 µs and become 490 bytes; with an effort of 6, its default, 29 µs and 420.
WINDOW_BITS: Final = 12
_MEMORY_LEVEL: Final = 5
_EFFORT: Final = 3

#: Messages below this many bytes are not compressed: to save a few of them would cost more than the rest of
#: their way.
MIN_SIZE: Final = 256

#: What ends a block that was flushed, and is left out (RFC 7692 §7.2.1).
_TAIL: Final = b"\x00\x00\xff\xff"

#: A client may end its stream anywhere (§7.2.3.4), but not for ever: two bytes do, and cost 5 µs.
_MAX_ENDS: Final = 16

_NAME: Final = "permessage-deflate"
_BITS: Final = re.compile(r"[89]|1[0-5]")

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER: Final = re.compile(
    rf"""\s*;\s*(?P<name>{_TOKEN})\s*(?:=\s*(?P<quote>"?)(?P<value>{_TOKEN})(?P=quote))?\s*"""
)
_EXTENSION: Final = re.compile(rf"[\s,]*(?P<name>{_TOKEN})\s*")


@dataclass(frozen=True, slots=True)
class Deflate:
    """What both sides have agreed on."""

    server_takeover: bool = True
    client_takeover: bool = True
    server_bits: int = WINDOW_BITS
    client_bits: int = 15

    def field_value(self, *, client_bits_offered: bool) -> bytes:
        """Render the value of Sec-WebSocket-Extensions that says so."""
        parts = [_NAME]
        if not self.server_takeover:
            parts.append("server_no_context_takeover")
        if not self.client_takeover:
            parts.append("client_no_context_takeover")
        parts.append(f"server_max_window_bits={self.server_bits}")
        if client_bits_offered:
            parts.append(f"client_max_window_bits={self.client_bits}")
        return "; ".join(parts).encode()


def negotiate(values: Iterable[bytes]) -> tuple[Deflate, bytes] | None:
    """Take the first offer of compression that can be met, if any (RFC 7692 §5, §7.1).

    ``values`` are those of the client's Sec-WebSocket-Extensions fields. Returns what was agreed on, and the
    value of the field that answers. What is malformed is declined like what is not known.
    """
    for offer in _offers(b",".join(values).decode("latin-1")):
        agreed = _agree(offer)
        if agreed is not None:
            return agreed, agreed.field_value(client_bits_offered="client_max_window_bits" in offer)
    return None


def _offers(text: str) -> Iterable[dict[str, str | None]]:
    """The parameters of each offer of permessage-deflate that is well-formed, and repeats no parameter."""
    position = 0
    while match := _EXTENSION.match(text, position):
        name = match["name"]
        position = match.end()
        parameters: dict[str, str | None] = {}
        repeated = False
        while match := _PARAMETER.match(text, position):
            repeated = repeated or match["name"] in parameters
            parameters[match["name"]] = match["value"]
            position = match.end()
        if position < len(text) and text[position] != ",":
            return
        position += 1
        if name == _NAME and not repeated:
            yield parameters


def _agree(offer: dict[str, str | None]) -> Deflate | None:
    """What an offer comes to; None if it is not valid, or cannot be met."""
    server_bits = client_bits = 15
    for name, value in offer.items():
        if name in ("server_no_context_takeover", "client_no_context_takeover"):
            if value is not None:
                return None
        elif name in ("server_max_window_bits", "client_max_window_bits"):
            if value is None and name == "client_max_window_bits":
                continue
            if value is None or not _BITS.fullmatch(value):
                return None
            if name == "server_max_window_bits":
                server_bits = int(value)
            else:
                client_bits = int(value)
        else:
            return None
    if server_bits == 8:  # zlib cannot compress with a window so small
        return None
    return Deflate(
        server_takeover="server_no_context_takeover" not in offer,
        client_takeover="client_no_context_takeover" not in offer,
        server_bits=min(server_bits, WINDOW_BITS),
        # A client that does not know the parameter may use the largest window.
        client_bits=min(client_bits, WINDOW_BITS) if "client_max_window_bits" in offer else 15,
    )


class Deflater:
    """Compresses the messages of the server."""

    __slots__ = ("_bits", "_stream", "_takeover")

    def __init__(self, agreed: Deflate) -> None:
        self._bits = -agreed.server_bits
        self._takeover = agreed.server_takeover
        self._stream: zlib._Compress | None = None

    def deflate(self, message: bytes) -> bytes:
        """Compress a whole message."""
        stream = self._stream
        if stream is None:
            stream = zlib.compressobj(_EFFORT, zlib.DEFLATED, self._bits, _MEMORY_LEVEL)
            if self._takeover:
                self._stream = stream
        return (stream.compress(message) + stream.flush(zlib.Z_SYNC_FLUSH))[:-4]


class Inflater:
    """Decompresses the messages of the client, piece by piece, and never more than is allowed."""

    __slots__ = ("_bits", "_ends", "_stream", "_takeover")

    def __init__(self, agreed: Deflate) -> None:
        self._ends = 0  # of streams, in the message
        self._bits = -max(agreed.client_bits, 9)
        self._takeover = agreed.client_takeover
        self._stream: zlib._Decompress | None = None

    def inflate(self, piece: bytes, left: int) -> bytes:
        """Decompress a piece, into at most `left` bytes; raises ProtocolError."""
        contents = []
        while piece:
            stream = self._stream
            if stream is None or stream.eof:
                self._ends += 1
                if self._ends > _MAX_ENDS:
                    raise ProtocolError(INVALID_DATA, "a message ends its compression too often")
                self._stream = stream = zlib.decompressobj(self._bits)
            try:
                content = stream.decompress(piece, left + 1)
            except zlib.error as error:
                raise ProtocolError(INVALID_DATA, "a message cannot be decompressed") from error
            left -= len(content)
            if left < 0:
                raise ProtocolError(MESSAGE_TOO_BIG, "a message is too large")
            contents.append(content)
            piece = stream.unused_data
        return b"".join(contents)

    def end(self, left: int) -> bytes:
        """Decompress what is left of a message at its end; raises as `inflate`."""
        content = self.inflate(_TAIL, left)
        self._ends = 0
        if not self._takeover:
            self._stream = None
        return content
