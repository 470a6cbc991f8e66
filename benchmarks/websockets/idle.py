"""What ten thousand idle WebSockets cost, on each server: memory, with and without compression.

Each has echoed one message of 512 bytes. Memory is what the server's processes have for themselves, before
and after, by the number of connections. In the end each of them has to answer once more.
"""

from __future__ import annotations

import contextlib
import resource
from dataclasses import dataclass
from typing import Final

from .. import idle
from ..idle import EARLY, OTHERS, private_memory
from ..servers import Running
from . import frames
from .connection import Connection, Refused
from .scenarios import EVENT
from .servers import SERVERS, serving

CONNECTIONS: Final = 10_000

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
        opened: list[Connection] = []
        try:
            _open(server, opened, EARLY, compressed)
            before = private_memory(server)
            _open(server, opened, connections, compressed)
            memory = (private_memory(server) - before) / connections
            answered = sum(_answers(each, compressed) for each in opened[EARLY:])
        except Refused as refused:
            return Idle(name, compressed, connections, None, 0, missing=str(refused))
        except OSError as error:
            said = f"{type(error).__name__} after {len(opened)} connections"
            return Idle(name, compressed, connections, None, 0, fault=said)
        finally:
            for each in opened:
                each.socket.close()
    return Idle(name, compressed, connections, memory, answered)


def _open(server: Running, opened: list[Connection], number: int, compressed: bool) -> None:
    for _ in range(number):
        opened.append(Connection(server.port, "/echo", compressed))
        if not _answers(opened[-1], compressed):
            raise OSError("no echo")


def _answers(connection: Connection, compressed: bool) -> bool:
    """Echo one message."""
    with contextlib.suppress(OSError, Refused):
        connection.socket.sendall(MESSAGES[compressed])
        return connection.message() == EVENT
    return False
