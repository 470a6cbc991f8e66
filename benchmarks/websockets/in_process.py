"""What a server itself costs for an echo over a WebSocket, without network and kernel.

It belongs to ``make bench-in-process``, and measures as that does: each of 32 open connections is fed one
frame at each turn of the event loop. uvicorn takes part with the fastest of its implementations.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, Final

from uvicorn.config import Config as UvicornConfig
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from asgiserve.config import Config
from asgiserve.http1.connection import Connection
from asgiserve.service import Service

from ..applications.asgi import Message
from ..applications.websockets import app, echo
from ..contenders import CONNECTIONS, LOOPS, TURNS, Connect, Contender, Feed, Wire, Written, row, take_turns
from . import frames
from .scenarios import SCENARIOS, Scenario

#: What is echoed, by the names of the rows.
MESSAGES: Final = {
    "WebSocket echo, 64 bytes of text": SCENARIOS[0],
    "WebSocket echo, 4 KiB, binary": SCENARIOS[1],
}


def asgiserve(written: Written) -> Iterator[Feed]:
    """Connect to asgiserve; the connection of HTTP hands the transport over to that of the WebSocket."""
    service = Service(app, Config(app=app, access_log=False), {})
    while True:
        connection = Connection(service)
        wire = Wire(written)
        wire.set_protocol(connection)
        connection.connection_made(wire)
        yield wire.feed


def uvicorn(written: Written) -> Iterator[Feed]:
    """Connect to uvicorn, which hands the handshake over to this protocol."""
    config = UvicornConfig(
        app, access_log=False, log_level="critical"
    )  # it says that its tasks are cancelled
    config.load()
    state = ServerState()
    while True:
        connection = WebSocketsSansIOProtocol(config, state, {})
        wire = Wire(written)
        wire.set_protocol(connection)
        connection.connection_made(wire)
        yield wire.feed


def floor(written: Written) -> Iterator[Feed]:
    """Connect to no server at all: the application waits for each message, and its answer is only counted."""
    while True:
        yield _Floor(written).feed


class _Floor:
    """One application, and what it waits for."""

    def __init__(self, written: Written) -> None:
        self._written = written
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.Future[Message] = self._loop.create_future()
        self._task = self._loop.create_task(echo(self._receive, self._send))

    def feed(self, data: bytes) -> None:
        """Let it receive a message."""
        self._next.set_result({"type": "websocket.receive", "bytes": data})

    async def _receive(self) -> Message:
        message = await self._next
        self._next = self._loop.create_future()
        return message

    async def _send(self, message: Message) -> None:
        self._written.add(message.get("bytes", b""))


CONTENDERS: Final[dict[str, Connect]] = {"asgiserve": asgiserve, "uvicorn": uvicorn, "floor": floor}


async def measure(scenario: Scenario, rounds: int) -> dict[str, list[float]]:
    """Let all contenders echo one message; microseconds."""
    contenders = [Contender(name, connect) for name, connect in CONTENDERS.items()]
    for contender in contenders:
        for number in range(CONNECTIONS):
            await contender.answer(frames.handshake(scenario.path, compressed=False), number)
        echoed = await contender.answer(scenario.sent)
        if echoed != (scenario.sent if contender.name == "floor" else scenario.answer):
            raise RuntimeError(f"{contender.name} gives a wrong answer: {echoed[:80]!r}")
    return await take_turns(contenders, lambda _: _frames(scenario.sent), rounds)


def _frames(frame: bytes) -> list[list[bytes]]:
    """Make the frames of a round; each is an object of its own, as if it had just been received."""
    return [[bytes(bytearray(frame)) for _ in range(CONNECTIONS)] for _ in range(TURNS)]


def compare(loop: str, title: str, rounds: int) -> dict[str, Any]:
    """Measure one kind of message on one loop, and sum up."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        measured = runner.run(measure(MESSAGES[title], rounds))
    return row(loop, title, measured, None)
