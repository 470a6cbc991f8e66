"""TLS: the context that connections are encrypted with, and what a scope tells of one (ASGI TLS 0.2)."""

from __future__ import annotations

import binascii
import re
import ssl
import sys
from pathlib import Path
from typing import Any, Final, cast

from .config import Config
from .distinguished_names import DistinguishedName, rfc4514
from .errors import ConfigError

#: The first certificate of a file: the one that OpenSSL takes for the server's own.
_CERTIFICATE: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]*CERTIFICATE)-----(.*?)-----END \1-----", re.DOTALL)

#: The versions' numbers on the wire (RFC 8446 §4.2.1), by the names that `version` gives.
_VERSIONS: Final = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


class ServerContext(ssl.SSLContext):
    """A TLS context that knows what its connections cannot tell of themselves."""

    server_cert: str | None  # the certificate that the server sends, as PEM
    cipher_suites: dict[str, int]  # numbers of IANA's registry, by OpenSSL's names


def tls_context(config: Config) -> ServerContext | None:
    """The TLS context of `config`, or None where it asks for none; raises ConfigError for unusable files."""
    if config.ssl_certfile is None:
        return None
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(config.ssl_certfile, config.ssl_keyfile, config.ssl_keyfile_password)
        context.server_cert = _first_certificate(config.ssl_certfile)
    except OSError as error:
        files = " and ".join(filter(None, (config.ssl_certfile, config.ssl_keyfile)))
        raise ConfigError(f"ssl_certfile: cannot load {files}: {error.strerror or error}") from error
    if config.ssl_ca_certs is not None:
        try:
            context.load_verify_locations(config.ssl_ca_certs)
        except OSError as error:
            reason = error.strerror or error
            raise ConfigError(f"ssl_ca_certs: cannot load {config.ssl_ca_certs}: {reason}") from error
    context.verify_mode = ssl.VerifyMode(config.ssl_cert_reqs)
    # OpenSSL puts the version of its interface before the two bytes of the registry.
    context.cipher_suites = {cipher["name"]: cipher["id"] & 0xFFFF for cipher in context.get_ciphers()}
    return context


def _first_certificate(path: str) -> str | None:
    """The certificate that a chain begins with, as PEM; None for one in OpenSSL's own format."""
    found = _CERTIFICATE.search(Path(path).read_bytes())
    if found is None or found[1] != b"CERTIFICATE":
        return None
    return ssl.DER_cert_to_PEM_cert(binascii.a2b_base64(found[2]))


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
