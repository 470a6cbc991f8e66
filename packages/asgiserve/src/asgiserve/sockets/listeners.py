"""Sockets to listen on: TCP, UNIX, inherited, or opened by a service manager."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..config import Config
from ..errors import BindError
from . import systemd
from .bindings import Binding, Descriptor, TCPAddress, UnixPath, bindings
from .unix import open_unix, permissions


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that is bound, and whether TLS is spoken on it."""

    socket: socket.socket
    tls: bool

    def __str__(self) -> str:
        """How a person names the address."""
        address = self.socket.getsockname()
        if not isinstance(address, tuple):
            return f"unix:{os.fsdecode(address).replace(chr(0), '@', 1)}"
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        return f"{'https' if self.tls else 'http'}://{host}:{address[1]}"

    def listen(self, backlog: int) -> None:
        """Let connections come; raises BindError, also where somebody else has begun to since the bind."""
        try:
            self.socket.listen(backlog)
        except OSError as error:
            raise BindError(f"cannot listen on {self}: {_reason(error)}") from error


@contextlib.contextmanager
def bound(config: Config, *, activation: bool = False) -> Iterator[list[Listener]]:
    """The sockets that `config` names; in the end they are closed, and the files of UNIX sockets removed.

    With `activation`, where it names none, those that a service manager has opened for this process; they
    stay as they are. Those of TCP do not listen yet. Raises BindError, and then none is left behind.
    """
    with contextlib.ExitStack() as at_end:
        wanted = _activated(config) if activation else []
        yield [
            listener for binding in wanted or bindings(config) for listener in _open(binding, config, at_end)
        ]


def listener_of(sock: Listener | socket.socket, config: Config) -> Listener:
    """What to listen on, given that or a socket alone: then TLS is spoken if there is a certificate."""
    return sock if isinstance(sock, Listener) else Listener(sock, config.ssl_certfile is not None)


def another(listener: Listener) -> Listener:
    """One more socket of the same address, which has a queue of its own once it listens.

    It is the same one again where there can be only one: a UNIX socket, or one that was opened by others.
    """
    sock = listener.socket
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT):
        return listener
    try:
        more = _tcp_socket(sock.family, sock.type, sock.proto, sock.getsockname(), reuse_port=True)
    except OSError as error:
        raise BindError(f"cannot listen on {listener} once more: {_reason(error)}") from error
    return Listener(more, listener.tls)


def _activated(config: Config) -> list[Binding]:
    """What a service manager has opened for this process, unless `config` says where to listen."""
    found = systemd.activated()
    if config.bind or config.uds is not None or config.fd is not None:
        return []
    return [Binding(Descriptor(number), config.ssl_certfile is not None) for number in found]


def _open(binding: Binding, config: Config, at_end: contextlib.ExitStack) -> list[Listener]:
    try:
        match binding.address:
            case TCPAddress():
                sockets = _open_tcp(binding.address, config.reuse_port == "on", at_end)
            case UnixPath(path):
                sockets = [open_unix(path, permissions(config), config.backlog, at_end)]
            case Descriptor(number):
                sockets = [at_end.enter_context(_inherit(number))]
    except (OSError, UnicodeError) as error:  # the latter for a name that cannot be one of a host
        raise BindError(f"cannot listen on {binding.address}: {_reason(error)}") from error
    for sock in sockets:
        sock.setblocking(False)
    return [Listener(sock, binding.tls) for sock in sockets]


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _inherit(number: int) -> socket.socket:
    """A second descriptor of a socket that is not ours."""
    copy = os.dup(number)
    try:
        sock = socket.socket(fileno=copy)
    except OSError:
        os.close(copy)
        raise
    if sock.type != socket.SOCK_STREAM:
        sock.close()
        raise OSError("it is no stream socket, such as one of TCP")
    return sock


def _open_tcp(address: TCPAddress, reuse_port: bool, at_end: contextlib.ExitStack) -> list[socket.socket]:
    """One socket for each address that the host's name stands for."""
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    lacking = OSError("the name stands for no address")
    for family, kind, protocol, _, where in dict.fromkeys(found):
        try:
            sockets.append(at_end.enter_context(_tcp_socket(family, kind, protocol, where, reuse_port)))
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
            lacking = error  # a name may stand for addresses that this machine lacks
    if not sockets:
        raise lacking
    return sockets


def _tcp_socket(family: int, kind: int, protocol: int, address: Any, reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # Said either way, because the system's default differs: all addresses are those of IPv4 too.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, address[0] != "::")
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
