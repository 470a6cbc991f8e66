"""Frames of RFC 6455: reading those of a client, strictly and as they come, and rendering the server's.

No library does this as it is wanted here. One echo of 64 bytes costs 0.9 µs here, 4.9 µs in the protocol
without I/O of websockets 17.4, and 14 µs or more in that of wsproto 1.3; of 4 KiB 1.4, 6.1 and 22 µs.
Behind the first, which uvicorn uses, the other 10 µs of asgiserve and the kernel would make it 1.3 times as
fast as uvicorn; as it is it is 1.75 times. websockets also passes whole frames, so that text which is no
UTF-8 is noticed late. picows 2.3 is in C, but reads the handshake itself, and does not compress. What is
slow in Python, unmasking, is done by the C function of websockets.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Any, Final

from .closing import INVALID_DATA, MESSAGE_TOO_BIG, PROTOCOL_ERROR, ProtocolError
from .deflate import Inflater

try:
    from websockets.speedups import apply_mask
except ImportError:  # 1 µs for 64 bytes, 11 µs for 4 KiB

    def apply_mask(data: bytes | bytearray | memoryview, mask: bytes | bytearray) -> bytes:
        """Exclusive or of the data and its mask (RFC 6455 §5.3)."""
        size = len(data)
        keys = (mask * (size // 4 + 1))[:size]
        return (int.from_bytes(data, "little") ^ int.from_bytes(keys, "little")).to_bytes(size, "little")


CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

FIN: Final = 0x80
COMPRESSED: Final = 0x40  # the bit RSV1, of the first frame of a message (RFC 7692 §7.2)
_RSV23: Final = 0x30

_utf8: Final = codecs.getincrementaldecoder("utf-8")

_NO_LIMIT: Final = 1 << 62

#: Frames, or pieces of them, that are read before the other connections have their turn: half a millisecond.
#: One read of the socket can bring 40,000 pings, or fragments of one byte.
FRAMES_AT_ONCE: Final = 256

#: So many parts of a message are joined: where it comes two bytes at a time, they need 25 times its size.
_MANY_PARTS: Final = 512

#: The heads of short frames, in which most messages leave: text and binary, by size.
_SHORT: Final = {first: [bytes((first, size)) for size in range(126)] for first in (FIN | TEXT, FIN | BINARY)}


def frame_head(first: int, size: int) -> bytes:
    """Render the head of a frame from a server, which is not masked (RFC 6455 §5.1, §5.2)."""
    if size < 126:
        heads = _SHORT.get(first)
        return heads[size] if heads is not None else bytes((first, size))
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2, "big")
    return bytes((first, 127)) + size.to_bytes(8, "big")


class FrameReader:
    """Takes what a client sends, and passes on messages and control frames, whole and in order.

    ``on_message`` gets text as str, or bytes; ``on_control`` gets the opcode and the payload. Both return
    whether to go on; what is not passed on yet waits in `held`.
    """

    __slots__ = (
        "_compressed",
        "_control",
        "_decoder",
        "_fin",
        "_fragments",
        "_in_message",
        "_inflater",
        "_left",
        "_mask",
        "_max_fragments",
        "_max_size",
        "_merged",
        "_on_control",
        "_on_message",
        "_opcode",
        "_parts",
        "_size",
        "held",
        "skipping",
    )

    def __init__(
        self,
        on_message: Callable[[str | bytes], bool],
        on_control: Callable[[int, bytes], bool],
        *,
        max_size: int,
        max_fragments: int,
        inflater: Inflater | None,
    ) -> None:
        self._on_message = on_message
        self._on_control = on_control
        self._max_size = max_size or _NO_LIMIT
        self._max_fragments = max_fragments
        self._inflater = inflater
        self.held = b""  # the beginning of a frame's head; or more, when it was told not to go on
        self.skipping = False  # messages are not wanted any more, but a Close frame is
        # Of the frame that is being read:
        self._opcode = 0
        self._fin = False
        self._mask = b""
        self._left = 0  # bytes of its payload that are still to come
        self._control = b""  # the payload of a control frame
        # Of the message that is being read:
        self._in_message = False  # its first frame has begun, its last frame has not ended
        self._compressed = False
        self._decoder: codecs.IncrementalDecoder | None = None  # of text
        self._parts: list[Any] = []  # str, or bytes
        self._merged = 0  # of the parts, how many are many in one
        self._size = 0
        self._fragments = 0

    def feed(self, data: bytes) -> bool:
        """Read on; return whether to be called again, in a later turn of the event loop, as much has come.

        Raises ProtocolError with the code to close with.
        """
        if self.held:
            data = self.held + data
        end = len(data)
        position = 0
        going_on = True
        room = FRAMES_AT_ONCE
        while going_on and position < end and room:
            room -= 1
            if self._left:
                position, going_on = self._read_payload(data, position)
                continue
            # Nearly all messages come as one frame of less than 64 KiB, and in one piece.
            if end - position >= 6 and not self._in_message:
                first = data[position]
                size = data[position + 1] - 128
                start = position + 2
                if size >= 126:
                    size = data[start] << 8 | data[start + 1] if size == 126 else 0
                    start += 2
                    if size < 126:
                        size = -1
                stop = start + 4 + size
                if 0 <= size <= self._max_size and stop <= end and 0x81 <= first <= 0x82:
                    payload = apply_mask(data[start + 4 : stop], data[start : start + 4])
                    position = stop
                    going_on = self._on_message(_decoded(payload) if first == 0x81 else payload)
                    continue
            start = self._read_head(data, position)
            if not start:
                break
            position = start
            if not self._left:
                going_on = self._end_frame()
        self.held = data[position:]
        return going_on and not room and position < end

    def _read_head(self, data: bytes, position: int) -> int:
        """Begin a frame; return where its payload begins, 0 if its head is not complete (RFC 6455 §5.2)."""
        available = len(data) - position
        first = data[position]
        self._check_first(first)
        if available < 2:
            return 0
        second = data[position + 1]
        if not second & 0x80:
            raise ProtocolError(PROTOCOL_ERROR, "a frame is not masked")
        size = second & 0x7F
        if first & 0x8 and size > 125:
            raise ProtocolError(PROTOCOL_ERROR, "a control frame is too long")
        start = position + 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if available < 2 + width:
                return 0
            least = 126 if width == 2 else 65536
            size = int.from_bytes(data[start : start + width], "big")
            if size < least or size >> 63:
                raise ProtocolError(PROTOCOL_ERROR, "the length of a frame is malformed")
            start += width
        if len(data) < start + 4:
            return 0
        self._mask = data[start : start + 4]
        self._left = size
        self._opcode = first & 0xF
        self._fin = bool(first & FIN)
        if not first & 0x8:
            self._begin_data(first, size)
        return start + 4

    def _check_first(self, first: int) -> None:
        """Refuse a frame by its first byte."""
        opcode = first & 0xF
        if first & _RSV23:
            raise ProtocolError(PROTOCOL_ERROR, "a reserved bit is set")
        if first & COMPRESSED and (self._inflater is None or opcode not in (TEXT, BINARY)):
            raise ProtocolError(PROTOCOL_ERROR, "a frame is compressed that cannot be")
        if opcode & 0x8:
            if opcode > PONG:
                raise ProtocolError(PROTOCOL_ERROR, "an opcode is reserved")
            if not first & FIN:
                raise ProtocolError(PROTOCOL_ERROR, "a control frame is fragmented")
        elif opcode > BINARY:
            raise ProtocolError(PROTOCOL_ERROR, "an opcode is reserved")
        elif self._in_message and opcode:
            raise ProtocolError(PROTOCOL_ERROR, "a message began before the end of another one")
        elif not self._in_message and not opcode:
            raise ProtocolError(PROTOCOL_ERROR, "a frame continues no message")

    def _begin_data(self, first: int, size: int) -> None:
        """Begin a frame of a message, and the message with its first frame."""
        if not self._in_message:
            self._in_message = True
            self._compressed = bool(first & COMPRESSED)
            self._decoder = _utf8("strict") if self._opcode == TEXT else None
            self._parts = []
            self._merged = 0
            self._size = self._fragments = 0
        self._fragments += 1
        if 0 < self._max_fragments < self._fragments:
            raise ProtocolError(MESSAGE_TOO_BIG, "a message has too many fragments")
        if not self._compressed and self._size + size > self._max_size:
            raise ProtocolError(MESSAGE_TOO_BIG, "a message is too large")

    def _read_payload(self, data: bytes, position: int) -> tuple[int, bool]:
        """Read what has come of a frame's payload; return where it ends, and whether to go on."""
        piece = data[position : position + self._left]
        size = len(piece)
        mask = self._mask
        self._left -= size
        if self._left and size % 4:
            self._mask = mask[size % 4 :] + mask[: size % 4]  # for the next piece
        piece = apply_mask(piece, mask)
        if self._opcode & 0x8:
            self._control += piece
        elif self.skipping:
            pass
        elif self._compressed and self._inflater is not None:
            self._add(self._inflater.inflate(piece, self._max_size - self._size))
        else:
            self._add(piece)
        return position + size, self._left > 0 or self._end_frame()

    def _add(self, piece: bytes) -> None:
        """Add a piece to the message, as it was before it was compressed."""
        self._size += len(piece)
        parts = self._parts
        if self._decoder is not None:
            parts.append(self._decode(self._decoder, piece, False))
        elif piece:
            parts.append(piece)
        if len(parts) - self._merged >= _MANY_PARTS:
            empty: Any = b"" if self._decoder is None else ""
            parts[self._merged :] = [empty.join(parts[self._merged :])]
            self._merged += 1

    @staticmethod
    def _decode(decoder: codecs.IncrementalDecoder, piece: bytes, final: bool) -> str:
        try:
            text = decoder.decode(piece, final)
        except UnicodeDecodeError as error:
            raise _no_text() from error
        begun = decoder.getstate()[0]
        if len(begun) == 2 and begun > b"\xed\x9f" and begun < b"\xee":
            raise _no_text()  # a surrogate, of which Python waits for the third byte
        return text

    def _end_frame(self) -> bool:
        """Pass on a control frame, or a message with its last frame; return whether to go on."""
        if self._opcode & 0x8:
            payload, self._control = self._control, b""
            return self._on_control(self._opcode, payload)
        if not self._fin:
            return True
        self._in_message = False
        if self.skipping:
            return True
        if self._compressed and self._inflater is not None:
            self._add(self._inflater.end(self._max_size - self._size))
        message: str | bytes
        if self._decoder is not None:
            self._parts.append(self._decode(self._decoder, b"", True))
            self._decoder = None
            message = "".join(self._parts)
        else:
            message = b"".join(self._parts)
        self._parts = []
        return self._on_message(message)


def _decoded(payload: bytes) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError as error:
        raise _no_text() from error


def _no_text() -> ProtocolError:
    return ProtocolError(INVALID_DATA, "a text message is not UTF-8")
