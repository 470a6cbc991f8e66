"""The ASGI scope of a request (ASGI HTTP 2.5, "HTTP Connection Scope")."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from ..types import Scope
from .request import RequestHead

if TYPE_CHECKING:
    from ..service import Service


class Endpoints:
    """What a scope says about the two ends of a connection, read from the transport once."""

    __slots__ = ("client", "scheme", "server")

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        local = transport.get_extra_info("sockname")
        #: (host, port), or None where the peer has no address, as on a UNIX socket.
        self.client: tuple[str, int] | None = (peer[0], peer[1]) if isinstance(peer, tuple) else None
        #: (host, port), or (path, None) of a UNIX socket.
        self.server: tuple[str, int | None] | None
        if isinstance(local, tuple):
            self.server = (local[0], local[1])
        else:
            self.server = (local.decode() if isinstance(local, bytes) else local, None) if local else None
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"

    def __str__(self) -> str:
        """The client, as the log names it."""
        return f"{self.client[0]}:{self.client[1]}" if self.client else "unix"


def http_scope(head: RequestHead, endpoints: Endpoints, service: Service) -> Scope:
    """Build the scope of one request, in one literal: it is on the path of every request."""
    raw_path, _, query = head.target.partition(b"?")
    path = raw_path.decode("ascii")
    if "%" in path:
        # The specification asks for UTF-8; bytes that are not get U+FFFD, and raw_path still has them.
        path = unquote_to_bytes(raw_path).decode("utf-8", "replace")
    root_path = service.config.root_path
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": head.http_version,
        "method": head.method,
        "scheme": endpoints.scheme,
        "path": root_path + path if root_path else path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": root_path,
        "headers": head.headers,
        "client": endpoints.client,
        "server": endpoints.server,
        "extensions": {},
    }
    if service.state is not None:
        scope["state"] = service.state.copy()
    return scope
