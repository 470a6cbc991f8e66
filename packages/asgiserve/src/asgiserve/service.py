"""What all connections of one event loop share: the application, the settings, the clock, the books."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from .concurrency import limited
from .config import Config
from .deadlines import Deadlines, Waiting, wait
from .http1.parsers import HeadParser, head_parser
from .http1.response import ResponseRenderer
from .http1.scope import scope_templates
from .logs.access_log import AccessLog
from .outcome import Outcome
from .proxies.forwarded import claims_reader
from .proxies.trusted import TrustedProxies
from .types import ASGIApplication

if TYPE_CHECKING:
    from .exchange import Exchange
    from .http1.stages import Stage

logger: Final = logging.getLogger("asgiserve.error")


class ServedConnection(Waiting, Protocol):
    """A connection, whatever protocol it speaks."""

    stage: Stage

    @property
    def unused(self) -> bool:
        """Whether the client has sent nothing yet."""
        ...

    def stop(self, patience: float) -> None:
        """The server drains: end after what is in progress, or else within `patience` seconds."""
        ...

    def abort(self) -> None:
        """Reset the connection, whatever is left to be written."""
        ...


class Service:
    """One application, served on one event loop; created inside that loop."""

    def __init__(self, app: ASGIApplication, config: Config, state: dict[str, Any] | None) -> None:
        self.app = limited(app, config.limit_concurrency)
        self.config = config
        self.state = state  # what the lifespan left for each request; None where there is no lifespan
        self.loop = asyncio.get_running_loop()
        self.context = contextvars.copy_context()  # what each application call starts from
        self.opening = 0  # connections that have not begun yet, such as those in a handshake of TLS
        self.connections: set[ServedConnection] = set()
        self.exchanges: set[Exchange] = set()  # whose application has not returned yet
        self._abandoned: dict[Exchange, float] = {}  # whose client has left; and when they are cancelled
        self.draining = False
        self.patience = 0.0  # seconds that idle connections have then, for one more request
        self.on_connection_ended: Callable[[], None] | None = None  # for limit_connections
        self.on_change: Callable[[], None] | None = None  # called when a connection or an exchange ends
        self.renderer = ResponseRenderer(
            server_header=config.server_header, date_header=config.date_header, headers=config.header_pairs()
        )
        self.parser: HeadParser = head_parser(config.http)
        self.scopes = scope_templates(config, state)
        self.trusted_proxies = TrustedProxies(config.trusted_proxies)
        self.claims = claims_reader(config.proxy_headers, self.trusted_proxies)  # None: nothing is believed
        self.deadlines = Deadlines(self.connections, self._tick)
        self.request_wait = wait(config.request_timeout)
        self.response_wait = wait(config.response_timeout)
        self.keep_alive_wait = wait(config.keep_alive_timeout)
        self.write_wait = wait(config.write_timeout)
        self.ping_wait = wait(config.ws_ping_interval)
        self.pong_wait = wait(config.ws_ping_timeout)
        self.websockets = config.ws != "none"
        # In a head that is no longer than this, no line can be too long.
        limits = (config.max_request_line, config.max_header_size, config.max_headers_size)
        self.harmless_head_size = min((limit for limit in limits if limit), default=sys.maxsize)
        self.requests = 0  # that have ended; counted where something depends on it
        self.refused: Counter[int] = Counter()  # requests that the application has not seen, by status
        self.timeouts: Counter[str] = Counter()  # that have passed, by kind
        self.access_log = AccessLog(config.access_log_format) if config.access_log else None
        self.observers: list[Callable[[Outcome], None]] = []  # told of each request that has ended
        if self.access_log is not None:
            self.observers.append(self.access_log.write)

    def count_requests(self, enough: int, then: Callable[[], None]) -> None:
        """Keep `requests` up to date from now on, and call `then` when they are `enough`."""

        def count(outcome: Outcome) -> None:
            self.requests += 1
            if self.requests == enough:
                then()

        self.observers.append(count)

    def drain(self, patience: float = 0.0) -> None:
        """Let connections end with the response they are at; idle ones within `patience` seconds."""
        self.draining = True
        self.patience = patience
        for connection in list(self.connections):
            connection.stop(patience)

    def dismiss(self) -> None:
        """Tell the applications still running that their clients have left."""
        for exchange in list(self.exchanges):
            exchange.leave()

    def cancel(self) -> None:
        """Cancel the applications still running."""
        for exchange in list(self.exchanges):
            if exchange.task is not None:
                exchange.task.cancel()

    def abort(self) -> None:
        """Cut all connections."""
        for connection in list(self.connections):
            connection.abort()

    def abandon(self, exchange: Exchange) -> None:
        """Let an application without a client go on for as long as it could have taken to respond."""
        if exchange in self.exchanges:
            self._abandoned[exchange] = self.deadlines.now + self.response_wait

    def _tick(self) -> None:
        self.renderer.refresh_date()
        now = self.deadlines.now
        for exchange in [exchange for exchange, deadline in self._abandoned.items() if deadline <= now]:
            del self._abandoned[exchange]
            self.timeouts["response"] += 1
            logger.info("%s: the client has left, and response_timeout is over: cancelled", exchange)
            if exchange.task is not None:
                exchange.task.cancel()

    def connection_ended(self, connection: ServedConnection) -> None:
        """Strike a connection off the books."""
        self.connections.discard(connection)
        if self.on_connection_ended is not None:
            self.on_connection_ended()
        if self.on_change is not None:
            self.on_change()

    def exchange_ended(self, exchange: Exchange) -> None:
        """Strike an exchange off the books."""
        self.exchanges.discard(exchange)
        if self._abandoned:
            self._abandoned.pop(exchange, None)
        if self.on_change is not None:
            self.on_change()
        if self.draining and not self.exchanges and not self.patience:
            self.drain()  # those who had sent half a head could have gone on until now

    @property
    def busy(self) -> bool:
        """Whether anything is left to wait for before the loop may end."""
        return bool(self.opening or self.connections or self.exchanges)
