"""What a WebSocket waits for, and how long: pings, a client that reads slowly, the end."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from ..deadlines import NEVER, TICK
from .closing import ABNORMAL, INTERNAL_ERROR, SERVICE_RESTART, render_close
from .frames import FIN, PING

if TYPE_CHECKING:
    from ..http1.outbound import Outbound
    from ..http1.scope import Endpoints
    from ..service import Service
    from .exchange import WebSocketExchange

logger: Final = logging.getLogger("asgiserve.error")

#: Seconds that a client has to answer a Close frame.
CLOSE_WAIT: Final = 5.0


class Timed(ABC):
    """The state of a WebSocket's connection, and what is done when its deadline has passed."""

    __slots__ = (
        "_closing",
        "_ended",
        "_heard",
        "_lagging",
        "_outbound",
        "_paused",
        "_pinged",
        "_service",
        "_stop_at",
        "_transport",
        "deadline",
        "endpoints",
        "exchange",
        "write_paused",
    )

    def __init__(
        self,
        service: Service,
        transport: asyncio.Transport,
        endpoints: Endpoints,
        outbound: Outbound,
        exchange: WebSocketExchange,
    ) -> None:
        self._service = service
        self._transport = transport
        self.endpoints = endpoints
        self._outbound = outbound
        self.exchange = exchange
        self.write_paused = False  # the client reads more slowly than the application sends
        self._paused = False  # the socket is not read: the application has not taken what came
        self._closing = False  # a Close frame was sent: nothing may follow
        self._ended = False  # nothing more is read
        self._lagging = False  # the client still had to take what was sent before that Close frame
        self._heard = True  # something came since the last ping
        self._pinged = False  # a ping is not answered yet
        self._stop_at = NEVER  # when the server, which drains, closes it
        self.deadline = service.deadlines.now + service.ping_wait

    @abstractmethod
    def close_with(self, code: int, reason: str) -> None:
        """Begin to close, from the server's side."""

    @abstractmethod
    def abort(self) -> None:
        """Reset the connection, whatever is left to be written."""

    @abstractmethod
    def _gather(self, first: int, payload: bytes) -> None:
        """Write a frame together with what else is sent in this turn of the event loop."""

    @abstractmethod
    def _say_close(self, payload: bytes) -> None:
        """Send a Close frame, and wait for the client's."""

    def stop(self, patience: float) -> None:
        """The server drains: the client shall come again, to another one, in `patience` seconds."""
        if patience and not self._closing:
            self._stop_at = min(self._stop_at, self._service.deadlines.now + patience)
            self.deadline = min(self.deadline, self._stop_at)
        else:
            self.close_with(SERVICE_RESTART, "")

    def _wait(self, wait: float) -> None:
        """Wait for so many seconds."""
        self.deadline = min(self._service.deadlines.now + wait, self._stop_at)

    def expire(self) -> None:
        """The deadline has passed: cut a client that does not read or answer, or ask whether it is there."""
        service = self._service
        now = service.deadlines.now
        if self.deadline > now:
            return  # something has happened since the sweep began
        if self._closing and not self._outbound.queued():
            if not self._lagging:
                self.abort()
            else:  # it has taken the last of it only now
                self._lagging = False
                self.deadline = now + CLOSE_WAIT
        elif self._closing or self.write_paused:
            self._lagging = self._closing
            self.deadline = now + TICK
            if self._outbound.look():
                service.timeouts["write"] += 1
                logger.info("%s: %s: the client does not read", self.endpoints, self.exchange)
                self.abort()
        elif now >= self._stop_at:
            self.close_with(SERVICE_RESTART, "")
        elif self._pinged and not (self._heard or self._paused or self._takes()):
            service.timeouts["ping"] += 1
            logger.info("%s: %s: no answer to a ping", self.endpoints, self.exchange)
            self._say_close(render_close(INTERNAL_ERROR, "no answer to a ping"))
            self.exchange.disconnect(ABNORMAL, "no answer to a ping")
            self._ended = True
            self._transport.close()  # nobody seems to be there who would close first
        elif self._pinged:
            self._pinged = False
            self._wait(service.ping_wait)
        else:
            self._pinged = True
            self._heard = False
            self._outbound.unsent = self._outbound.queued()
            self._gather(FIN | PING, b"")
            self._wait(service.pong_wait)

    def _takes(self) -> bool:
        """Whether the client reads what was sent before the ping, and so may not have come to that yet."""
        before, self._outbound.unsent = self._outbound.unsent, self._outbound.queued()
        return self._outbound.unsent < before
