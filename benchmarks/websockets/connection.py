"""One WebSocket from the client's side: it is opened, and can send, and wait for a message.

The load opens its connections with it, and drives them by itself afterwards.
"""

from __future__ import annotations

import socket
import zlib
from typing import Final

from ..servers import HOST
from . import frames

#: Seconds for a handshake, or an answer.
PATIENCE: Final = 30.0


class Refused(Exception):
    """The server does not open a WebSocket, or not as it was asked to."""


class Connection:
    """An open WebSocket; raises Refused if the server does something else, or does not compress if asked."""

    def __init__(self, port: int, path: str, compressed: bool) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._behind = b""
        self._inflate = zlib.decompressobj(wbits=-15)
        try:
            self.socket.sendall(frames.handshake(path, compressed))
            self._check(self._head(), compressed)
        except BaseException:
            self.socket.close()
            raise

    def _head(self) -> bytes:
        data = b""
        while b"\r\n\r\n" not in data:
            more = self.socket.recv(65536)
            if not more:
                raise Refused("the server closes the connection")
            data += more
        head, _, self._behind = data.partition(b"\r\n\r\n")
        return head

    def _check(self, head: bytes, compressed: bool) -> None:
        line, *fields = head.split(b"\r\n")
        if not line.startswith(b"HTTP/1.1 101 "):
            raise Refused(f"no WebSocket: {line.decode(errors='replace')}")
        found = {
            name.lower(): value.strip() for name, _, value in (field.partition(b":") for field in fields)
        }
        if found.get(b"sec-websocket-accept") != frames.accept(frames.KEY):
            raise Refused("another key is accepted")
        if compressed and b"permessage-deflate" not in found.get(b"sec-websocket-extensions", b""):
            raise Refused("no compression")

    def message(self) -> bytes:
        """Wait for a message, and inflate it; answer pings meanwhile. Raises Refused if none comes."""
        while True:
            frame = self._frame()
            opcode = frame.first & 0xF
            if opcode == frames.PING:
                self.socket.sendall(frames.sent(frame.payload, frames.PONG))
            elif opcode in (frames.TEXT, frames.BINARY) and frame.first & frames.FIN:
                compressed = frame.first & frames.COMPRESSED
                return self._inflate.decompress(frame.payload + frames.TAIL) if compressed else frame.payload
            elif opcode != frames.PONG:
                raise Refused(f"a frame that begins with {frame.first:#x}: {frame.payload[:40]!r}")

    def answer_pings(self) -> None:
        """Answer the pings that have come; to be called when there is something to read."""
        self._behind += self.socket.recv(65536)
        while (frame := frames.read(self._behind)) is not None and frame.first & 0xF == frames.PING:
            self._behind = self._behind[frame.end :]
            self.socket.sendall(frames.sent(frame.payload, frames.PONG))

    def _frame(self) -> frames.Frame:
        while (frame := frames.read(self._behind)) is None:
            more = self.socket.recv(65536)
            if not more:
                raise Refused("the server closes the connection")
            self._behind += more
        self._behind = self._behind[frame.end :]
        return frame
