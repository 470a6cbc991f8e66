"""What passes between systemd and a service: sockets that it has opened, and how far the service is.

Sockets are inherited descriptors, of which the environment tells (sd_listen_fds(3)); readiness is told over a
datagram socket (sd_notify(3)). Other service managers speak the same protocols.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from ..errors import BindError, ConfigError

if TYPE_CHECKING:
    from ..server import Server

#: The number of the first descriptor that is passed on.
_FIRST: Final = 3


def activated() -> range:
    """The descriptors of the sockets that a service manager has opened for this process.

    The variables that tell of them are unset, so that no child takes the sockets for its own.
    """
    count, pid = os.environ.get("LISTEN_FDS", ""), os.environ.get("LISTEN_PID", "")
    for name in ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        os.environ.pop(name, None)
    if pid != str(os.getpid()):
        return range(0)
    if not count.isdecimal():
        raise ConfigError(f"LISTEN_FDS: it must be a number of sockets, not {count!r}")
    found = range(_FIRST, _FIRST + int(count))
    for number in found:
        try:
            os.set_inheritable(number, False)
        except OSError as error:
            raise BindError(f"cannot listen on file descriptor {number}: {error.strerror}") from error
    return found


def notify(state: str) -> None:
    """Tell the service manager, if there is one, such as ``READY=1``."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.connect("\0" + address[1:] if address.startswith("@") else address)
            sock.sendall(state.encode())


@contextlib.asynccontextmanager
async def told_of(server: Server) -> AsyncIterator[None]:
    """Tell the service manager of a server that is all that this process does."""
    telling = asyncio.create_task(_tell(server))
    try:
        yield
    finally:
        telling.cancel()


async def _tell(server: Server) -> None:
    await server.started.wait()
    notify("READY=1")
    await server.until_stopping()
    notify("STOPPING=1")
