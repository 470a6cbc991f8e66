"""Connections behind proxies: what those say of the client takes the place of what the socket says.

They are a class of their own, so that the others do not know of it.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Final

from ..errors import RequestRefused
from ..proxies.forwarded import NOTHING, Claims, ClaimsReader
from .connection import Connection
from .request import KEPT_FIELDS, Fields
from .scope import Endpoints

if TYPE_CHECKING:
    from ..proxies.proxy_protocol import ProxyHeader
    from ..service import Service

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class ProxiedConnection(Connection):
    """An HTTP/1.1 connection whose other end may be a proxy."""

    __slots__ = ("_claims", "_header", "_own", "_read", "_seen")

    def __init__(self, service: Service, header: ProxyHeader | None = None) -> None:
        super().__init__(service)
        self._header = header
        self._own: Endpoints  # of the connection
        self._read: ClaimsReader | None = None  # if its requests come from a trusted proxy
        self._seen: Fields | None = None  # of the last request
        self._claims = NOTHING  # and what they say

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Find out who is at the other end."""
        super().connection_made(transport)
        self._own = self.endpoints
        header = self._header
        if header is not None and header.ends is not None:
            self._own.client, self._own.server = header.ends
        if self._comes_from_proxy(transport.get_extra_info("socket")):
            self._read = self.service.claims

    def _comes_from_proxy(self, sock: socket.socket | None) -> bool:
        """Whether a trusted proxy sends the requests: the peer, or the one whom it speaks for."""
        trusted = self.service.trusted_proxies
        header = self._header
        host = self._own.client[0] if self._own.client is not None else None
        if header is not None and header.proxied:
            return trusted.everybody or (header.ends is not None and trusted.trust_peer(socket.AF_INET, host))
        return sock is not None and trusted.trust_peer(sock.family, host)

    def begin(self, method: str, target: str, fields: Fields, content: bytes) -> None:
        """Open the exchange of a request, in the light of what trusted proxies say of it."""
        if self._read is not None and fields is not self._seen:
            self._believe(self._read(fields.headers), fields)
        Connection.begin(self, method, target, fields, content)

    def _believe(self, claims: Claims, fields: Fields) -> None:
        if claims is not self._claims:
            self._claims = claims
            self.endpoints = ForwardedEndpoints(self._own, claims) if claims != NOTHING else self._own
        if claims.host:
            headers = fields.headers
            headers[:] = [field for field in headers if field[0] != b"host"]
            headers.insert(0, (b"host", claims.host))
        # They are the same object again if the next request repeats them.
        self._seen = fields if 0 < len(fields.raw) <= KEPT_FIELDS else None

    def refuse(self, refused: RequestRefused) -> None:
        """Answer a request that cannot be served; nobody knows whose it is, if it is not the last one."""
        if self.exchange is None:
            self.endpoints = self._own
        super().refuse(refused)


class ForwardedEndpoints(Endpoints):
    """What a scope says about the two ends of a connection behind proxies."""

    __slots__ = ("_name",)

    def __init__(self, own: Endpoints, claims: Claims) -> None:
        self.tls = own.tls
        self.scheme = claims.scheme or own.scheme
        self.client = claims.client if claims.name else own.client
        self.server = _server(claims, self.scheme) or _other_port(own, claims.port)
        self.templates = own.templates
        if claims.prefix:
            self.templates = {
                version: {**template, "root_path": claims.prefix + template["root_path"]}
                for version, template in own.templates.items()
            }
        self._name = claims.name or str(own)

    def __str__(self) -> str:
        """The client, as the log names it."""
        return self._name


def _server(claims: Claims, scheme: str) -> tuple[str, int | None] | None:
    """Where the client has sent its request to, if that is said."""
    if not claims.host:
        return None
    host, colon, port = claims.host.decode().rpartition(":")
    if not colon or port.endswith("]"):
        host, port = claims.host.decode(), ""
    return host.strip("[]"), claims.port or int(port or _DEFAULT_PORTS[scheme])


def _other_port(own: Endpoints, port: int) -> tuple[str, int | None] | None:
    """The server's end, with another port if that is said and there are ports."""
    server = own.server
    return (server[0], port) if port and server is not None and server[1] is not None else server
