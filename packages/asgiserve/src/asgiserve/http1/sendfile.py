"""Files on the wire: from the kernel's cache into the socket, or, through TLS, in bounded copies.

`loop.sendfile` would do the first on asyncio's own loop, but not on uvloop; so the socket is written to
directly, once the transport has nothing left to write, on a descriptor of its own that a loop will watch.
"""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING, Final

from ..errors import ClientDisconnected
from ..files import FilePart

if TYPE_CHECKING:
    from .responder import Responder

#: Bytes that are sent, or copied, before the other tasks of the event loop have their turn: the sizes with
#: the highest rate over loopback. Four times as much at once was sent at half the rate, because the kernel
#: then sends most of it while it handles the reader's acknowledgements.
SENT_AT_ONCE: Final = 262144
COPIED_AT_ONCE: Final = 131072


class FileEnded(Exception):
    """The file has become shorter since its length was told."""


async def send_part(connection: Responder, transport: asyncio.Transport, part: FilePart) -> None:
    """Write a part of a file behind what was written before; `part.sent` tells how far it came.

    Raises FileEnded, ClientDisconnected, or what reading the file raises.
    """
    if connection.endpoints.tls is not None:
        await _copy(connection, transport, part)
        return
    transport.set_write_buffer_limits(0)
    try:
        while transport.get_write_buffer_size():
            await (connection.drain() if connection.write_paused else asyncio.sleep(0))
        await _send(connection, transport, part)
    finally:
        if not transport.is_closing():
            transport.set_write_buffer_limits()


async def _send(connection: Responder, transport: asyncio.Transport, part: FilePart) -> None:
    _check(connection, transport)
    out = os.dup(transport.get_extra_info("socket").fileno())
    try:
        while part.sent < part.count:
            _check(connection, transport)
            try:
                size = os.sendfile(
                    out, part.descriptor, part.offset + part.sent, min(part.count - part.sent, SENT_AT_ONCE)
                )
            except BlockingIOError:
                await _writable(connection, out)
                continue
            except ConnectionError as error:
                raise ClientDisconnected("the client has left") from error
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.ENOSYS) or part.sent:
                    raise
                await _copy(connection, transport, part)  # from a file system that has no sendfile
                return
            if not size:
                raise FileEnded
            part.sent += size
            if part.sent < part.count:
                await asyncio.sleep(0)
    finally:
        os.close(out)


async def _writable(connection: Responder, out: int) -> None:
    """Wait until the client has read, or the connection is lost."""
    loop = connection.service.loop
    connection.pause_writing()
    loop.add_writer(out, connection.resume_writing)
    try:
        await connection.drain()
    finally:
        loop.remove_writer(out)


async def _copy(connection: Responder, transport: asyncio.Transport, part: FilePart) -> None:
    while part.sent < part.count:
        size = min(part.count - part.sent, COPIED_AT_ONCE)
        data = os.pread(part.descriptor, size, part.offset + part.sent)
        if not data:
            raise FileEnded
        _check(connection, transport)
        transport.write(data)
        part.sent += len(data)
        await (connection.drain() if connection.write_paused else asyncio.sleep(0))
    _check(connection, transport)


def _check(connection: Responder, transport: asyncio.Transport) -> None:
    if connection.closing or transport.is_closing():
        raise ClientDisconnected("the client has left")
