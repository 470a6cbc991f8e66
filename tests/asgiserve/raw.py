"""A client that sends exact bytes, and reads responses strictly, with h11."""

from __future__ import annotations

import dataclasses
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import h11

#: Seconds to wait for what has to come: long enough for a busy machine, so that only a hang is a failure.
PATIENCE = 10.0

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
GET_AND_CLOSE = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"


def get(target: str = "/", *fields: str) -> bytes:
    """A GET request for `target` with further header fields."""
    return request(f"GET {target} HTTP/1.1", "Host: test", *fields)


def post(body: bytes, *fields: str, target: str = "/") -> bytes:
    """A POST request with a Content-Length."""
    return request(f"POST {target} HTTP/1.1", "Host: test", f"Content-Length: {len(body)}", *fields) + body


def chunked(*pieces: bytes, target: str = "/", fields: tuple[str, ...] = ()) -> bytes:
    """A POST request whose body is sent in chunks."""
    head = request(f"POST {target} HTTP/1.1", "Host: test", "Transfer-Encoding: chunked", *fields)
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in (*pieces, b""))


def request(*lines: str) -> bytes:
    """A request head of these lines."""
    return "".join(f"{line}\r\n" for line in (*lines, "")).encode("latin-1")


def eventually(condition: Callable[[], bool], patience: float = PATIENCE) -> bool:
    """Whether `condition` becomes true, for what nobody announces."""
    deadline = time.monotonic() + patience
    while not (found := condition()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


@dataclass(frozen=True, slots=True)
class Response:
    """A response as it stood on the wire; header names are in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    interim: list[Response] = field(default_factory=list)

    def __getitem__(self, name: str) -> str:
        """The value of a field that has to be there exactly once."""
        values = self.all(name)
        assert len(values) == 1, f"{name}: {values}"
        return values[0]

    def __contains__(self, name: str) -> bool:
        return bool(self.all(name))

    def all(self, name: str) -> list[str]:
        """The values of a field, in their order."""
        return [value.decode("latin-1") for key, value in self.headers if key == name.encode()]


class Client:
    """One connection to a server. What it waits for longer than PATIENCE raises TimeoutError."""

    def __init__(self, address: Any, tls: ssl.SSLContext | None = None) -> None:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(address)
            if family == socket.AF_INET:
                # A second small piece must not wait until the kernel has seen the first one confirmed.
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self.socket = tls.wrap_socket(self.socket, server_hostname="localhost")
        except BaseException:
            self.socket.close()
            raise
        self._behind = b""  # what came behind the last response that was read

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def reset(self) -> None:
        """Leave at once, with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def end(self) -> None:
        """Close the sending half alone."""
        self.socket.shutdown(socket.SHUT_WR)

    def send(self, data: bytes) -> None:
        """Send exactly these bytes."""
        self.socket.sendall(data)

    def read(self) -> bytes:
        """The next bytes that come; none at the end of the connection."""
        if self._behind:
            data, self._behind = self._behind, b""
            return data
        return self.socket.recv(65536)

    def read_until(self, end: bytes) -> bytes:
        """Everything up to and with `end`."""
        data = b""
        while end not in data:
            more = self.read()
            assert more, f"the connection ended before {end!r}: {data!r}"
            data += more
        place = data.index(end) + len(end)
        self._behind = data[place:] + self._behind
        return data[:place]

    def read_all(self) -> bytes:
        """Everything until the server closes; raises ConnectionResetError if it cuts the connection."""
        data = b""
        while more := self.read():
            data += more
        return data

    def response(self, method: str = "GET") -> Response:
        """Read one final response to `method`, and the 1xx ones before it.

        Raises h11.RemoteProtocolError if it breaks the rules, or ends before it is complete.
        """
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method=method, target="/", headers=[("host", "test")]))
        parser.send(h11.EndOfMessage())
        interim: list[Response] = []
        found: Response | None = None
        pieces: list[bytes] = []
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                parser.receive_data(self.read())
            elif isinstance(event, h11.InformationalResponse):
                interim.append(Response(event.status_code, list(event.headers)))
            elif isinstance(event, h11.Response):
                found = Response(event.status_code, list(event.headers))
            elif isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and found is not None:
                self._behind = parser.trailing_data[0]
                return dataclasses.replace(found, body=b"".join(pieces), interim=interim)
            else:
                raise AssertionError(f"no response: {event!r}")

    def closed(self) -> bool:
        """Whether the server closes the connection now, without another byte."""
        return self.read() == b""

    def cut(self) -> bool:
        """Whether the server resets the connection, whatever it sends before."""
        try:
            self.read_all()
        except ConnectionResetError:
            return True
        return False

    def ended(self) -> bool:
        """Whether the server ends the connection in whichever way, whatever it sends before."""
        try:
            self.read_all()
        except ConnectionResetError:
            pass
        return True
