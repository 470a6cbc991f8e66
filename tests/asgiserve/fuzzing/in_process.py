"""A server's connection in this process: its own code, with the wire and the time in our hands.

This is the one place of the fuzzing tests that knows how the server is put together. The transport stands
in for asyncio's; the event loop is asyncio's own, on a clock that goes on when it is told to, so that what
takes the server a minute takes a test a millisecond.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import socket
from collections.abc import Callable, Iterable
from contextvars import Context
from dataclasses import dataclass, field
from typing import Any, TypeVarTuple

from asgiserve import Config
from asgiserve.deadlines import TICK
from asgiserve.http1.connection import Connection
from asgiserve.service import Service
from tests.asgiserve.applications import App

Ts = TypeVarTuple("Ts")

#: Small, so that short inputs reach them; and times that are over after a few sweeps.
SETTINGS: dict[str, Any] = {
    "max_request_line": 128,
    "max_header_size": 128,
    "max_headers_size": 512,
    "max_headers": 8,
    "max_body_size": 512,
    "request_timeout": 1.0,
    "response_timeout": 1.0,
    "keep_alive_timeout": 1.0,
    "write_timeout": 1.0,
    "date_header": False,
    "server_header": False,
}

#: Seconds after which each connection has to be closed whose client sends no more: several of the timeouts.
QUIET = 30.0


class Ending(enum.IntEnum):
    """What the client does when it has sent everything."""

    SILENCE = 0  # it waits
    END = 1  # it closes its sending half, once it was answered
    END_AT_ONCE = 2  # with the last bytes
    RESET = 3
    RESET_AT_ONCE = 4
    DRAIN = 5  # it waits, and the server is told to stop


class Pace(enum.IntEnum):
    """How the client reads."""

    FAST = 0  # at once
    SLOW = 1  # only once the server had to wait for it
    NEVER = 2


@dataclass
class Outcome:
    """What became of a connection."""

    sent: bytes = b""
    cut: bool = False  # the server has reset it, before the client could see it end
    faults: list[str] = field(default_factory=list)  # what must not happen, whatever the input is
    errors: list[str] = field(default_factory=list)  # what the log says above INFO


class Loop(asyncio.SelectorEventLoop):
    """asyncio's event loop, with a clock of ours, which can be run until nothing is left to do."""

    def __init__(self) -> None:
        self.clock = 0.0
        self._called = False
        super().__init__()

    def time(self) -> float:
        """The time that it is by our clock."""
        return self.clock

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        """Note that there is something left to do."""
        self._called = True
        return super().call_soon(callback, *args, context=context)

    def settle(self) -> None:
        """Run until nothing is left to do at this time."""
        self._called = True
        while self._called:
            self._called = False
            self.stop()
            self.run_forever()


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and knows how fast the client reads it."""

    def __init__(self, loop: Loop, protocol: Connection, end: socket.socket, pace: Pace) -> None:
        super().__init__({"peername": ("192.0.2.1", 1024), "sockname": ("192.0.2.2", 80), "socket": end})
        self.sent = bytearray()
        self.faults: list[str] = []
        self.reading = True
        self.lost = False
        self.cut = False
        self._loop = loop
        self._protocol = protocol
        self._pace = pace
        self._untaken = 0
        self._ended = False
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it; it fills the buffers of a client that does not read at once."""
        if self._ended or self._closing:
            self.faults.append(f"{bytes(data)!r} is written although the sending half was closed before")
            return
        self.sent += data
        if self._pace is not Pace.FAST:
            self._untaken += len(data)
            if self._untaken == len(data):
                self._protocol.pause_writing()

    def take(self) -> bool:
        """A slow client reads everything; return whether there was anything."""
        if not self._untaken or self._pace is Pace.NEVER:
            return False
        self._untaken = 0
        self._loop.call_soon(self._protocol.resume_writing)
        if self._closing:
            self._loop.call_soon(self.lose, None)
        return True

    def lose(self, error: Exception | None) -> None:
        """The connection ends."""
        self._closing = True
        self._untaken = 0
        if not self.lost:
            self.lost = True
            self._protocol.connection_lost(error)

    def can_write_eof(self) -> bool:
        """As over TCP."""
        return True

    def write_eof(self) -> None:
        """The server closes its sending half."""
        self._ended = True

    def get_write_buffer_size(self) -> int:
        """What the client has not read yet."""
        return self._untaken

    def is_closing(self) -> bool:
        """Whether the server has closed."""
        return self._closing

    def close(self) -> None:
        """The server closes, once everything is read."""
        if not self._closing:
            self._closing = True
            if not self._untaken:
                self._loop.call_soon(self.lose, None)

    def abort(self) -> None:
        """The server cuts the connection."""
        if self._untaken or not (self._ended or self._closing):
            self.cut = True
        self._closing = True
        self._loop.call_soon(self.lose, None)

    def pause_reading(self) -> None:
        """The server has enough for now."""
        self.reading = False

    def resume_reading(self) -> None:
        """The server reads on."""
        self.reading = True


