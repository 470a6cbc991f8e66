"""A WebSocket client that sends any frame, right or wrong, and reads strictly: RFC 6455 and RFC 7692.

Functions make the bytes of frames, so that a test can join, cut and spoil them before it sends them.
"""

from __future__ import annotations

import base64
import hashlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.asgiserve.applications import App, Receive, Scope, Send
from tests.asgiserve.raw import Client, Response, get

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10

#: The reserved bits of a frame's head; RSV1 marks a compressed message.
RSV1, RSV2, RSV3 = 0x40, 0x20, 0x10

#: The key and the masking key of RFC 6455, Sections 1.3 and 5.7.
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
MASK = b"\x37\xfa\x21\x3d"

#: A close frame without a payload reads as this code: Section 7.1.5.
NO_CODE = 1005


def upgrade(target: str = "/", *fields: str, key: str = KEY, version: str = "13") -> bytes:
    """An opening handshake with further header fields: Section 4.1."""
    asked = ("Upgrade: websocket", "Connection: Upgrade")
    own = (f"Sec-WebSocket-Key: {key}", f"Sec-WebSocket-Version: {version}")
    return get(target, *asked, *own, *fields)


def accept_for(key: str) -> str:
    """What a server has to answer to a key: Section 4.2.2."""
    return base64.b64encode(
        hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
    ).decode()


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    length_bits: int | None = None,
    length: int | None = None,
) -> bytes:
    """A frame: Section 5.2.

    `length_bits` is the form of the length, 7, 16 or 64, the shortest by default; `length` is what the head
    claims instead of the payload's length.
    """
    length = len(payload) if length is None else length
    if length_bits is None:
        length_bits = 7 if length < 126 else 16 if length < 65536 else 64
    masked = 0 if mask is None else 0x80
    head = bytes([fin << 7 | rsv | opcode])
    if length_bits == 7:
        head += bytes([masked | length])
    elif length_bits == 16:
        head += struct.pack("!BH", masked | 126, length)
    else:
        head += struct.pack("!BQ", masked | 127, length)
    return head + payload if mask is None else head + mask + xor(payload, mask)


def xor(payload: bytes, mask: bytes) -> bytes:
    """Mask a payload, or unmask it: Section 5.3."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")


def text(message: str, **more: Any) -> bytes:
    """A text message in one frame."""
    return frame(TEXT, message.encode(), **more)


def binary(message: bytes, **more: Any) -> bytes:
    """A binary message in one frame."""
    return frame(BINARY, message, **more)


def fragments(opcode: int, *payloads: bytes, rsv: int = 0) -> list[bytes]:
    """The frames of a message in as many fragments: Section 5.4. `rsv` goes with the first of them."""
    last = len(payloads) - 1
    return [
        frame(opcode if i == 0 else CONTINUATION, payload, fin=i == last, rsv=0 if i else rsv)
        for i, payload in enumerate(payloads)
    ]


def close(code: int = 1000, reason: bytes = b"", **more: Any) -> bytes:
    """A close frame with a code: Section 5.5.1."""
    return frame(CLOSE, struct.pack("!H", code) + reason, **more)


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of the server."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0


class Deflate:
    """The client's half of permessage-deflate as the server agreed to it: RFC 7692, Section 7."""

    def __init__(self, agreed: str) -> None:
        name, *parameters = [part.strip() for part in agreed.split(";")]
        assert name == "permessage-deflate", agreed
        self.parameters = dict(part.partition("=")[::2] for part in parameters)
        assert len(self.parameters) == len(parameters), agreed
        self._deflate: Any = None  # not made unless it is used: zlib has no window of 8 bits
        self._inflate = self._inflating()

    def _deflating(self) -> Any:
        return zlib.compressobj(wbits=-int(self.parameters.get("client_max_window_bits") or 15))

    def _inflating(self) -> Any:
        return zlib.decompressobj(wbits=-int(self.parameters.get("server_max_window_bits") or 15))

    def compress(self, message: bytes) -> bytes:
        """The payload of a compressed message, without its end: Section 7.2.1."""
        if self._deflate is None or "client_no_context_takeover" in self.parameters:
            self._deflate = self._deflating()
        data: bytes = self._deflate.compress(message) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return data.removesuffix(b"\0\0\xff\xff")

    def decompress(self, payload: bytes) -> bytes:
        """The message of a compressed payload: Section 7.2.2."""
        if "server_no_context_takeover" in self.parameters:
            self._inflate = self._inflating()
        data: bytes = self._inflate.decompress(payload + b"\0\0\xff\xff")
        return data


