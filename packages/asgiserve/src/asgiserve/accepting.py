"""Accepting connections on one listener, and what begins to talk on each of them."""

from __future__ import annotations

import asyncio
import inspect
import socket
import ssl
from typing import Any, Final

from .http1.connection import Connection
from .listeners import Listener
from .service import Service

#: Seconds that stand for no limit where asyncio demands one.
NO_TIMEOUT: Final = 86400.0


class Acceptor:
    """Takes connections from a listener, while it is open."""

    def __init__(self, service: Service, listener: Listener, tls: ssl.SSLContext | None) -> None:
        self.listener = listener
        self._service = service
        self._tls = tls
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to accept."""
        config = self._service.config
        loop = self._service.loop
        sock = self.listener.socket
        settings: dict[str, Any] = {"sock": sock, "backlog": config.backlog, "ssl": self._tls}
        if self._tls is not None:
            settings["ssl_handshake_timeout"] = config.ssl_handshake_timeout or NO_TIMEOUT
            settings["ssl_shutdown_timeout"] = NO_TIMEOUT  # a connection has a deadline for it
        if sock.family != socket.AF_UNIX:
            self._server = await loop.create_server(self._protocol, **settings)
            return
        if "cleanup_socket" in inspect.signature(loop.create_unix_server).parameters:  # Python 3.13
            settings["cleanup_socket"] = False  # whoever bound it removes it: others may listen there too
        self._server = await loop.create_unix_server(self._protocol, **settings)

    def close(self) -> None:
        """Accept no more; the socket is closed in this process."""
        if self._server is not None:
            self._server.close()

    def _protocol(self) -> asyncio.BaseProtocol:
        return Connection(self._service)
