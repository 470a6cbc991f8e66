"""WebSocket frames as a client writes and reads them, and its handshake: what is needed here of RFC 6455.

Clients mask what they send; with permessage-deflate (RFC 7692) they compress it, too. All of it is prepared,
so that sending costs nothing but sending.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from typing import Final, NamedTuple

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

FIN: Final = 0x80
COMPRESSED: Final = 0x40

MASK: Final = b"\x12\x34\x56\x78"
KEY: Final = b"dGhlIHNhbXBsZSBub25jZQ=="
GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

#: What browsers offer.
OFFER: Final = b"permessage-deflate; client_max_window_bits"

#: The window in which messages are compressed here. Some servers ask for 12 bits of 15, and none for fewer.
WINDOW_BITS: Final = 12

#: What a compressed message ends with, and what is left out when it is sent.
TAIL: Final = b"\x00\x00\xff\xff"


class Frame(NamedTuple):
    """A frame that was read."""

    first: int  # the byte with FIN, COMPRESSED and the opcode
    payload: bytes
    end: int  # where the next one begins


def handshake(path: str, compressed: bool) -> bytes:
    """The request that opens a WebSocket."""
    lines = [
        b"GET %b HTTP/1.1" % path.encode(),
        b"Host: 127.0.0.1:8000",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Key: " + KEY,
        b"Sec-WebSocket-Version: 13",
        *([b"Sec-WebSocket-Extensions: " + OFFER] if compressed else []),
    ]
    return b"\r\n".join([*lines, b"", b""])


def accept(key: bytes) -> bytes:
    """What a server answers to a key."""
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


def sent(payload: bytes, opcode: int, compressed: bool = False) -> bytes:
    """A frame as a client sends it.

    Compression begins anew in each message, whatever was negotiated: it refers to nothing before it, and so
    the same bytes can be sent any number of times.
    """
    if compressed:
        deflate = zlib.compressobj(wbits=-WINDOW_BITS)
        payload = (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)
        opcode |= COMPRESSED
    head = _head(opcode, len(payload), masked=0x80)
    mask = MASK * (len(payload) // 4 + 1)
    return head + MASK + bytes(a ^ b for a, b in zip(payload, mask, strict=False))


def answered(payload: bytes, opcode: int) -> bytes:
    """A frame as a server sends it, uncompressed."""
    return _head(opcode, len(payload), masked=0) + payload


def _head(opcode: int, length: int, masked: int) -> bytes:
    if length < 126:
        return bytes([FIN | opcode, masked | length])
    return bytes([FIN | opcode, masked | 126]) + length.to_bytes(2, "big")


def read(data: bytes, start: int = 0) -> Frame | None:
    """Read the frame of a server that begins at `start`; None if it is not complete."""
    if len(data) < start + 2:
        return None
    length, body = data[start + 1], start + 2
    if length >= 126:
        body = start + (4 if length == 126 else 10)
        length = int.from_bytes(data[start + 2 : body], "big")
    end = body + length
    return Frame(data[start], data[body:end], end) if len(data) >= end else None
