"""Sockets to listen on: TCP, UNIX, inherited."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .config import Config
from .errors import BindError


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that is bound, and whether TLS is spoken on it."""

    socket: socket.socket
    tls: bool

    def __str__(self) -> str:
        """How a person names the address."""
        address = self.socket.getsockname()
        if not isinstance(address, tuple):
            return f"unix:{address!s}"
        host = f"[{address[0]}]" if ":" in address[0] else address[0]
        return f"{'https' if self.tls else 'http'}://{host}:{address[1]}"


def bind(config: Config) -> list[Listener]:
    """Open and bind the sockets of `config`, not yet listening; raises BindError."""
    if config.fd is not None:
        sockets = [_inherit(config.fd)]
    elif config.uds is not None:
        sockets = [_bind_unix(config.uds)]
    else:
        sockets = _bind_tcp(config.host, config.port, config.reuse_port == "on")
    return [listener_of(sock, config) for sock in sockets]


def listener_of(sock: Listener | socket.socket, config: Config) -> Listener:
    """What to listen on, given that or a socket alone: then TLS is spoken if there is a certificate."""
    return sock if isinstance(sock, Listener) else Listener(sock, config.ssl_certfile is not None)


def another(listener: Listener, backlog: int) -> Listener:
    """One more socket of the same address that listens, with a queue of its own; not for UNIX sockets."""
    sock = listener.socket
    if sock.family == socket.AF_UNIX:
        return listener
    try:
        more = _open_tcp(sock.family, sock.type, sock.proto, sock.getsockname(), reuse_port=True)
    except OSError as error:
        raise BindError(f"cannot listen on {listener} once more: {error.strerror or error}") from error
    more.listen(backlog)
    return Listener(more, listener.tls)


@contextlib.contextmanager
def bound(config: Config) -> Iterator[list[Listener]]:
    """The sockets of `config`, closed in the end, and without a UNIX socket's file left behind."""
    listeners = bind(config)
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.socket.close()
        if config.uds is not None and config.fd is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(config.uds)


def _inherit(fd: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=os.dup(fd))
    except OSError as error:
        raise BindError(f"file descriptor {fd} is not a socket: {error.strerror}") from error
    sock.setblocking(False)
    return sock


def _bind_unix(path: str) -> socket.socket:
    """Bind a UNIX socket, in place of one that a dead server has left."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_dead(path):
            os.unlink(path)
        sock.bind(path)
    except OSError as error:
        sock.close()
        raise BindError(f"cannot listen on {path}: {error.strerror or error}") from error
    sock.setblocking(False)
    return sock


def _is_dead(path: str) -> bool:
    """Whether a socket lies there that nobody listens on."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
    return False


def _bind_tcp(host: str, port: int, reuse_port: bool = False) -> list[socket.socket]:
    """One socket for each address that `host` stands for; one for IPv6 takes IPv6 alone."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise BindError(f"cannot listen on {host}: {error.strerror or error}") from error
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        try:
            sockets.append(_open_tcp(family, kind, protocol, address, reuse_port))
        except OSError as error:
            failure = error
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                break  # a name may stand for addresses that this machine lacks; all else is an error
    else:
        if sockets:
            return sockets
    for sock in sockets:
        sock.close()
    reason = os.strerror(failure.errno) if failure and failure.errno else "the name stands for no address"
    raise BindError(f"cannot listen on {host}, port {port}: {reason}")


def _open_tcp(family: int, kind: int, protocol: int, address: Any, reuse_port: bool = False) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
