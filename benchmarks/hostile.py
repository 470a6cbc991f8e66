"""Hostile clients: a thousand connections at once that hold a server up, each in one of six ways.

``python -m benchmarks.hostile --port 8000`` opens them, each kind in an equal share, and opens another one
for each that the server ends. When its input is closed it says as JSON how long the server took to end them.
It is a process of its own, and gives way to whoever else wants its core.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import os
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Final

from .servers import HOST

#: Seconds between two bytes of those who drip.
PAUSE: Final = 0.5

#: Seconds over a deadline in which a connection has to be ended.
GRACE: Final = 1.0

#: epoll tells of these two unasked.
_BROKEN: Final = select.EPOLLERR | select.EPOLLHUP


@dataclass(frozen=True, slots=True)
class Kind:
    """A way to hold a connection: what is sent at first, and byte by byte later; and what is read."""

    first: bytes = b""
    drip: bytes = b""
    reads: bool = True
    answered: bool = False  # the time counts from the answer to what was sent at first


def _post(length: int) -> bytes:
    return b"POST /count HTTP/1.1\r\nHost: hostile\r\nContent-Length: %d\r\n\r\n" % length


KINDS: Final = {
    "silent connect": Kind(),
    "dripped head": Kind(b"GET / HTTP/1.1\r\nHost: hostile\r\n", b"X-Drip: drip\r\n"),
    "dripped body": Kind(_post(1_000_000), b"x"),
    "stalled body": Kind(_post(1_000_000) + b"x" * 1000),
    "never reads": Kind(b"GET /flood HTTP/1.1\r\nHost: hostile\r\n\r\n", reads=False),
    "idle keep-alive": Kind(b"GET / HTTP/1.1\r\nHost: hostile\r\n\r\n", answered=True),
}


@dataclass(slots=True)
class Tally:
    """What became of the connections of one kind; `held` are those that outlive the deadline plus GRACE."""

    opened: int = 0
    in_time: int = 0
    late: int = 0
    held: int = 0
    earliest: float | None = None  # seconds until the server ended one
    latest: float | None = None

    def count(self, seconds: float, deadline: float) -> None:
        """Count one that the server has ended."""
        if seconds <= deadline + GRACE:
            self.in_time += 1
        else:
            self.late += 1
        self.earliest = min(seconds, self.earliest or seconds)
        self.latest = max(seconds, self.latest or seconds)


@dataclass(slots=True)
class Hostile:
    """One hostile connection."""

    name: str
    socket: socket.socket
    since: float  # when the server's deadline for it began
    drip: Iterator[int] = field(default_factory=lambda: iter(()))

    @property
    def kind(self) -> Kind:
        """What it does."""
        return KINDS[self.name]


class Swarm:
    """Hostile connections to one server."""

    def __init__(self, port: int, deadline: float) -> None:
        self._address = (HOST, port)
        self._deadline = deadline
        self._poll = select.epoll()
        self._members: dict[int, Hostile] = {}
        self._order = itertools.count()
        self._drips: list[tuple[float, int, Hostile]] = []  # a heap, by when the next byte is due
        self.tallies = {name: Tally() for name in KINDS}

    def open(self, name: str) -> None:
        """Open a connection of one kind."""
        kind = KINDS[name]
        sock = socket.socket()
        if not kind.reads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.connect(self._address)
        sock.send(kind.first)
        sock.setblocking(False)
        now = time.monotonic()
        member = Hostile(name, sock, now, itertools.cycle(kind.drip))
        self._members[sock.fileno()] = member
        self._poll.register(sock, select.EPOLLIN if kind.reads else _BROKEN)
        self.tallies[name].opened += 1
        if kind.drip:
            heapq.heappush(self._drips, (now + PAUSE, next(self._order), member))

    def run(self, until: float) -> None:
        """Drip, and open another connection for each that has ended, until some time."""
        while (now := time.monotonic()) < until:
            due = self._drips[0][0] if self._drips else until
            for number, event in self._poll.poll(max(0.0, min(due, until) - now)):
                self._look(self._members[number], event)
            now = time.monotonic()
            while self._drips and self._drips[0][0] <= now:
                self._drip(heapq.heappop(self._drips)[2], now)

    def _look(self, member: Hostile, event: int) -> None:
        """Something has come, or the connection was reset."""
        try:
            ended = not member.kind.reads or not member.socket.recv(65536)
        except OSError:
            ended = True
        if ended:
            self.tallies[member.name].count(time.monotonic() - member.since, self._deadline)
            self._poll.unregister(member.socket)
            del self._members[member.socket.fileno()]
            member.socket.close()
            self.open(member.name)
        elif member.kind.answered:
            member.since = time.monotonic()

    def _drip(self, member: Hostile, now: float) -> None:
        if member.socket.fileno() >= 0:
            try:
                member.socket.send(bytes((next(member.drip),)))
            except OSError:
                pass  # it has ended, as the poll will say
            heapq.heappush(self._drips, (now + PAUSE, next(self._order), member))

    def close(self) -> None:
        """Leave, and count those that should have been ended before."""
        now = time.monotonic()
        for member in self._members.values():
            if now - member.since > self._deadline + GRACE:
                self.tallies[member.name].held += 1
            member.socket.close()


def attack(port: int, connections: int, deadline: float) -> dict[str, Tally]:
    """Attack until the input is closed. They come over the time of one deadline, and so they end."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    swarm = Swarm(port, deadline)
    for name in itertools.islice(itertools.cycle(KINDS), connections):
        swarm.open(name)
        swarm.run(time.monotonic() + deadline / connections)
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0)[0]:
        swarm.run(time.monotonic() + 0.1)
    swarm.close()
    return swarm.tallies


def main() -> None:
    """Read the command line, attack, and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hostile", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--deadline", type=float, default=5.0)
    asked = parser.parse_args()
    tallies = attack(asked.port, asked.connections, asked.deadline)
    print(json.dumps({name: asdict(tally) for name, tally in tallies.items()}))


if __name__ == "__main__":
    main()
