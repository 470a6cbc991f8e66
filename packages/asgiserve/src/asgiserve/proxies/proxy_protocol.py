"""The PROXY protocol, versions 1 and 2: what a proxy says of a connection before its first byte.

The specification is proxy-protocol.txt of HAProxy. Section numbers are those of its edition of 2020.
"""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import struct
from typing import Final, NamedTuple

from .trusted import TrustedProxies, pack, plain, text_of

logger: Final = logging.getLogger("asgiserve.error")

_SIGNATURE_1: Final = b"PROXY "
_SIGNATURE_2: Final = b"\r\n\r\n\0\r\nQUIT\n"

#: Bytes of the longest header of version 1, with its CRLF (§2.1).
LONGEST_1: Final = 107
#: And of version 2, where addresses take 232 at most, and the rest is for what a proxy may tell beside them.
LONGEST_2: Final = 4096

_LINE: Final = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP(?:(?P<four>4)|6) (?P<source>[0-9A-Fa-f:.]+) "
    rb"(?P<destination>[0-9A-Fa-f:.]+) (?P<source_port>0|[1-9][0-9]{0,4}) "
    rb"(?P<destination_port>0|[1-9][0-9]{0,4}))\r\n"
)

#: Two addresses and ports, by the byte for family and transport (§2.2).
_ADDRESSES: Final = {
    0x00: None,  # not specified
    0x11: struct.Struct("!4s4sHH"),
    0x12: struct.Struct("!4s4sHH"),
    0x21: struct.Struct("!16s16sHH"),
    0x22: struct.Struct("!16s16sHH"),
    0x31: struct.Struct("108s108s"),
    0x32: struct.Struct("108s108s"),
}


class MalformedHeader(ValueError):
    """A connection does not begin with a header of the PROXY protocol."""


class Ends(NamedTuple):
    """The two ends of a connection, as ``client`` and ``server`` of a scope are."""

    client: tuple[str, int] | None
    server: tuple[str, int | None] | None


class ProxyHeader(NamedTuple):
    """A header of the PROXY protocol."""

    size: int  # in bytes
    proxied: bool  # False where the proxy speaks for itself, as to find out whether the server lives
    ends: Ends | None  # None where it does not tell them


def parse_header(data: bytes) -> ProxyHeader | None:
    """The header that `data` begins with, or None as long as it is not complete; raises MalformedHeader."""
    if _SIGNATURE_2.startswith(data[:12]):
        return _parse_2(data)
    if _SIGNATURE_1.startswith(data[:6]):
        return _parse_1(data)
    raise MalformedHeader("there is none")


def _parse_1(data: bytes) -> ProxyHeader | None:
    size = data.find(b"\r\n", 0, LONGEST_1) + 2
    if size < 2:
        if len(data) >= LONGEST_1:
            raise MalformedHeader("it is too long")
        return None
    line = _LINE.fullmatch(data, 0, size)
    if line is None:
        raise MalformedHeader("it is malformed")
    if line["source"] is None:
        return ProxyHeader(size, True, None)
    ends = line["source"], line["destination"]
    ports = int(line["source_port"]), int(line["destination_port"])
    if max(ports) > 65535 or any((b":" in end) is bool(line["four"]) for end in ends):
        raise MalformedHeader("it is malformed")
    try:
        source, destination = (text_of(pack(end.decode())) for end in ends)
    except ValueError:
        raise MalformedHeader("an address in it is malformed") from None
    return ProxyHeader(size, True, Ends((source, ports[0]), (destination, ports[1])))


def _parse_2(data: bytes) -> ProxyHeader | None:
    if len(data) < 16:
        return None
    command, family, length = struct.unpack_from("!BBH", data, 12)
    size = 16 + length
    if command not in (0x20, 0x21) or family not in _ADDRESSES:
        raise MalformedHeader("its version, command or family is not known")
    if size > LONGEST_2:
        raise MalformedHeader("it is too long")
    if len(data) < size:
        return None
    if command == 0x20:  # LOCAL: whatever else it says does not count
        return ProxyHeader(size, False, None)
    addresses = _ADDRESSES[family]
    if addresses is None:
        return ProxyHeader(size, True, None)
    if length < addresses.size:
        raise MalformedHeader("it is too short")
    source, destination, *ports = addresses.unpack_from(data, 16)
    if not ports:
        path = destination.partition(b"\0")[0].decode(errors="replace")
        return ProxyHeader(size, True, Ends(None, (path, None) if path else None))
    source, destination = text_of(plain(source)), text_of(plain(destination))
    return ProxyHeader(size, True, Ends((source, ports[0]), (destination, ports[1])))


async def read_header(sock: socket.socket) -> ProxyHeader:
    """Read a header from a connection, and not a byte of what follows: that may be the beginning of TLS.

    Raises MalformedHeader; or OSError, also for a connection that ends before its first byte.
    """
    header: ProxyHeader | None = None
    data = b""
    while header is None or len(data) < header.size:
        try:
            seen = sock.recv(LONGEST_2, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            await _readable(sock)
            continue
        if not seen:
            raise MalformedHeader("it ends early") if data else ConnectionAbortedError("it ends at once")
        header = parse_header(data + seen)
        data += sock.recv(len(seen) if header is None else header.size - len(data))
    return header


async def _readable(sock: socket.socket) -> None:
    """Wait until there is something to read, or an end."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    descriptor = sock.fileno()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def header_of(sock: socket.socket, trusted: TrustedProxies, timeout: float) -> ProxyHeader | None:
    """The header of a new connection, which must have one if it is a trusted proxy's; None for all others.

    Raises OSError, with the socket closed, if there is none within `timeout` seconds (0: for ever).
    """
    peer = "unix"
    host = None
    try:
        if sock.family != socket.AF_UNIX:
            host, port = sock.getpeername()[:2]
            peer = f"{host}:{port}"
        if not trusted.trust_peer(sock.family, host):
            return None
        async with asyncio.timeout(timeout or None):
            return await read_header(sock)
    except (MalformedHeader, TimeoutError) as error:
        sock.close()
        reason = str(error) or "it took too long"
        logger.info("%s: closed, for want of a PROXY protocol header: %s", peer, reason)
        raise ConnectionAbortedError(reason) from None
    except BaseException:
        sock.close()
        raise
