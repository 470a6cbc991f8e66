"""The measurement in one process: connections to servers on transports to nowhere, which take turns."""

from __future__ import annotations

import asyncio
import gc
import operator
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final, cast

import uvloop

from .results import Spread

CONNECTIONS: Final = 32
TURNS: Final = 64  # of the loop, in one round
ROUNDS: Final = 61

LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}

#: What feeds one connection.
Feed = Callable[[bytes], Any]

#: What opens any number of connections to a server.
Connect = Callable[["Written"], Iterator[Feed]]


@dataclass(slots=True)
class Written:
    """What all connections of a server have written: how often, and what, if that is asked for."""

    count: int = 0
    remembered: list[bytes] | None = None

    def add(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Count one write."""
        self.count += 1
        if self.remembered is not None:
            self.remembered.append(bytes(data))


class Wire(asyncio.Transport):
    """A transport to nowhere."""

    def __init__(self, written: Written) -> None:
        super().__init__()
        self.write = written.add  # type: ignore[method-assign]

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Take whom to feed."""
        self._protocol = cast(asyncio.Protocol, protocol)

    def feed(self, data: bytes) -> None:
        """Let the protocol, which may have changed, receive data."""
        self._protocol.data_received(data)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Tell addresses, as if there were a socket."""
        return {"peername": ("127.0.0.1", 50000), "sockname": ("127.0.0.1", 8000)}.get(name, default)

    def is_closing(self) -> bool:
        """Tell that it is open, always."""
        return False

    def get_write_buffer_size(self) -> int:
        """Tell that all has left."""
        return 0

    def pause_reading(self) -> None:
        """Do nothing: who feeds the connection waits for its answer."""

    def resume_reading(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Contender:
    """The connections of one server, and how often it writes for a response."""

    def __init__(self, name: str, connect: Connect) -> None:
        self.name = name
        self._written = Written()
        source = connect(self._written)
        self.feeds = [next(source) for _ in range(CONNECTIONS)]
        self._writes = 1

    async def answer(self, request: bytes, connection: int = 0) -> bytes:
        """Return what it answers, and learn how many writes that takes."""
        pieces: list[bytes] = []
        self._written.remembered = pieces
        self.feeds[connection](request)
        for _ in range(10):
            await asyncio.sleep(0)
        self._written.remembered = None
        self._writes = len(pieces)
        return b"".join(pieces)

    async def round(self, requests: list[list[bytes]]) -> float:
        """Feed one list of requests at each turn of the loop; return microseconds of CPU time per request."""
        feeds, written, writes = self.feeds, self._written, self._writes * CONNECTIONS
        expected = written.count
        begin = time.process_time()
        for turn in requests:
            for feed, request in zip(feeds, turn, strict=True):
                feed(request)
            expected += writes
            await asyncio.sleep(0)
            while written.count < expected:  # noqa: ASYNC110 (what is waited for is the turn of the loop)
                await asyncio.sleep(0)
        used = time.process_time() - begin
        return used / (len(requests) * CONNECTIONS) * 1e6


async def take_turns(
    contenders: Iterable[Contender], requests: Callable[[int], list[list[bytes]]], rounds: int
) -> dict[str, list[float]]:
    """Measure all contenders in each round, with the requests for its number: microseconds per request."""
    measured: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(rounds + 1):
        for contender in contenders:
            made = requests(number)
            gc.collect()
            measured[contender.name].append(await contender.round(made))
    return {name: values[1:] for name, values in measured.items()}  # the first round warms up


def row(loop: str, title: str, measured: dict[str, list[float]], target: float | None) -> dict[str, Any]:
    """Sum up what was measured with one kind of request on one loop."""
    ratio = Spread.of(map(operator.truediv, measured["asgiserve"], measured["uvicorn"]))
    return {
        "loop": loop,
        "request": title,
        "microseconds": {name: asdict(Spread.of(values)) for name, values in measured.items()},
        "ratio": asdict(ratio),
        "target": target,
        "met": None if target is None else ratio.median <= target,
    }
