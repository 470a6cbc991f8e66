"""The certificates of a server, from their files: one by default, and others by name (SNI)."""

from __future__ import annotations

import binascii
import os
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from ..config import Config
from ..errors import ConfigError
from .extension import ServerContext

#: The first certificate of a file: the one that OpenSSL takes for the server's own.
_CERTIFICATE: Final = re.compile(rb"-----BEGIN ([A-Z0-9 ]*CERTIFICATE)-----(.*?)-----END \1-----", re.DOTALL)

_PRIVATE_KEY: Final = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----")

#: What OpenSSL calls a key that belongs to another certificate; the last two, if it is of another kind.
_MISMATCH: Final = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_ENTRY: Final = re.compile(r"(?P<name>[^=]+)=(?P<chain>[^,]+)(,(?P<key>.+))?")

#: A name, or `*` for its first label.
_NAME: Final = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate and of its key, and the settings that name them."""

    chain: str
    key: str
    chain_setting: str = "ssl_sni"
    key_setting: str = "ssl_sni"


class Certificates:
    """What the settings say of certificates; makes contexts of the files, as they are at that moment.

    Raises ConfigError for settings that are wrong in themselves.
    """

    def __init__(self, config: Config) -> None:
        if config.ssl_certfile is None:
            raise ConfigError("ssl_certfile: TLS needs a certificate")
        self._config = config
        self._default = _default_pair(config.ssl_certfile, config.ssl_keyfile)
        self._by_name = _named_pairs(config.ssl_sni)
        # Absolute, because an application may change the current directory before they are read again.
        self._authorities = config.ssl_ca_certs and os.path.abspath(config.ssl_ca_certs)

    @property
    def files(self) -> list[str]:
        """All files that a context is made of."""
        pairs = (self._default, *self._by_name.values())
        files = [file for pair in pairs for file in (pair.chain, pair.key)]
        return list(dict.fromkeys([*files, *filter(None, [self._authorities])]))

    def context(self) -> ServerContext:
        """A new context; raises ConfigError, naming the setting and the file, for what cannot be used."""
        context = self._context_of(self._default)
        if self._by_name:
            by_name = {name: self._context_of(pair) for name, pair in self._by_name.items()}
            context.sni_callback = partial(_switch, by_name)
        return context

    def _context_of(self, pair: Pair) -> ServerContext:
        """A context for one certificate; in all else they are the same."""
        config = self._config
        context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = _VERSIONS[config.ssl_minimum_version]
        context.options |= ssl.OP_NO_RENEGOTIATION  # OpenSSL 3 does the same unasked
        context.set_alpn_protocols(["http/1.1"])
        if config.ssl_ciphers is not None:
            try:
                context.set_ciphers(config.ssl_ciphers)
            except (ssl.SSLError, ValueError) as error:
                raise ConfigError(f"ssl_ciphers: no cipher is left by {config.ssl_ciphers!r}") from error
        context.server_cert = _load(context, pair, config.ssl_keyfile_password)
        if self._authorities is not None:
            try:
                context.load_verify_locations(self._authorities)
            except (OSError, ValueError) as error:
                raise _unusable("ssl_ca_certs", self._authorities, error) from error
        context.verify_mode = ssl.VerifyMode(config.ssl_cert_reqs)
        # OpenSSL puts the version of its interface before the two bytes of IANA's registry.
        context.cipher_suites = {cipher["name"]: cipher["id"] & 0xFFFF for cipher in context.get_ciphers()}
        return context


def _default_pair(chain: str, key: str | None) -> Pair:
    chain = os.path.abspath(chain)
    if key is None:
        return Pair(chain, chain, "ssl_certfile", "ssl_certfile")
    return Pair(chain, os.path.abspath(key), "ssl_certfile", "ssl_keyfile")


def _named_pairs(entries: Iterable[str]) -> dict[str, Pair]:
    """The setting `ssl_sni`, by names as they stand in a handshake: in lower case, and in ASCII."""
    pairs: dict[str, Pair] = {}
    for entry in entries:
        parts = _ENTRY.fullmatch(entry)
        try:
            name = parts["name"].strip().encode("idna").decode().lower() if parts else ""
        except UnicodeError:
            name = ""
        if parts is None or not _NAME.fullmatch(name):
            raise ConfigError(
                "ssl_sni: write NAME=CERTFILE or NAME=CERTFILE,KEYFILE, where NAME is that of a host "
                f"or *.example.org, instead of {entry!r}"
            )
        if name in pairs:
            raise ConfigError(f"ssl_sni: {name} has two certificates, the second one in {entry!r}")
        pairs[name] = Pair(os.path.abspath(parts["chain"]), os.path.abspath(parts["key"] or parts["chain"]))
    return pairs


def _switch(
    by_name: dict[str, ServerContext], connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext
) -> None:
    """Go on with the certificate for the name that a client asks for (RFC 6066 §3), if there is one."""
    if name is not None:
        name = name.lower().removesuffix(".")
        context = by_name.get(name) or by_name.get("*." + name.partition(".")[2])
        if context is not None:
            connection.context = context


def _load(context: ssl.SSLContext, pair: Pair, password: str | None) -> str | None:
    """Give `context` its certificate and key; returns what `_certificate_of` does."""
    chain = _read(pair.chain_setting, pair.chain)
    if not _CERTIFICATE.search(chain):
        raise ConfigError(f"{pair.chain_setting}: there is no certificate (PEM) in {pair.chain}")
    if not _PRIVATE_KEY.search(_read(pair.key_setting, pair.key)):
        raise ConfigError(f"{pair.key_setting}: there is no private key (PEM) in {pair.key}")
    asked = False

    def tell_password() -> str:
        nonlocal asked
        asked = True
        if password is None:  # else OpenSSL would ask for it, on the terminal
            raise ConfigError(f"ssl_keyfile_password: the key in {pair.key} is encrypted, and needs one")
        return password

    try:
        context.load_cert_chain(pair.chain, pair.key, tell_password)
    except (OSError, ValueError) as error:
        if getattr(error, "reason", None) in _MISMATCH:
            reason = f"the key in {pair.key} does not belong to the certificate in {pair.chain}"
            raise ConfigError(f"{pair.key_setting}: {reason}") from error
        if asked:
            raise ConfigError(f"ssl_keyfile_password: it does not open the key in {pair.key}") from error
        files = " and ".join(dict.fromkeys((pair.chain, pair.key)))
        raise _unusable(pair.chain_setting, files, error) from error
    return _certificate_of(chain)


def _certificate_of(chain: bytes) -> str | None:
    """The certificate that a chain begins with, as PEM; None for one in OpenSSL's own format."""
    found = _CERTIFICATE.search(chain)
    if found is None or found[1] != b"CERTIFICATE":
        return None
    return ssl.DER_cert_to_PEM_cert(binascii.a2b_base64(found[2]))


def _read(setting: str, file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except (OSError, ValueError) as error:
        raise _unusable(setting, file, error) from error


def _unusable(setting: str, files: str, error: Exception) -> ConfigError:
    return ConfigError(f"{setting}: cannot load {files}: {getattr(error, 'strerror', None) or error}")
