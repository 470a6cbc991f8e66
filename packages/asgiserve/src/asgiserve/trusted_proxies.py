"""Which proxies are believed what they say of their clients, in header fields or before a connection."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from .errors import ConfigError

Address: TypeAlias = IPv4Address | IPv6Address


class TrustedProxies:
    """Addresses, networks, ``unix`` for UNIX sockets, ``*`` for everybody; raises ConfigError for all else.

    One text may hold several, with commas between them, as other servers have it.
    """

    def __init__(self, names: Iterable[str]) -> None:
        entries = [entry.strip() for name in names for entry in name.split(",")]
        self.everybody = "*" in entries
        self._unix = self.everybody or "unix" in entries
        self._networks = [_network(entry) for entry in entries if entry not in ("", "*", "unix")]

    def trust(self, address: Address) -> bool:
        """Whether this is the address of a trusted proxy."""
        return self.everybody or any(address in network for network in self._networks)

    def trust_peer(self, family: int, host: str | None) -> bool:
        """Whether the other end of a connection is a trusted proxy, given its address.

        A peer is on a UNIX socket if the socket says so: one on TCP can be without an address, too, when it
        has reset the connection but what it had sent is still read.
        """
        if family == socket.AF_UNIX:
            return self._unix
        return host is not None and self.trust(plain(ip_address(host)))


def plain(address: Address) -> Address:
    """The address; of IPv4, also where it is written as one of IPv6 (RFC 4291 §2.5.5.2)."""
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address


def _network(entry: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(entry)
    except ValueError as error:
        raise ConfigError(
            f"trusted_proxies: {error}; write an address, a network such as 10.0.0.0/8, unix or *"
        ) from None
