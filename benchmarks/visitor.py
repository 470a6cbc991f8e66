"""One client of `benchmarks.visits`: a blocking connection, and the requests that are sent on it."""

from __future__ import annotations

import socket
import struct
from typing import Final

from .applications.content import HELLO
from .servers import HOST

#: Seconds after which a client gives up, which is an error.
PATIENCE: Final = 60.0


class WrongAnswer(Exception):
    """The server answered otherwise than it should."""


class Visitor:
    """One connection to the server."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.send = self.socket.sendall
        self.behind = b""

    def reset(self) -> None:
        """Leave without a farewell."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def leave(self) -> None:
        """Leave, as far as the server can see, in the usual way."""
        self.socket.close()

    def half_close(self) -> None:
        """Send no more, and leave some time later."""
        self.socket.shutdown(socket.SHUT_WR)
        self.socket.settimeout(0.01)
        try:
            self.socket.recv(1)
        except OSError:
            pass
        self.socket.close()

    def read_until(self, end: bytes) -> bytes:
        """Read up to and with `end`."""
        data = self.behind
        while (place := data.find(end)) < 0:
            more = self.socket.recv(262144)
            if not more:
                raise WrongAnswer(f"it ended too early: {data[-200:]!r}")
            data += more
        place += len(end)
        self.behind = data[place:]
        return data[:place]

    def read(self, size: int) -> bytes:
        """Read so many bytes."""
        data = self.behind
        while len(data) < size:
            more = self.socket.recv(262144)
            if not more:
                raise WrongAnswer(f"it ended after {len(data)} of {size} bytes")
            data += more
        self.behind = data[size:]
        return data[:size]

    def read_to_end(self) -> bytes:
        """Read until the server ends the connection in some way."""
        data = self.behind
        try:
            while more := self.socket.recv(262144):
                data += more
        except ConnectionResetError:
            pass
        return data

    def expect(self, status: int, body: bytes = b"") -> None:
        """Read a response of known length; raise WrongAnswer if it is another one."""
        head = self.read_until(b"\r\n\r\n").lower()
        if not head.startswith(b"http/1.1 %d " % status):
            raise WrongAnswer(f"{head!r} instead of {status}")
        _, _, length = head.partition(b"content-length: ")
        if length and self.read(int(length.partition(b"\r\n")[0])) != (body or HELLO) and status == 200:
            raise WrongAnswer("another body")


def get(target: str, version: str = "1.1") -> bytes:
    """A GET request."""
    return f"GET {target} HTTP/{version}\r\nHost: soak\r\nUser-Agent: soak\r\nAccept: */*\r\n\r\n".encode()


def post(target: str, body: bytes, *fields: str) -> bytes:
    """A POST request with a length."""
    lines = "".join(f"{field}\r\n" for field in fields)
    return (
        f"POST {target} HTTP/1.1\r\nHost: soak\r\nContent-Length: {len(body)}\r\n{lines}\r\n".encode() + body
    )


def chunked(target: str, *chunks: bytes) -> bytes:
    """A POST request in chunks, with a trailer."""
    head = f"POST {target} HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    return head + b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks) + b"0\r\nX-A: b\r\n\r\n"


GET: Final = get("/")
