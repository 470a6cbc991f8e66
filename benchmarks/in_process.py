"""What a server itself costs, without network and kernel: ``make bench-in-process``.

Requests are handed to the protocol of asgiserve or uvicorn over a transport that only counts, on 32
connections at each turn of the event loop, so that the turn itself weighs little. The servers take turns
here, too. A third contender is the floor: nothing but a task that runs the application.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import email.utils
import gc
import operator
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import uvloop
from uvicorn.config import Config as UvicornConfig
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from asgiserve.config import Config
from asgiserve.http1.connection import Connection
from asgiserve.service import Service

from . import machine, report
from .applications.asgi import Message, Receive, Scope, Send
from .applications.content import HELLO
from .results import Spread, write
from .scenarios import BROWSER, SMALL, VARIED

CONNECTIONS: Final = 32
TURNS: Final = 64  # of the loop, in one round
ROUNDS: Final = 61

REQUESTS: Final = {
    "GET, 41 bytes": SMALL,
    "GET, nine header fields": BROWSER,
    "GET, nine header fields, no two requests alike": VARIED,
}

#: The most that asgiserve may cost, divided by what uvicorn costs.
TARGETS: Final = {"GET, 41 bytes": 0.52, "GET, nine header fields": 0.57}

LOOPS: Final[dict[str, Callable[[], asyncio.AbstractEventLoop]]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.new_event_loop,
}

#: What feeds one connection.
Feed = Callable[[bytes], Any]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with 13 bytes, and do nothing else."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": HELLO})


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


def asgiserve(written: Written) -> Iterator[Feed]:
    """Connect to asgiserve, with its limits and timeouts; this is all that is known of its insides here."""
    service = Service(app, Config(app=app, access_log=False), {})
    while True:
        connection = Connection(service)
        connection.connection_made(Wire(written))
        yield connection.data_received


def uvicorn(written: Written) -> Iterator[Feed]:
    """Connect to uvicorn with httptools."""
    config = UvicornConfig(app, access_log=False, log_level="error")
    config.load()
    state = ServerState()
    # What uvicorn does each second, so that its responses have the same fields as over a network.
    date = email.utils.formatdate(usegmt=True).encode()
    state.default_headers = [(b"date", date), *config.encoded_headers]
    while True:
        connection = HttpToolsProtocol(config, state, {})
        connection.connection_made(Wire(written))
        yield connection.data_received


def floor(written: Written) -> Iterator[Feed]:
    """Connect to no server at all: each request starts the application, whose answer is only counted."""
    loop = asyncio.get_running_loop()
    scope = {"type": "http", "path": "/"}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            written.add(message["body"])

    task: asyncio.Task[None]

    def feed(_request: bytes) -> None:
        nonlocal task
        task = loop.create_task(app(scope, receive, send))

    while True:
        yield feed


CONTENDERS: Final = {"asgiserve": asgiserve, "uvicorn": uvicorn, "floor": floor}


class Contender:
    """The connections of one server, and how often it writes for a response."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._written = Written()
        source = CONTENDERS[name](self._written)
        self.feeds = [next(source) for _ in range(CONNECTIONS)]
        self._writes = 1

    async def check(self, request: bytes) -> None:
        """See that it answers, and learn how many writes that takes; raises RuntimeError if it does not."""
        pieces: list[bytes] = []
        self._written.remembered = pieces
        self.feeds[0](request)
        for _ in range(10):
            await asyncio.sleep(0)
        self._written.remembered = None
        self._writes = len(pieces)
        answer = b"".join(pieces)
        if not (answer.startswith(b"HTTP/1.1 200 ") or self.name == "floor") or not answer.endswith(HELLO):
            raise RuntimeError(f"{self.name} gives a wrong answer: {answer!r}")

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


def requests_of(template: bytes, number: int) -> list[list[bytes]]:
    """Make the requests of a round; each is an object of its own, as if it had just been received."""
    numbers = iter(range(number, number + TURNS * CONNECTIONS))
    return [[_request(template, next(numbers)) for _ in range(CONNECTIONS)] for _ in range(TURNS)]


def _request(template: bytes, number: int) -> bytes:
    return bytes(bytearray(template).replace(b"{n}", b"%d" % number))


async def take_turns(template: bytes, rounds: int) -> dict[str, list[float]]:
    """Measure all contenders in each round: microseconds per request."""
    contenders = {name: Contender(name) for name in CONTENDERS}
    for contender in contenders.values():
        await contender.check(_request(template, 0))
    measured: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds + 1):
        for name, contender in contenders.items():
            requests = requests_of(template, 10**8 + number * TURNS * CONNECTIONS)
            gc.collect()
            measured[name].append(await contender.round(requests))
    return {name: values[1:] for name, values in measured.items()}  # the first round warms up


def compare(loop: str, title: str, rounds: int) -> dict[str, Any]:
    """Measure one kind of request on one loop, and sum up."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        measured = runner.run(take_turns(REQUESTS[title], rounds))
    ratio = Spread.of(map(operator.truediv, measured["asgiserve"], measured["uvicorn"]))
    target = TARGETS.get(title)
    return {
        "loop": loop,
        "request": title,
        "microseconds": {name: asdict(Spread.of(values)) for name, values in measured.items()},
        "ratio": asdict(ratio),
        "target": target,
        "met": None if target is None else ratio.median <= target,
    }


def main() -> None:
    """Measure everything on each loop, and print it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.in_process")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--save", action="store_true", help="replace the committed results")
    asked = parser.parse_args()
    rows = []
    for loop in LOOPS:
        for title in REQUESTS:
            rows.append(compare(loop, title, asked.rounds))
            print(line(rows[-1]), flush=True)
    if asked.save:
        data = {
            "date": datetime.date.today().isoformat(),
            "interpreter": machine.interpreter(),
            "machine": machine.describe(),
            "versions": machine.versions(),
            "rows": rows,
        }
        print(f"Saved: {write(machine.interpreter() + '-in-process', data)}")
        report.main()


def line(row: dict[str, Any]) -> str:
    """Show one comparison as a line of text."""
    times = ", ".join(f"{name} {spread['median']:.2f}" for name, spread in row["microseconds"].items())
    ratio = row["ratio"]
    target = "" if row["target"] is None else f", target {row['target']}: {'met' if row['met'] else 'missed'}"
    return (
        f"{row['loop']}, {row['request']}: {times} µs; "
        f"ratio {ratio['median']:.3f} ({ratio['least']:.3f}…{ratio['most']:.3f}){target}"
    )


if __name__ == "__main__":
    main()
