"""Where every search begins: the tables of the other tests, and all that can be done about valid requests."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from tests.asgiserve import test_requests as tables
from tests.asgiserve.fuzzing.behaviours import BEHAVIOURS
from tests.asgiserve.fuzzing.case import Case
from tests.asgiserve.fuzzing.in_process import SETTINGS, Ending, Pace
from tests.asgiserve.fuzzing.tokens import SPLIT
from tests.asgiserve.raw import GET


def table_rows() -> Iterator[bytes]:
    """Requests that are served, refused, and refused within their body."""
    yield from tables.SERVED.values()
    yield from (data for _, data in tables.REFUSED.values())
    for body in tables.BROKEN_CHUNKS.values():
        yield tables.coding(b"Transfer-Encoding: chunked", body)


def limit_rows() -> Iterator[bytes]:
    """Requests that just keep a limit, and that are just above it."""
    for more in (0, 1):
        path = b"/" * (SETTINGS["max_request_line"] - len(b"GET  HTTP/1.1") + more)
        yield b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path
        value = b"b" * (SETTINGS["max_header_size"] - len(b"X:") + more)
        yield b"GET / HTTP/1.1\r\nHost: a\r\nX:%b\r\n\r\n" % value
        rest = SETTINGS["max_headers_size"] - len(b"\r\nHost: a\r\nX:\r\n\r\n") - 3 * (len(value) + 4 - more)
        long = b"X:%b\r\n" % value[more:] * 3 + b"X:%b\r\n" % (b"b" * (rest + more))
        yield b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n" % long
        yield b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n" % (b"X: b\r\n" * (SETTINGS["max_headers"] - 1 + more))
        size = SETTINGS["max_body_size"] + more
        yield b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (size, b"b" * size)
        yield tables.coding(
            b"Transfer-Encoding: chunked", b"1\r\nb\r\n%x\r\n%b\r\n0\r\n\r\n" % (size - 1, b"b" * (size - 1))
        )
        yield tables.coding(b"Transfer-Encoding: chunked", b"0\r\n%b\r\n" % (b"X:%b\r\n" % value * 4))


def seeds() -> Iterator[Case]:
    """Each row alone, behind another request byte by byte, and unfinished; a stream in all circumstances."""
    for data in (*table_rows(), *limit_rows()):
        yield Case(data)
        yield Case(GET + data, size=1)
        yield Case(data[:-1], ending=Ending.END)
    for behaviour, ending, pace in product(BEHAVIOURS, Ending, Pace):
        yield Case(SPLIT, behaviour, ending, pace, size=64)