class Client:
    """A client on a connection of its own: sends pieces, as fast as the server reads them, then ends."""

    def __init__(
        self, loop: Loop, connection: Connection, wire: Wire, pieces: Iterable[bytes], ending: Ending
    ) -> None:
        self._loop = loop
        self._connection = connection
        self._wire = wire
        self._pieces = list(pieces)
        self._ending = ending
        loop.call_soon(connection.connection_made, wire)
        self._settle()

    def go_on(self) -> None:
        """Send as far as the server wants to read, and then end."""
        while self._pieces and self._wire.reading and not self._wire.is_closing():
            self._loop.call_soon(self._connection.data_received, self._pieces.pop(0))
            if not self._pieces and self._ending in (Ending.END_AT_ONCE, Ending.RESET_AT_ONCE):
                self._end()
            self._settle()
        if not self._pieces:
            self._end()
        self._settle()

    def _settle(self) -> None:
        self._loop.settle()
        while self._wire.take():
            self._loop.settle()

    def _end(self) -> None:
        ending, self._ending = self._ending, Ending.SILENCE
        if ending in (Ending.END, Ending.END_AT_ONCE):
            self._loop.call_soon(self._end_sending)
        elif ending in (Ending.RESET, Ending.RESET_AT_ONCE):
            self._loop.call_soon(self._wire.lose, ConnectionResetError())
        elif ending is Ending.DRAIN:
            self._loop.call_soon(self._connection.service.drain)

    def _end_sending(self) -> None:
        if not self._wire.is_closing() and not self._connection.eof_received():
            self._wire.close()


class Harness(logging.Handler):
    """Runs one connection after the other on one event loop; a context manager."""

    def __init__(self, http: str, **settings: Any) -> None:
        super().__init__(logging.INFO)
        self._config = Config(app="served:later", **(SETTINGS | {"http": http} | settings))
        self._loop = Loop()
        self._loop.set_exception_handler(self._note)
        self._ends = socket.socketpair()  # to be asked whether they are reset, which they never are
        self._outcome = Outcome()

    def __enter__(self) -> Harness:
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.close()
        for end in self._ends:
            end.close()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is logged as an error; format all the rest too, because that can fail."""
        line = record.getMessage()
        if record.levelno > logging.INFO:
            self._outcome.errors.append(line)

    def _note(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._outcome.faults.append(f"{context.get('message')}: {context.get('exception')!r}")

    def serve(
        self, app: App, pieces: Iterable[bytes], ending: Ending = Ending.SILENCE, pace: Pace = Pace.FAST
    ) -> Outcome:
        """Serve a client that sends these pieces, and tell what became of its connection."""
        logger = logging.getLogger("asgiserve")
        level, logger.propagate = logger.level, False
        logger.setLevel(logging.INFO)
        logger.addHandler(self)
        try:
            return self._serve(app, pieces, ending, pace)
        finally:
            logger.removeHandler(self)
            logger.setLevel(level)
            logger.propagate = True

    def _serve(self, app: App, pieces: Iterable[bytes], ending: Ending, pace: Pace) -> Outcome:
        self._outcome = outcome = Outcome()
        service = self._loop.run_until_complete(self._service(app))
        connection = Connection(service)
        wire = Wire(self._loop, connection, self._ends[0], pace)
        client = Client(self._loop, connection, wire, pieces, ending)
        service.deadlines.start()
        client.go_on()
        for _ in range(int(QUIET / TICK)):
            if wire.lost and not service.busy:
                break
            self._loop.clock += TICK
            client.go_on()
        else:
            outcome.faults.append(f"after {QUIET:g} s the connection is still there, or what belongs to it")
        service.deadlines.stop()
        outcome.sent = bytes(wire.sent)
        outcome.cut = wire.cut
        outcome.faults += wire.faults
        return outcome

    async def _service(self, app: App) -> Service:
        return Service(app, self._config, None)
