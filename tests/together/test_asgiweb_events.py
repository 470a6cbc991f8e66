"""asgiweb's streams of events, which have no end of their own, while servers are told to stop."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.together.servers import HOST, Server

#: Seconds: less than asgiserve waits before it tells applications that their clients have left, which is 24.
PROMPTLY = 15.0

#: Those that stop by a signal. hypercorn's worker processes do not: their parent keeps it for itself.
STOPPED = [
    (signal.SIGTERM, "asgiserve"),
    (signal.SIGINT, "asgiserve"),
    (signal.SIGTERM, "asgiserve", "--workers", "2"),
    (signal.SIGTERM, "uvicorn", "--loop", "uvloop"),
    (signal.SIGINT, "uvicorn", "--loop", "asyncio"),
    (signal.SIGTERM, "hypercorn", "--workers", "0"),
    (signal.SIGTERM, "granian"),
]


@pytest.mark.parametrize("stopped", STOPPED, ids=lambda stopped: " ".join(map(str, stopped)))
def test_complaint_14_streams_do_not_hold_the_server_open(stopped: tuple[Any, ...], tmp_path: Path) -> None:
    number, name, *arguments = stopped
    server = Server(name, "asgiweb_events", tmp_path, *arguments)
    server.start()
    try:
        with server.client() as client, client.stream("GET", "/events", timeout=PROMPTLY) as response:
            lines = response.iter_lines()
            assert "data: 1" in lines
            assert client.get("/work").text == "begun"
            server.signal(number)
            # To its proper end: a connection that was cut would raise.
            assert "data: 2" not in lines
        server.wait(PROMPTLY)
    finally:
        server.stop()
    written = server.shutdown_file.read_text().splitlines()
    assert "stream ended" in written
    # The shutdown waits for background work. With two workers, the other has a shutdown, too.
    assert written.index("work ended") < len(written) - 1
    assert written[-1] == "shutdown"


@pytest.mark.parametrize("server", [("asgiserve",), ("hypercorn", "--workers", "0")], ids=" ".join)
def test_a_websocket_that_watches_the_shutdown_does_not_hold_the_server_open(
    server: tuple[str, ...], tmp_path: Path
) -> None:
    name, *arguments = server
    running = Server(name, "asgiweb_events", tmp_path, *arguments)
    running.start()
    try:
        with connect(f"ws://{HOST}:{running.port}/ws", open_timeout=PROMPTLY) as client:
            assert client.recv(PROMPTLY) == "hello"
            running.signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(PROMPTLY)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        running.wait(PROMPTLY)
    finally:
        running.stop()
    assert "websocket ended 1012" in running.shutdown_file.read_text().splitlines()
