"""A server that is none: it takes whatever it reads for a frame, and answers it with a prepared one.

It does less than any server can, on uvloop. The rate that the client reaches with it is the most that can be
measured.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import uvloop

from ..servers import HOST
from . import frames
from .scenarios import SCENARIOS


class Canned(asyncio.Protocol):
    """One connection, which a handshake opens."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._opened = False

    def connection_made(self, transport: Any) -> None:
        """Keep what writes."""
        self._write = transport.write

    def data_received(self, data: bytes) -> None:
        """Answer."""
        if self._opened:
            self._write(self._answer)
            return
        self._opened = True
        self._write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + frames.accept(frames.KEY) + b"\r\n\r\n"
        )


async def serve(port: int, answer: bytes) -> None:
    """Serve until the end."""
    server = await asyncio.get_running_loop().create_server(lambda: Canned(answer), HOST, port)
    await server.serve_forever()


def main() -> None:
    """Read the command line, and serve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.websockets.canned")
    parser.add_argument("scenario", choices=[scenario.name for scenario in SCENARIOS])
    parser.add_argument("--port", type=int, required=True)
    asked = parser.parse_args()
    answer = next(scenario.answer for scenario in SCENARIOS if scenario.name == asked.scenario)
    uvloop.run(serve(asked.port, answer))


if __name__ == "__main__":
    main()
