"""The opening handshake of RFC 6455 §4: what a client asks for, and what is answered once it is accepted."""

from __future__ import annotations

import binascii
import hashlib
from base64 import b64decode, b64encode
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from ..errors import RequestRefused
from ..types import HeaderList, Scope
from .deflate import Deflate, negotiate

if TYPE_CHECKING:
    from ..http1.response import ResponseHead, ResponseRenderer

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION: Final = b"13"

#: Fields of the answer that are the server's to set.
_OWN: Final = frozenset(
    (b"sec-websocket-accept", b"sec-websocket-extensions", b"sec-websocket-protocol", b"upgrade")
)

#: A server that speaks other versions than the client says which (RFC 6455 §4.4, RFC 9110 §15.5.22).
_VERSIONS: Final = (
    (b"connection", b"upgrade"),
    (b"upgrade", b"websocket"),
    (b"sec-websocket-version", _VERSION),
)


class Handshake:
    """What a client asks for; raises RequestRefused for what is not a handshake of RFC 6455."""

    __slots__ = ("_accept", "_extensions", "subprotocols")

    def __init__(self, headers: HeaderList) -> None:
        versions = _values(headers, b"sec-websocket-version")
        if versions != [_VERSION]:
            raise RequestRefused(
                HTTPStatus.UPGRADE_REQUIRED, "only version 13 of WebSocket is spoken", _VERSIONS
            )
        keys = _values(headers, b"sec-websocket-key")
        if len(keys) != 1 or not _is_key(keys[0]):
            raise RequestRefused(
                HTTPStatus.BAD_REQUEST, "the Sec-WebSocket-Key field is malformed or missing"
            )
        self._accept = b64encode(hashlib.sha1(keys[0] + _GUID, usedforsecurity=False).digest())
        self._extensions = _values(headers, b"sec-websocket-extensions")
        offered = b",".join(_values(headers, b"sec-websocket-protocol")).decode("latin-1")
        #: Those that the client offers, in its order.
        self.subprotocols = [name for part in offered.split(",") if (name := part.strip(" \t"))]

    def accept(
        self,
        renderer: ResponseRenderer,
        subprotocol: str | None,
        headers: Iterable[tuple[bytes, bytes]],
        *,
        compress: bool,
    ) -> tuple[ResponseHead, bytes, Deflate | None]:
        """Render the answer; raises TypeError or ValueError for what the application may not set.

        Returns its head, the whole of it, and how messages are compressed.
        """
        headers = tuple(headers)
        for name, _ in headers:
            if isinstance(name, bytes) and name.lower() in _OWN:
                raise ValueError(
                    f"{name!r} is the server's to set: websocket.accept has `subprotocol` for it"
                )
        head = renderer.check(HTTPStatus.SWITCHING_PROTOCOLS.value, headers)
        lines = [
            head.lines,
            b"upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: %b\r\n" % self._accept,
        ]
        if subprotocol is not None:
            if subprotocol not in self.subprotocols:
                raise ValueError(
                    f"the subprotocol {subprotocol!r} is none that the client offers: {self.subprotocols}"
                )
            lines.append(b"sec-websocket-protocol: %b\r\n" % subprotocol.encode("latin-1"))
        agreed = negotiate(self._extensions) if compress and self._extensions else None
        deflate = None
        if agreed is not None:
            deflate, value = agreed
            lines.append(b"sec-websocket-extensions: %b\r\n" % value)
        lines.append(renderer.own[head.replaced])
        return head, b"".join(lines), deflate


def websocket_scope(scope: Scope, subprotocols: list[str]) -> Scope:
    """Make the scope of an HTTP request that of a WebSocket (ASGI WebSocket, "Connection Scope")."""
    scope["type"] = "websocket"
    scope["scheme"] = "wss" if scope["scheme"] == "https" else "ws"
    scope["subprotocols"] = subprotocols
    del scope["method"]
    extensions: dict[str, Any] = {"websocket.http.response": {}}
    if "tls" in scope["extensions"]:
        extensions["tls"] = scope["extensions"]["tls"]
    scope["extensions"] = extensions
    return scope


def _values(headers: HeaderList, name: bytes) -> list[bytes]:
    return [value for field, value in headers if field == name]


def _is_key(value: bytes) -> bool:
    """Whether it is 16 bytes in base64 (RFC 6455 §4.1)."""
    try:
        return len(b64decode(value, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False
