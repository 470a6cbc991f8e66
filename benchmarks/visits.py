"""Clients of all kinds, for `benchmarks.soak`: they ask in every way, and leave at every stage.

``python -m benchmarks.visits --port 8000 --requests 10000`` makes so many requests in a fixed mixture, and
says as JSON how many of each kind there were, and which answers were wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from .applications.content import CHUNK, CHUNKS, LARGE
from .visitor import GET, Visitor, WrongAnswer, chunked, get, post

#: Visits at the same time.
VISITORS: Final = 16

# What is asked for, and answered. Each returns how many requests it made.


def keep_alive(client: Visitor) -> int:
    """One request after the other."""
    for _ in range(100):
        client.send(GET)
        client.expect(200)
    return 100


def pipelined(client: Visitor) -> int:
    """Requests that do not wait for the answers."""
    for _ in range(10):
        client.send(GET * 32)
        for _ in range(32):
            client.expect(200)
    return 320


def bodies(client: Visitor) -> int:
    """Bodies of all sizes with a length, in one piece and in several."""
    for size in (0, 1, 1000, 70_000, 1_000_000):
        client.send(post("/count", b"x" * size))
        client.expect(200, b"%d" % size)
    request = post("/echo", b"y" * 1000)
    client.send(request[:-500])
    client.send(request[-500:])
    client.expect(200, b"y" * 1000)
    return 6


def chunks(client: Visitor) -> int:
    """Bodies in chunks, in one piece and in several."""
    client.send(chunked("/count", *[b"x" * 100] * 100))
    client.expect(200, b"10000")
    request = chunked("/count", b"x" * 70_000, b"y")
    for place in range(0, len(request), 20_000):
        client.send(request[place : place + 20_000])
    client.expect(200, b"70001")
    return 2


def unread_bodies(client: Visitor) -> int:
    """Bodies that the application does not read: short ones are thrown away, long ones end the connection."""
    client.send(post("/", b"x" * 1000) + chunked("/", b"x" * 1000) + post("/", b"x" * 1_000_000))
    for _ in range(3):
        client.expect(200)
    return 3


def continued(client: Visitor) -> int:
    """Bodies that wait for 100 Continue, and get it or not."""
    request = post("/count", b"12345", "Expect: 100-continue")
    client.send(request[:-5])
    if client.read_until(b"\r\n\r\n") != b"HTTP/1.1 100 Continue\r\n\r\n":
        raise WrongAnswer("no 100 Continue")
    client.send(b"12345")
    client.expect(200, b"5")
    client.send(post("/", b"12345", "Expect: 100-continue")[:-5])
    client.expect(200)
    return 2


def streams(client: Visitor) -> int:
    """Responses in chunks, a large one, a late one, and one that the end of the connection ends."""
    client.send(get("/chunks"))
    if client.read_until(b"0\r\n\r\n").count(CHUNK) != CHUNKS:
        raise WrongAnswer("another stream")
    client.send(get("/large"))
    client.expect(200, LARGE)
    client.send(get("/late"))
    client.expect(200, b"at last")
    client.send(get("/chunks", "1.0"))
    if not client.read_to_end().endswith(CHUNK):
        raise WrongAnswer("another stream")
    return 4


REFUSED: Final = (
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: soak\r\nX : y\r\n\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"POST / HTTP/1.1\r\nHost: soak\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: soak\r\nContent-Length: 900000000\r\n\r\n", 413),
    (b"GET /" + b"a" * 9000, 414),
    (b"GET / HTTP/1.1\r\nHost: soak\r\nExpect: tea\r\n\r\n", 417),
    (b"GET / HTTP/1.1\r\nHost: soak\r\nX: " + b"a" * 9000, 431),
    (b"BREW / HTTP/1.1\r\nHost: soak\r\n\r\n", 501),
    (b"GET / HTTP/2.0\r\nHost: soak\r\n\r\n", 505),
)


def refused(client: Visitor, number: int) -> int:
    """One request that cannot be served, behind one that can."""
    data, status = REFUSED[number]
    client.send(GET)
    client.expect(200)
    client.send(data)
    client.expect(status)
    client.read_to_end()
    return 2


def raising(client: Visitor) -> int:
    """An application that fails before its response."""
    client.send(get("/raising"))
    client.expect(500)
    return 1


def silent(client: Visitor) -> int:
    """An application that returns without a response."""
    client.send(get("/silent"))
    client.expect(500)
    return 1


def breaking(client: Visitor) -> int:
    """An application that fails within its response, which is cut."""
    client.send(get("/breaking"))
    if client.read_to_end().endswith(b"0\r\n\r\n"):
        raise WrongAnswer("a stream that broke looks complete")
    return 1


#: Where clients leave: what they have sent by then, and how many bytes of the answer they have read.
STAGES: Final = {
    "after connecting": (b"", 0),
    "in the request line": (b"GET / HT", 0),
    "in the head": (GET[:-6], 0),
    "between requests": (GET, 60),
    "after the head": (post("/count", b"x" * 1000)[:-1000], 0),
    "in the body": (post("/count", b"x" * 1000)[:-10], 0),
    "in a large body": (post("/count", b"x" * 1_000_000)[:-10], 0),
    "in a chunk": (chunked("/count", b"x" * 1000)[:-500], 0),
    "in the trailers": (chunked("/count", b"x")[:-5], 0),
    "in an unread body": (post("/", b"x" * 1000)[:-10], 10),
    "before 100 Continue": (post("/count", b"x" * 10, "Expect: 100-continue")[:-10], 0),
    "before the response": (get("/late"), 0),
    "before the response of one that listens": (get("/listening"), 0),
    "before the response of one that never answers": (get("/stuck"), 0),
    "before pipelined responses": (get("/late") + GET * 10, 0),
    "in a large response": (get("/large"), 1000),
    "in a flood": (get("/flood"), 100_000),
    "in a flood of HTTP/1.0": (get("/flood", "1.0"), 100_000),
    "in a slow stream": (get("/ticking"), 100),
    "after an error": (get("/raising"), 10),
}

WAYS: Final = (Visitor.leave, Visitor.reset, Visitor.half_close)


def leaving(client: Visitor, stage: str, way: Callable[[Visitor], None]) -> int:
    """Leave at one stage in one way."""
    sent, read = STAGES[stage]
    if sent:
        client.send(sent)
    if read:
        client.read(read)
    way(client)
    return 1


def mixture() -> Iterator[tuple[str, Callable[[Visitor], int]]]:
    """All visits of one turn, with the names that they are counted under."""
    for visit in (*[keep_alive] * 4, pipelined):
        yield visit.__name__, visit
    for visit in (bodies, chunks, unread_bodies, continued, streams, raising, silent, breaking):
        yield visit.__name__, visit
    for number, (_, status) in enumerate(REFUSED):
        yield f"refused with {status}", partial(refused, number=number)
    for stage in STAGES:
        for way in WAYS:
            yield f"left {stage}", partial(leaving, stage=stage, way=way)


class Soak:
    """Visitors that go on until there were enough requests."""

    def __init__(self, port: int, requests: int, seed: int) -> None:
        self._port = port
        self._left = requests
        self._random = random.Random(seed)
        self._turn: list[tuple[str, Callable[[Visitor], int]]] = []
        self._lock = threading.Lock()
        self.requests: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()

    def run(self) -> None:
        """Send all visitors, and wait for them."""
        threads = [threading.Thread(target=self._visit) for _ in range(VISITORS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _visit(self) -> None:
        while (chosen := self._next()) is not None:
            name, visit = chosen
            made = 0
            try:
                client = Visitor(self._port)
                try:
                    made = visit(client)
                finally:
                    client.socket.close()
            except (OSError, WrongAnswer) as error:
                with self._lock:
                    self.wrong[f"{name}: {error!r}"] += 1
            with self._lock:
                self.requests[name] += made
                self._left -= made

    def _next(self) -> tuple[str, Callable[[Visitor], int]] | None:
        with self._lock:
            if self._left <= 0:
                return None
            if not self._turn:
                self._turn = list(mixture())
                self._random.shuffle(self._turn)
            return self._turn.pop()


def main() -> None:
    """Read the command line, visit, and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.visits", description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    soak = Soak(asked.port, asked.requests, asked.seed)
    soak.run()
    print(json.dumps({"requests": soak.requests, "wrong": soak.wrong}))


if __name__ == "__main__":
    main()
