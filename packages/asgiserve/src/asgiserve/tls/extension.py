"""TLS: what a connection's scope tells of it (ASGI TLS 0.2)."""

from __future__ import annotations

import ssl
import sys
from typing import Any, Final, cast

from .distinguished_names import DistinguishedName, rfc4514

#: The versions' numbers on the wire (RFC 8446 §4.2.1), by the names that `version` gives.
_VERSIONS: Final = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


class ServerContext(ssl.SSLContext):
    """A TLS context that knows what its connections cannot tell of themselves."""

    server_cert: str | None  # the certificate that the server sends, as PEM
    cipher_suites: dict[str, int]  # numbers of IANA's registry, by OpenSSL's names


def tls_extension(connection: ssl.SSLObject) -> dict[str, Any]:
    """What ``scope["extensions"]["tls"]`` tells of a connection, given its transport's ``ssl_object``.

    It stays the same for the connection's life. A client certificate that does not verify ends the
    handshake, so there is never an error to tell of.
    """
    context = cast(ServerContext, connection.context)
    cipher = connection.cipher()
    extension: dict[str, Any] = {
        "server_cert": context.server_cert,
        "tls_version": _VERSIONS.get(connection.version() or ""),
        "cipher_suite": context.cipher_suites.get(cipher[0]) if cipher else None,
        "client_cert_chain": (),
        "client_cert_name": None,
        "client_cert_error": None,
    }
    certificate = connection.getpeercert(binary_form=True)
    if certificate is not None:
        about = cast(dict[str, DistinguishedName], connection.getpeercert())
        extension["client_cert_chain"] = _client_chain(connection, certificate)
        extension["client_cert_name"] = rfc4514(about["subject"])
    return extension


def _client_chain(connection: ssl.SSLObject, certificate: bytes) -> tuple[str, ...]:
    """The client's certificate, and those that vouch for it up to one that is trusted, as PEM.

    It is alone in a resumed session: that remembers no more.
    """
    if sys.version_info >= (3, 13):
        chain = connection.get_verified_chain()
    else:  # there since 3.10, but not public
        read = getattr(getattr(connection, "_sslobj", None), "get_verified_chain", lambda: None)
        chain = [ssl.PEM_cert_to_DER_cert(member.public_bytes()) for member in read() or ()]
    return tuple(map(ssl.DER_cert_to_PEM_cert, chain or [certificate]))
