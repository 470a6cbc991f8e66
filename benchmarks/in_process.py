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
from collections.abc import Iterator
from typing import Any, Final

from uvicorn.config import Config as UvicornConfig
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from asgiserve.config import Config
from asgiserve.http1.connection import Connection
from asgiserve.service import Service

from . import machine, report
from .applications.asgi import Message, Receive, Scope, Send
from .applications.content import HELLO
from .contenders import (
    CONNECTIONS,
    LOOPS,
    ROUNDS,
    TURNS,
    Connect,
    Contender,
    Feed,
    Wire,
    Written,
    row,
    take_turns,
)
from .results import write
from .scenarios import BROWSER, SMALL, VARIED
from .websockets import in_process as websockets

REQUESTS: Final = {
    "GET, 41 bytes": SMALL,
    "GET, nine header fields": BROWSER,
    "GET, nine header fields, no two requests alike": VARIED,
}

#: The most that asgiserve may cost, divided by what uvicorn costs.
TARGETS: Final = {"GET, 41 bytes": 0.52, "GET, nine header fields": 0.57}


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with 13 bytes, and do nothing else."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": HELLO})


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


CONTENDERS: Final[dict[str, Connect]] = {"asgiserve": asgiserve, "uvicorn": uvicorn, "floor": floor}


def requests_of(template: bytes, number: int) -> list[list[bytes]]:
    """Make the requests of a round; each is an object of its own, as if it had just been received."""
    numbers = iter(range(number, number + TURNS * CONNECTIONS))
    return [[_request(template, next(numbers)) for _ in range(CONNECTIONS)] for _ in range(TURNS)]


def _request(template: bytes, number: int) -> bytes:
    return bytes(bytearray(template).replace(b"{n}", b"%d" % number))


async def measure(template: bytes, rounds: int) -> dict[str, list[float]]:
    """Let all contenders answer one kind of request; microseconds."""
    contenders = [Contender(name, connect) for name, connect in CONTENDERS.items()]
    for contender in contenders:
        await check(contender, _request(template, 0))
    return await take_turns(
        contenders, lambda number: requests_of(template, 10**8 + number * TURNS * CONNECTIONS), rounds
    )


async def check(contender: Contender, request: bytes) -> None:
    """See that it answers right; raises RuntimeError if it does not."""
    answer = await contender.answer(request)
    complete = answer.startswith(b"HTTP/1.1 200 ") or contender.name == "floor"
    if not complete or not answer.endswith(HELLO):
        raise RuntimeError(f"{contender.name} gives a wrong answer: {answer!r}")


def compare(loop: str, title: str, rounds: int) -> dict[str, Any]:
    """Measure one kind of request on one loop, and sum up."""
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        measured = runner.run(measure(REQUESTS[title], rounds))
    return row(loop, title, measured, TARGETS.get(title))


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
        for title in websockets.MESSAGES:
            rows.append(websockets.compare(loop, title, asked.rounds))
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
