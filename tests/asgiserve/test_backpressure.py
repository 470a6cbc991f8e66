"""Memory stays bounded, whoever of client and application is the slower one.

The servers run in processes of their own, whose peak memory the kernel tells.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from tests.asgiserve.applications import STREAM_SIZE
from tests.asgiserve.conftest import COMBINATIONS
from tests.asgiserve.program import Program
from tests.asgiserve.raw import PATIENCE, get, request

#: What a process may grow by while 200 MB pass through it, or want to.
ROOM = 48 * 1024 * 1024

#: What may be on its way: in the server, and in the kernel's buffers of both ends.
ON_ITS_WAY = 32 * 1024 * 1024


def settled(value: Callable[[], int]) -> int:
    """Wait until a number has stopped growing, and return it."""
    deadline = time.monotonic() + PATIENCE
    before = value()
    while time.monotonic() < deadline:
        time.sleep(0.2)
        now = value()
        if now == before and now > 0:
            return now
        before = now
    raise AssertionError(f"it does not stop at {before}")


@pytest.mark.parametrize(("http", "loop"), COMBINATIONS[1:3])
def test_stream_of_200_mb_to_a_slow_reader(http: str, loop: str) -> None:
    with Program("streams", "--http", http, "--loop", loop) as server, server.connect() as client:
        before = server.memory("VmRSS")
        client.send(get("/down"))
        moved = settled(lambda: int(server.ask("/moved").body))
        assert moved < ON_ITS_WAY
        size = 0
        end = b""
        while not end.endswith(b"\r\n0\r\n\r\n"):
            data = client.read()
            assert data
            size += len(data)
            end = end[-7:] + data[-7:]
        assert size > STREAM_SIZE
        assert server.memory("VmHWM") - before < ROOM


@pytest.mark.parametrize(("http", "loop"), COMBINATIONS[1:3])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_upload_of_200_mb_to_a_slow_application(http: str, loop: str, framing: str) -> None:
    """The socket is not read while nobody takes the body."""
    field = f"Content-Length: {STREAM_SIZE}" if framing == "length" else "Transfer-Encoding: chunked"
    piece = b"x" * 65536 if framing == "length" else b"10000\r\n" + b"x" * 65536 + b"\r\n"
    sent = 0
    arguments = ("--http", http, "--loop", loop, "--max-body-size", "0")
    with Program("streams", *arguments) as server, server.connect() as client:

        def upload() -> None:
            nonlocal sent
            client.send(request("POST /up HTTP/1.1", "Host: test", field))
            for _ in range(STREAM_SIZE // 65536):
                client.send(piece)
                sent += 65536
            if framing == "chunked":
                client.send(b"0\r\n\r\n")

        before = server.memory("VmRSS")
        client.socket.settimeout(6 * PATIENCE)
        thread = threading.Thread(target=upload)
        thread.start()
        assert settled(lambda: sent) < ON_ITS_WAY
        assert server.memory("VmHWM") - before < ROOM
        server.ask("/go")
        assert client.response().body == str(STREAM_SIZE).encode()
        thread.join()
        assert server.memory("VmHWM") - before < ROOM


def test_flood_of_pipelined_requests_that_nobody_reads() -> None:
    """Neither requests nor answers are collected: Node.js and others grew by half a gigabyte."""
    with Program("program", "--no-access-log") as server, server.connect() as client:
        server.ask("/")
        before = server.memory("VmRSS")
        client.socket.settimeout(1)
        with pytest.raises(TimeoutError):
            client.send(get("/") * 1_000_000)
        assert server.memory("VmHWM") - before < ROOM
        assert server.ask("/").status == 200


def test_client_that_sends_without_end_gets_no_more_memory_than_the_limits() -> None:
    """Fifty of them, each with as much as it may send without being refused."""
    with Program("program") as server:
        server.ask("/")
        before = server.memory("VmRSS")
        clients = [server.connect() for _ in range(50)]
        for number, client in enumerate(clients):
            client.send(b"GET / HTTP/1.1\r\nHost: test\r\n" + b"X: " + b"a" * 8000 + b"\r\n")
            for _ in range(6):
                client.send(b"X%d: " % number + b"a" * 8000 + b"\r\n")
        assert server.ask("/").status == 200
        assert server.memory("VmHWM") - before < 50 * 65536 * 4
        for client in clients:
            client.close()
