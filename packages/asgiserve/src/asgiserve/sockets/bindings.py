"""Where to listen, as the settings say it: read and checked before anything is opened.

A binding is ``HOST:PORT``, ``[IPv6]:PORT``, ``unix:PATH``, ``unix:@NAME`` or ``fd://N``. ``http://`` or
``https://`` before it says whether TLS is spoken there; otherwise it is where there is a certificate.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from ..errors import ConfigError
from .unix import permissions

if TYPE_CHECKING:
    from ..config import Config

_FORMS: Final = (
    "HOST:PORT (0.0.0.0:PORT for all IPv4 addresses, [::]:PORT for those of IPv6 too), unix:/PATH or fd://N, "
    "with http:// or https:// before it if need be"
)

#: There is no form for "all addresses" that an empty variable could turn ``$HOST:8000`` into.
_TCP: Final = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>[\w.-]+)):(?P<port>[0-9]{1,5})")
_FD: Final = re.compile(r"fd://([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class TCPAddress:
    """An address, or a name of some, and a port, where 0 chooses a free one."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}, port {self.port}"


@dataclass(frozen=True, slots=True)
class UnixPath:
    """The path of a UNIX socket; ``@`` and a name is one without a file (abstract, Linux alone)."""

    path: str

    @property
    def abstract(self) -> bool:
        """Whether there is no file, and so no permissions."""
        return self.path.startswith("@")

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The number of a socket that this process has from its parent."""

    number: int

    def __str__(self) -> str:
        return f"file descriptor {self.number}"


Address: TypeAlias = TCPAddress | UnixPath | Descriptor


@dataclass(frozen=True, slots=True)
class Binding:
    """An address to listen on, and whether TLS is spoken there."""

    address: Address
    tls: bool


def bindings(config: Config) -> list[Binding]:
    """Where `config` says to listen; raises ConfigError where that cannot be meant."""
    named = [name for name in ("bind", "uds", "fd") if getattr(config, name) not in ((), None)]
    if len(named) > 1:
        raise ConfigError(f"{' and '.join(named)}: say in one of them where to listen; bind takes several")
    tls = config.ssl_certfile is not None
    if config.bind:
        found = [_read(text, tls) for text in config.bind]
    elif config.fd is not None:
        found = [Binding(Descriptor(config.fd), tls)]
    elif config.uds is not None:
        found = [Binding(_unix_path("uds", config.uds), tls)]
    elif config.host:
        found = [Binding(TCPAddress(config.host, config.port), tls)]
    else:
        raise ConfigError("host: it is empty; write 0.0.0.0 or :: to listen on all addresses")
    if not tls and any(binding.tls for binding in found):
        raise ConfigError("bind: https:// needs a certificate (ssl_certfile)")
    _refuse_collisions(binding.address for binding in found)
    _refuse_permissions_of_nothing(config, found)
    if config.metrics is not None and _read(config.metrics, False, "metrics").tls:
        raise ConfigError("metrics: TLS is not spoken there; leave out https://")
    return found


def _read(text: str, tls: bool, setting: str = "bind") -> Binding:
    """The binding that `text` is; raises ConfigError. Where it does not speak of TLS, `tls` does."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme in ("http", "https"):
        return Binding(_read_address(setting, text, rest), scheme == "https")
    return Binding(_read_address(setting, text, text), tls)


def _read_address(setting: str, text: str, rest: str) -> Address:
    if rest.startswith("unix:"):
        return _unix_path(setting, rest.removeprefix("unix:"))
    if match := _FD.fullmatch(rest):
        return Descriptor(int(match[1]))
    if match := _TCP.fullmatch(rest):
        port = int(match["port"])
        if port > 65535:
            raise ConfigError(f"{setting}: {text!r} has a port above 65535")
        try:
            return TCPAddress(match["host"] or str(ipaddress.IPv6Address(match["ipv6"])), port)
        except ValueError:
            pass
    raise ConfigError(f"{setting}: {text!r} is nothing to listen on; write {_FORMS}")


def _unix_path(setting: str, path: str) -> UnixPath:
    if path in ("", "@") or "\0" in path:
        raise ConfigError(f"{setting}: {path!r} is no path of a UNIX socket")
    return UnixPath(path)


def _refuse_collisions(addresses: Iterable[Address]) -> None:
    """Raise ConfigError for addresses that cannot be listened on together.

    The system would notice as well, but only once the first one listens.
    """
    taken: set[Address] = set()
    for address in addresses:
        if isinstance(address, TCPAddress) and address.port == 0:
            continue
        if address in taken:
            raise ConfigError(f"bind: {address} is there twice")
        taken.add(address)
    for address in taken:
        if isinstance(address, TCPAddress) and _is_ipv4(address.host):
            if TCPAddress("::", address.port) in taken:
                raise ConfigError(f"bind: [::]:{address.port} takes IPv4 too; leave out {address}")
            if address.host != "0.0.0.0" and TCPAddress("0.0.0.0", address.port) in taken:
                raise ConfigError(f"bind: 0.0.0.0:{address.port} has all IPv4 addresses; leave out {address}")


def _is_ipv4(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True


def _refuse_permissions_of_nothing(config: Config, found: Iterable[Binding]) -> None:
    """Raise ConfigError for permissions that are wrong, or would not protect what they seem to."""
    permissions(config)
    if config.uds_mode or config.uds_owner:
        for binding in found:
            if isinstance(binding.address, UnixPath) and binding.address.abstract:
                raise ConfigError(f"uds_mode, uds_owner: {binding.address} has no file that they could be of")
