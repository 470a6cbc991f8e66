"""The servers that are compared over WebSockets: uvicorn takes part with each of its implementations."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final

from .. import servers
from ..servers import Running
from .connection import Connection, Refused
from .scenarios import Scenario

APPLICATION: Final = "benchmarks.applications.websockets:app"

#: Which server each of them is, and its further arguments.
SERVERS: Final[dict[str, tuple[str, Sequence[str]]]] = {
    "asgiserve": ("asgiserve", ()),
    "uvicorn-sansio": ("uvicorn", ("--ws", "websockets-sansio")),
    "uvicorn-wsproto": ("uvicorn", ("--ws", "wsproto")),
    "uvicorn-websockets": ("uvicorn", ("--ws", "websockets")),
    "granian": ("granian", ()),
    "hypercorn": ("hypercorn", ()),
    "daphne": ("daphne", ()),
}


@contextlib.contextmanager
def serving(name: str, *, core: int | None = None, arguments: Sequence[str] = ()) -> Iterator[Running]:
    """Start a server with the application of these benchmarks; end it."""
    server, own = SERVERS[name]
    with servers.serving(server, APPLICATION, core=core, arguments=[*own, *arguments]) as running:
        yield dataclasses.replace(running, name=name)


def what_is_missing(server: Running, scenario: Scenario) -> str:
    """Say why a server cannot take part: it speaks no WebSocket, or does not compress."""
    try:
        Connection(server.port, scenario.path, scenario.compressed).socket.close()
    except Refused as refused:
        return str(refused)
    return ""


def what_is_wrong(server: Running, scenario: Scenario) -> str:
    """Send a scenario's message some times; say what is wrong with the answers, or an empty text."""
    try:
        connection = Connection(server.port, scenario.path, scenario.compressed)
        with connection.socket:
            for number in range(1, 4):
                connection.socket.sendall(scenario.sent)
                message = connection.message()
                if message != scenario.message:
                    return f"message {number} is another one: {message[:40]!r}, {len(message)} bytes"
    except (OSError, Refused) as error:
        return f"{type(error).__name__}: {error}"
    return ""


@contextlib.contextmanager
def serving_nothing(scenario: Scenario, core: int) -> Iterator[Running]:
    """Start what only answers with the prepared frame, as fast as anything can on uvloop."""

    def command(port: int) -> list[str]:
        return ["benchmarks.websockets.canned", scenario.name, "--port", str(port)]

    with servers.started("canned", command, core=core) as running:
        yield running
