"""Accepting connections on the listeners, and what begins to talk on each of them.

The event loop's own server takes all connections that there are in one turn. Where `limit_connections` is
set, that is too many; where `proxy_protocol` is, it would read too soon; and of those in a handshake of TLS
it does not tell. Then connections are accepted here, one by one while there is room. The others stay in the
kernel's queue, where another process that listens on the same socket can have them.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import logging
import socket
import ssl
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from typing import Any, Final

from ..http1.connection import Connection
from ..http1.proxied import ProxiedConnection
from ..proxies.proxy_protocol import header_of
from ..service import Service
from .listeners import Listener

logger: Final = logging.getLogger("asgiserve.error")

#: Seconds that stand for no limit where asyncio demands one.
NO_TIMEOUT: Final = 86400.0

#: Connections that a listener accepts in one turn of the event loop.
AT_ONCE: Final = 64

#: What `accept` fails with while there are too many open files; and seconds until it may work again.
_OUT_OF_RESOURCES: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_RETRY: Final = 1.0


class Acceptor:
    """Takes connections from a listener, while it is open."""

    def __init__(self, service: Service, listener: Listener, tls: ssl.SSLContext | None) -> None:
        self.listener = listener
        self._service = service
        self._server: asyncio.Server | None = None
        self._connection = Connection if service.claims is None else ProxiedConnection
        self._transport: dict[str, Any] = {}  # what the event loop has to know about each connection
        if listener.tls and tls is not None:
            self._transport = {
                "ssl": tls,
                "ssl_handshake_timeout": service.config.ssl_handshake_timeout or NO_TIMEOUT,
                "ssl_shutdown_timeout": NO_TIMEOUT,  # a connection has a deadline for it
            }

    async def open(self) -> None:
        """Begin to accept."""
        loop = self._service.loop
        sock = self.listener.socket
        # asyncio tries to accept as often as its `backlog` in one turn, and logs each failure when it is out
        # of file descriptors; so it is told less than the kernel.
        settings: dict[str, Any] = {"sock": sock, "backlog": AT_ONCE, **self._transport}
        create: Callable[..., Coroutine[Any, Any, asyncio.Server]] = loop.create_server
        if sock.family == socket.AF_UNIX:
            create = loop.create_unix_server
            if "cleanup_socket" in inspect.signature(create).parameters:  # Python 3.13
                settings["cleanup_socket"] = False  # whoever bound it removes it: others may listen there too
        self._server = await create(self._protocol, **settings)
        sock.listen(self._service.config.backlog)

    def close(self) -> None:
        """Accept no more; the socket is closed in this process."""
        if self._server is not None:
            self._server.close()

    async def hand_over(self) -> None:
        """Close, because another process accepts those in the kernel's queue."""
        # asyncio's server accepts in one turn of the loop and begins in the next, but not if it was closed.
        self._service.loop.remove_reader(self.listener.socket.fileno())
        await asyncio.sleep(0)
        self.close()

    async def finish(self) -> None:
        """Accept all who are in the kernel's queue, and close before more can come: it would reset them."""
        loop, sock = self._service.loop, self.listener.socket
        loop.remove_reader(sock.fileno())  # as above
        await asyncio.sleep(0)
        with contextlib.suppress(OSError):  # there are no more
            for _ in range(self._service.config.backlog):
                accepted, _ = sock.accept()
                accepted.setblocking(False)
                self._service.opening += 1
                task = loop.create_task(loop.connect_accepted_socket(self._protocol, accepted), name="accept")
                task.add_done_callback(self._opened)
        self.close()

    def _opened(self, task: asyncio.Task[Any]) -> None:
        self._service.opening -= 1
        if self._service.on_change is not None:
            self._service.on_change()

    def drain(self, patience: float) -> None:
        """Cut the connections that were accepted, but do not begin within `patience` seconds."""

    async def abandon(self) -> None:
        """Cut the connections that were accepted but have not begun."""

    def _protocol(self) -> asyncio.BaseProtocol:
        return self._connection(self._service)


