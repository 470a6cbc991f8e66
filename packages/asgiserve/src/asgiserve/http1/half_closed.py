"""Clients that have closed their sending half: whether they are still there for the answer.

The two look the same until something is written: the kernel of a client that has left answers it with a
reset. So when an application asks, an interim response is written (a client has to expect them, RFC 9110
§15.2) if the final one has not begun; or else what the application sends next has to show it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .connection import Connection

#: Seconds until the reset of a client that has left may have come, and between later looks for it.
FIRST_LOOK: Final = 0.1
NEXT_LOOK: Final = 1.0

#: Seconds in which something must be written to such a client to find out; it counts as left otherwise.
QUIET: Final = 2.0


class HalfClosed:
    """What is known of a client since it has closed its sending half."""

    __slots__ = ("_connection", "_probed", "_size", "_timer")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._size = connection.outbound.size  # of the response's body by then
        self._probed = False  # something was written to find out
        self._timer: asyncio.TimerHandle | None = None

    def next_request(self) -> None:
        """One of the requests that came before the end is answered now."""
        self._size = 0

    def verify(self, http_version: str) -> None:
        """Find out whether the client has left, because the application asks."""
        connection = self._connection
        if self._timer is None and connection.exchange is not None:
            self._probed = not connection.exchange.begun and http_version == "1.1"
            if self._probed:
                connection.outbound.probe()
            self._look_after(FIRST_LOOK if self._probed else QUIET)

    def _look_after(self, delay: float) -> None:
        self._timer = self._connection.service.loop.call_later(delay, self._look)

    def _look(self) -> None:
        connection = self._connection
        written = self._probed or connection.outbound.size > self._size
        if connection.outbound.is_reset():
            connection.abort()
        elif connection.exchange is not None and not written:
            connection.exchange.leave()
        else:
            self._look_after(NEXT_LOOK)

    def stop(self) -> None:
        """The connection is lost: there is nothing left to find out."""
        if self._timer is not None:
            self._timer.cancel()