class WebSocket(Client):
    """A connection that becomes a WebSocket with `open`."""

    deflate: Deflate | None = None

    def open(self, target: str = "/", *fields: str) -> Response:
        """Shake hands, and see that the server accepts; its response tells what was agreed."""
        response = self.ask(upgrade(target, *fields))
        assert response.status == 101, response
        assert response["upgrade"].lower() == "websocket"
        assert response["connection"].lower() == "upgrade"
        assert response["sec-websocket-accept"] == accept_for(KEY)
        if "sec-websocket-extensions" in response:
            self.deflate = Deflate(response["sec-websocket-extensions"])
        return response

    def ask(self, handshake: bytes) -> Response:
        """Send an opening handshake, and read the response to it: 101, or a refusal with its body."""
        self.send(handshake)
        head = self.read_until(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101 "):
            self._behind = head + self._behind
            return self.response()
        fields = [line.partition(b":") for line in head.split(b"\r\n")[1:-2]]
        return Response(101, [(name.lower(), value.strip()) for name, _, value in fields])

    def send_chopped(self, data: bytes, size: int = 1) -> None:
        """Send in pieces of this size, each of which the kernel sends on its own."""
        for place in range(0, len(data), size):
            self.send(data[place : place + size])

    def frame(self) -> Frame:
        """The next frame of the server, which has to keep the rules of Section 5."""
        first, second = self._read_exactly(2)
        fin, rsv, opcode, length = first >= 0x80, first & 0x70, first & 0x0F, second
        assert second < 0x80, "a server does not mask: Section 5.1"
        if second == 126:
            length = int.from_bytes(self._read_exactly(2), "big")
            assert length > 125, "not the shortest form of a length: Section 5.2"
        elif second == 127:
            length = int.from_bytes(self._read_exactly(8), "big")
            assert length > 65535, "not the shortest form of a length: Section 5.2"
        assert opcode in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG), opcode
        assert opcode < CLOSE or (fin and length < 126), "control frames are short and whole: Section 5.5"
        compressible = self.deflate is not None and opcode in (TEXT, BINARY)
        assert rsv == 0 or (rsv == RSV1 and compressible), f"reserved bits: {rsv:x}"
        return Frame(opcode, self._read_exactly(length), fin, rsv)

    def _read_exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            more = self.read()
            assert more, f"the connection ended within a frame: {bytes(data)!r}"
            data += more
        self._behind = bytes(data[size:]) + self._behind
        return bytes(data[:size])

    def message(self) -> str | bytes:
        """The next message, whole and decompressed; no control frame comes before its end."""
        first = last = self.frame()
        assert first.opcode in (TEXT, BINARY), first
        pieces = [first.payload]
        while not last.fin:
            last = self.frame()
            assert last.opcode == CONTINUATION, last
            pieces.append(last.payload)
        data = b"".join(pieces)
        if first.rsv:
            assert self.deflate is not None
            data = self.deflate.decompress(data)
        return data.decode() if first.opcode == TEXT else data

    def closing(self) -> tuple[int, str]:
        """The code and the reason of the close frame that comes next: Section 5.5.1."""
        found = self.frame()
        assert found.opcode == CLOSE, found
        if not found.payload:
            return NO_CODE, ""
        return int.from_bytes(found.payload[:2], "big"), found.payload[2:].decode()

    def failed(self) -> int:
        """The code with which the server now fails the connection, and ends it: Section 7.1.7."""
        code, _ = self.closing()
        assert self.ended()
        return code

    def say_goodbye(self) -> None:
        """Close as one should, and see the server do so: Sections 7.1.1 and 7.1.2."""
        self.send(close(1000))
        assert self.closing()[0] == 1000
        assert self.closed()


async def _accept(receive: Receive, send: Send) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Accept, and send every message back until the end."""
    assert scope["type"] == "websocket"
    await _accept(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") is not None:
            await send({"type": "websocket.send", "text": message["text"]})
        else:
            await send({"type": "websocket.send", "bytes": message["bytes"]})
    assert message["type"] == "websocket.disconnect"


def on_websocket(handler: Callable[[Receive, Send], Any]) -> App:
    """The application that accepts every WebSocket, and hands it to `handler`."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "websocket"
        await _accept(receive, send)
        await handler(receive, send)

    return app
