"""The writing half of a connection: heads and bodies of responses, and a client that reads slowly."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import select
import socket
import struct
import sys
import termios
from array import array
from typing import TYPE_CHECKING, Final

from ..deadlines import NEVER
from ..waiting import Waiters
from .framing import BodyWriter, SilentWriter
from .response import ResponseHead

if TYPE_CHECKING:
    from ..service import Service

#: Bytes of a stream that the kernel keeps beyond those that are on their way; more pieces of a large body
#: would cost more turns of the event loop. The number of the option is Linux's (Python 3.12 has its name).
UNSENT: Final = 131072
_NOTSENT_LOWAT: Final = 25

#: A piece of a body above this is written by itself, because copying it costs more than a second write.
LARGE_PIECE: Final = 65536


class Outbound:
    """What a connection writes, and how far its client has taken it."""

    __slots__ = (
        "_bounded",
        "_caught_up_at",
        "_drained",
        "_gathered",
        "_gathered_size",
        "_service",
        "_time_left",
        "_transport",
        "cut_at",
        "head",
        "more_soon",
        "unsent",
        "writer",
    )

    def __init__(self, service: Service, transport: asyncio.Transport) -> None:
        self._service = service
        self._transport = transport
        # Of a response that is written in pieces, until it is complete:
        self.head: ResponseHead | None = None
        self.writer: BodyWriter | None = None
        self._gathered: list[bytes] = []  # what is written soon, in one piece
        self._gathered_size = 0
        self.more_soon = False  # a pipelined request has begun, whose answer may come in the next turn
        self._bounded = False
        self._drained: Waiters | None = None
        self.unsent = 0  # what the client had not taken at the last look
        self._time_left = service.write_wait  # of it, when the client had caught up
        self._caught_up_at = 0.0
        self.cut_at = 0.0  # when it loses its connection, unless it takes more until then

    def write(self, content: bytes) -> None:
        """Write something now, behind what was gathered."""
        if self._gathered:
            self._gathered.append(content)
            self.flush()
        else:
            self._transport.write(content)

    def gather(self, content: bytes) -> None:
        """Write something together with what follows in the same turn of the event loop.

        Each write costs 1.1 µs, and 3 µs more in the kernel if it is the only one of its turn; and streams
        often have many small pieces.
        """
        if len(content) > LARGE_PIECE:
            self.flush()
            self._transport.write(content)
            return
        if not self._gathered:
            self._end_turn_soon()
        self._gathered.append(content)
        self._gathered_size += len(content)
        if self._gathered_size > LARGE_PIECE:
            self.flush()

    def _end_turn_soon(self) -> None:
        self._service.loop.call_soon(self._end_turn, context=self._service.context)

    def _end_turn(self) -> None:
        """Write what was gathered in a turn of the event loop; or wait for one more answer in the next."""
        if self.more_soon:
            self.more_soon = False
            self._end_turn_soon()
        else:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        if self._gathered:
            content = b"".join(self._gathered)
            self._gathered.clear()
            self._gathered_size = 0
            if not self._transport.is_closing():
                self._transport.write(content)

    @property
    def size(self) -> int:
        """Bytes of the body that were written, of a response in pieces."""
        return self.writer.size if self.writer is not None else 0

    @property
    def silent(self) -> bool:
        """Whether a response has begun of which nothing more will be written."""
        return isinstance(self.writer, SilentWriter)

    @property
    def until_close(self) -> bool:
        """Whether the body of the response is ended by the end of the connection (RFC 9112 §6.3)."""
        return type(self.writer) is BodyWriter

    def bound_queue(self) -> None:
        """Let the kernel take little more of a stream than it can send.

        For a client that does not read it would take 3 MB, which is slow: 5 ms, in which others wait.
        """
        if not self._bounded:
            self._bounded = True
            sock = self._transport.get_extra_info("socket")
            if sock is not None and sys.platform == "linux":
                with contextlib.suppress(OSError):  # UNIX sockets have no such option
                    sock.setsockopt(socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT)

    def wake(self) -> None:
        """Let `drain` look again."""
        if self._drained is not None:
            self._drained.wake()

    async def drain(self) -> None:
        """Wait for the next `wake`."""
        if self._drained is None:
            self._drained = Waiters()
        await self._drained.wait()

    def watch(self) -> None:
        """The client has `write_timeout` from now on to take something, or what it has left of that.

        A stream may be paused many times a second, and each time for a moment: the time of a client that
        always takes a little, and too little, has to run out over all of them. It gets back as much as it
        was not waited for.
        """
        service = self._service
        now = service.deadlines.now
        self.unsent = self.queued()
        self.cut_at = now + min(service.write_wait, self._time_left + now - self._caught_up_at)

    def caught_up(self) -> None:
        """The client has taken enough; nobody waits for it."""
        self.look()
        self._caught_up_at = now = self._service.deadlines.now
        self._time_left = self.cut_at - now

    def look(self) -> bool:
        """Whether the client is to be cut off: each byte it takes buys it time, at the least rate allowed.

        The event loop cannot tell: to it a socket is writable only when a third of the kernel's buffer,
        which may hold megabytes, is free again; and that takes a slow client minutes.
        """
        service = self._service
        now = service.deadlines.now
        taken, self.unsent = self.unsent, self.queued()
        taken -= self.unsent
        if taken > 0:
            rate = service.config.min_body_rate
            self.cut_at = min(now + service.write_wait, self.cut_at + taken / rate if rate else NEVER)
        return now >= self.cut_at

    def queued(self) -> int:
        """Bytes that the client has not taken yet: here, and in the kernel."""
        queued = array("i", [0])
        sock = self._transport.get_extra_info("socket")
        with contextlib.suppress(OSError):  # some kernels do not tell
            if sock is not None and sock.fileno() >= 0:
                fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, queued)
        return self._transport.get_write_buffer_size() + queued[0]

    def probe(self) -> None:
        """Write something that a client which has left answers with a reset.

        A client has to expect interim responses at any time before the final one (RFC 9110 §15.2).
        """
        self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def is_reset(self) -> bool:
        """Whether the connection is over in both directions, which a loop that does not read is not told."""
        sock = self._transport.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(sock.fileno(), 0)
        return bool(poll.poll(0))

    def end(self) -> None:
        """Write nothing more; asyncio raises here if the client has reset the connection."""
        try:
            self._transport.write_eof()
        except OSError:
            self._transport.abort()

    def abort(self) -> None:
        """Reset the connection, because its end alone can mean the end of a response (RFC 9112 §8)."""
        sock = self._transport.get_extra_info("socket")
        if sock is not None and sock.family != socket.AF_UNIX and not self._transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()
