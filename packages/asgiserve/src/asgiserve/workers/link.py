"""What a worker and its parent tell each other: lines of JSON over a pair of sockets.

A worker says ``ready`` once its application has started and it listens, ``alive`` every second from its
event loop, and ``retire`` when it has had enough requests. Its parent says ``retire`` when another worker
has taken its place. Either notices the other's end by the end of the stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable
from typing import Any, Final, cast

from ..types import Message

#: Bytes that may wait for the other end to read them.
UNREAD: Final = 1048576


class Link(asyncio.Protocol):
    """One end of the pair, in an event loop."""

    def __init__(self, on_message: Callable[[Message], None], on_end: Callable[[], None]) -> None:
        self._on_message = on_message
        self._on_end = on_end
        self._transport: asyncio.WriteTransport | None = None
        self._received = b""

    @classmethod
    async def open(
        cls, sock: socket.socket, on_message: Callable[[Message], None], on_end: Callable[[], None]
    ) -> Link:
        """Take over `sock`; `on_end` is called when the other end is gone."""
        link = cls(on_message, on_end)
        await asyncio.get_running_loop().create_connection(lambda: link, sock=sock)
        return link

    def send(self, kind: str, **more: Any) -> None:
        """Tell the other end; but not while it has left much unread, for a later message says the same."""
        transport = self._transport
        if transport is None or transport.is_closing() or transport.get_write_buffer_size() > UNREAD:
            return
        transport.write(json.dumps({"kind": kind, **more}).encode() + b"\n")

    def read_rest(self) -> None:
        """Take what the other end, which is gone, had to say, as far as the event loop has not come to it."""
        if self._transport is not None:
            with contextlib.suppress(OSError):  # there is nothing more, or the socket is closed already
                while data := os.read(self._transport.get_extra_info("socket").fileno(), UNREAD):
                    self.data_received(data)

    def close(self) -> None:
        """Say no more, once everything is written."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Take the messages that are complete."""
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._on_message(json.loads(line))

    def connection_lost(self, exc: Exception | None) -> None:
        """The other end is gone, or this one was closed."""
        self._on_end()
