"""The ASGI scope of a request (ASGI HTTP 2.5, "HTTP Connection Scope")."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from ..tls.extension import tls_extension
from ..types import Scope
from .request import Fields

if TYPE_CHECKING:
    from ..config import Config
    from ..service import Service


#: Extensions of ASGI, by the version of HTTP: 1.0 has neither interim responses nor chunks.
EXTENSIONS: Final = {
    "1.0": ("http.response.pathsend", "http.response.zerocopysend"),
    "1.1": (
        "http.response.early_hint",
        "http.response.pathsend",
        "http.response.trailers",
        "http.response.zerocopysend",
    ),
}


class Endpoints:
    """What a scope says about the two ends of a connection, read from the transport once."""

    __slots__ = ("client", "scheme", "server", "templates", "tls")

    def __init__(self, transport: asyncio.BaseTransport, templates: dict[str, dict[str, Any]]) -> None:
        peer = transport.get_extra_info("peername")
        local = transport.get_extra_info("sockname")
        #: (host, port), or None where the peer has no address, as on a UNIX socket.
        self.client: tuple[str, int] | None = (_plain(peer[0]), peer[1]) if isinstance(peer, tuple) else None
        #: (host, port), or (path, None) of a UNIX socket.
        self.server: tuple[str, int | None] | None
        if isinstance(local, tuple):
            self.server = (_plain(local[0]), local[1])
        else:
            self.server = (local.decode() if isinstance(local, bytes) else local, None) if local else None
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        #: The ASGI extension "tls" of a connection that is encrypted.
        connection = transport.get_extra_info("ssl_object")
        self.tls = tls_extension(connection) if connection is not None else None
        #: What the scopes of all its requests have in common, by the version of HTTP.
        self.templates = templates

    def __str__(self) -> str:
        """The client, as the log names it."""
        return f"{self.client[0]}:{self.client[1]}" if self.client else "unix"


def _plain(host: str) -> str:
    """An address; of IPv4, also where a socket for both gives it as one of IPv6 (RFC 4291 §2.5.5.2)."""
    return host[7:] if host.startswith("::ffff:") and "." in host else host


def scope_templates(config: Config, state: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """What the scopes of all requests have in common, by the version of HTTP.

    Copying one costs half of building each scope anew.
    """
    return {version: _template(version, config, state) for version in ("1.0", "1.1")}


def _template(http_version: str, config: Config, state: dict[str, Any] | None) -> dict[str, Any]:
    template: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": http_version,
        "method": "",
        "scheme": "",
        "path": "",
        "raw_path": b"",
        "query_string": b"",
        "root_path": config.root_path,
        "headers": [],
        "client": None,
        "server": None,
        "extensions": {name: {} for name in EXTENSIONS[http_version]},
    }
    if state is not None:
        template["state"] = state
    return template


def http_scope(method: str, target: str, fields: Fields, endpoints: Endpoints, service: Service) -> Scope:
    """Build the scope of one request; it is on the path of every request."""
    scope = endpoints.templates[fields.http_version].copy()
    if "?" in target:
        target, _, query = target.partition("?")
        scope["query_string"] = query.encode()
    scope["raw_path"] = raw_path = target.encode()
    if "%" in target:
        # The specification asks for UTF-8; bytes that are not get U+FFFD, and raw_path still has them.
        target = unquote_to_bytes(raw_path).decode("utf-8", "replace")
    scope["path"] = scope["root_path"] + target
    scope["method"] = method
    scope["scheme"] = endpoints.scheme
    scope["headers"] = fields.headers.copy()
    scope["client"] = endpoints.client
    scope["server"] = endpoints.server
    # Copies, so that what an application changes in them stays with its request.
    scope["asgi"] = scope["asgi"].copy()
    scope["extensions"] = extensions = scope["extensions"].copy()
    if endpoints.tls is not None:
        extensions["tls"] = endpoints.tls
    if service.state is not None:
        scope["state"] = service.state.copy()
    return scope