class Room:
    """The connections that this process may have at once, over all of its listeners."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._limit = service.config.limit_connections or sys.maxsize
        self._acceptors: deque[CountingAcceptor] = deque()
        self._full = False
        service.on_connection_ended = self.look

    @property
    def left(self) -> int:
        """How many more there may be."""
        return self._limit - self._service.opening - len(self._service.connections)

    def add(self, acceptor: CountingAcceptor) -> None:
        """Begin to tell an acceptor whether there is room."""
        self._acceptors.append(acceptor)
        if not self._full:
            acceptor.resume()

    def remove(self, acceptor: CountingAcceptor) -> None:
        """Tell an acceptor no more."""
        if acceptor in self._acceptors:
            self._acceptors.remove(acceptor)
            acceptor.pause()

    def look(self) -> None:
        """Let the acceptors pause once there is no room left, and go on once there is."""
        full = self.left <= 0
        if full is self._full:
            return
        self._full = full
        if not full:
            self._acceptors.rotate()  # the event loop asks them in this order; each may be the first
        for acceptor in self._acceptors:
            if full:
                acceptor.pause()
            else:
                acceptor.resume()


class CountingAcceptor(Acceptor):
    """Takes connections from a listener, while it is open and there is room for them."""

    def __init__(self, service: Service, listener: Listener, tls: ssl.SSLContext | None, room: Room) -> None:
        super().__init__(service, listener, tls)
        self._room = room
        self._name = str(listener)  # which a socket that is closed does not know any more
        self._opening: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None

    async def open(self) -> None:
        """Begin to accept."""
        self.listener.socket.setblocking(False)
        self.listener.socket.listen(self._service.config.backlog)
        self._room.add(self)

    def close(self) -> None:
        """Accept no more; the socket is closed in this process."""
        self._room.remove(self)
        self.listener.socket.close()

    async def hand_over(self) -> None:
        """Close, because another process accepts those in the kernel's queue."""
        self.close()

    async def finish(self) -> None:
        """Accept those in the kernel's queue for whom there is room, and close."""
        if self._room.left > 0:
            self._accept()
        self.close()

    def drain(self, patience: float) -> None:
        """Cut the connections that were accepted, but do not begin within `patience` seconds."""
        self._service.loop.call_later(patience, self._cut)

    async def abandon(self) -> None:
        """Cut the connections that were accepted but have not begun."""
        self._cut()
        if self._opening:
            await asyncio.wait(self._opening)

    def _cut(self) -> None:
        for task in self._opening:
            task.cancel()

    def pause(self) -> None:
        """Leave further connections in the kernel's queue."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._service.loop.remove_reader(self.listener.socket.fileno())

    def resume(self) -> None:
        """Accept again."""
        self._service.loop.add_reader(self.listener.socket.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(min(self._room.left, AT_ONCE)):
            try:
                sock, _ = self.listener.socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _OUT_OF_RESOURCES:
                    raise
                logger.error("cannot accept on %s: %s", self._name, error.strerror)
                self.pause()
                self._retry = self._service.loop.call_later(_RETRY, self.resume)
                return
            sock.setblocking(False)
            self._service.opening += 1
            task = self._service.loop.create_task(self._begin(sock), name="accept")
            self._opening.add(task)
            task.add_done_callback(self._opened)
        self._room.look()

    async def _begin(self, sock: socket.socket) -> None:
        config = self._service.config
        try:
            protocol: Callable[[], asyncio.BaseProtocol] = self._protocol
            if config.proxy_protocol:
                header = await header_of(sock, self._service.trusted_proxies, config.request_timeout)
                protocol = partial(ProxiedConnection, self._service, header)
            await self._service.loop.connect_accepted_socket(protocol, sock, **self._transport)
        except OSError as error:
            logger.debug("a connection on %s has not begun: %r", self._name, error)

    def _opened(self, task: asyncio.Task[None]) -> None:
        """It is among the connections of the service now, or has failed, or even ended already."""
        self._opening.discard(task)
        self._service.opening -= 1
        self._room.look()
        if self._service.on_change is not None:
            self._service.on_change()


def acceptors_on(
    listeners: Iterable[Listener], service: Service, tls: ssl.SSLContext | None
) -> list[Acceptor]:
    """An acceptor for each listener, not open yet.

    One that counts costs 16 µs a connection more; one with a single request costs 37 µs (uvloop) or 83 µs.
    """
    if not service.config.limit_connections and not service.config.proxy_protocol and tls is None:
        return [Acceptor(service, listener, tls) for listener in listeners]
    room = Room(service)
    return [CountingAcceptor(service, listener, tls, room) for listener in listeners]
