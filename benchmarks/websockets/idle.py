"""What ten thousand idle WebSockets cost, on each server: memory, with and without compression.

Each has echoed one message of 512 bytes. Memory is what the server's processes have for themselves, before
and after, by the number of connections. In the end each of them has to answer once more.
"""

from __future__ import annotations

import contextlib
import resource
import select
from dataclasses import dataclass
from typing import Final

from .. import idle
from ..idle import EARLY, OTHERS, private_memory
from . import frames
from .connection import Connection, Refused
from .scenarios import EVENT
from .servers import SERVERS, serving

CONNECTIONS: Final = 10_000

#: Connections that are opened or asked between two looks at whether there are pings.
OFTEN: Final = 200

#: What each sends: plain, and compressed.
MESSAGES: Final = (frames.sent(EVENT, frames.TEXT), frames.sent(EVENT, frames.TEXT, compressed=True))


@dataclass(frozen=True, slots=True)
class Idle:
    """What the connections cost on one server."""

    server: str
    compressed: bool
    connections: int
    memory: float | None  # KiB for each connection
    answered: int  # connections, in the end
    fault: str = ""  # why it was not measured
    missing: str = ""  # why there is nothing to measure


def allow(connections: int) -> None:
    """Let this process and its servers have so many connections; raises ValueError if that is too many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (connections + OTHERS, hard))


def measure(name: str, core: int, compressed: bool, connections: int = CONNECTIONS) -> Idle:
    """Open the connections to one server, and look at its memory."""
    with serving(name, core=core, arguments=idle.SETTINGS[SERVERS[name][0]]) as server:
        crowd = _Crowd(server.port, compressed)
        try:
            crowd.open(EARLY)
            before = private_memory(server)
            crowd.open(connections)
            memory = (private_memory(server) - before) / connections
            answered = crowd.answered() - EARLY
        except Refused as refused:
            return Idle(name, compressed, connections, None, 0, missing=str(refused))
        except OSError as error:
            said = f"{type(error).__name__} after {len(crowd.opened)} connections"
            return Idle(name, compressed, connections, None, 0, fault=said)
        finally:
            crowd.close()
    return Idle(name, compressed, connections, memory, answered)


class _Crowd:
    """Many connections to one server, whose pings are answered, as all clients do."""

    def __init__(self, port: int, compressed: bool) -> None:
        self._port = port
        self._compressed = compressed
        self._poll = select.epoll()
        self.opened: dict[int, Connection] = {}

    def open(self, number: int) -> None:
        """Open so many more, each of which echoes a message."""
        for _ in range(number):
            connection = Connection(self._port, "/echo", self._compressed)
            descriptor = connection.socket.fileno()
            self.opened[descriptor] = connection
            self._poll.register(descriptor, select.EPOLLIN)
            if not self._answers(connection):
                raise OSError("no echo")
            if len(self.opened) % OFTEN == 0:
                self._answer_pings()

    def answered(self) -> int:
        """Ask on each, and count those that answer."""
        answers = 0
        for number, connection in enumerate(self.opened.values()):
            answers += self._answers(connection)
            if number % OFTEN == 0:
                self._answer_pings()
        return answers

    def close(self) -> None:
        """Leave."""
        for connection in self.opened.values():
            connection.socket.close()
        self._poll.close()

    def _answer_pings(self) -> None:
        for descriptor, _ in self._poll.poll(0, CONNECTIONS):
            with contextlib.suppress(OSError):
                self.opened[descriptor].answer_pings()

    def _answers(self, connection: Connection) -> bool:
        with contextlib.suppress(OSError, Refused):
            connection.socket.sendall(MESSAGES[self._compressed])
            return connection.message() == EVENT
        return False
