"""Files that an application sends: what it names, checked before anything is written (ASGI extensions).

Opening a file and looking at it blocks the event loop for as long as the file system takes, as it does in
other servers that serve files; a thread would cost more than most files do.
"""

from __future__ import annotations

import fcntl
import os
import stat
from typing import Any


class FilePart:
    """Bytes of an open file: `count` of them, from `offset` on."""

    __slots__ = ("count", "descriptor", "name", "offset", "sent")

    def __init__(self, descriptor: int, name: str, offset: int, count: int) -> None:
        self.descriptor = descriptor
        self.name = name  # for the log
        self.offset = offset
        self.count = count
        self.sent = 0


def open_path(path: object) -> FilePart:
    """Open a whole file, for ``http.response.pathsend``; the caller closes its descriptor.

    The specification asks for an absolute path, but frameworks pass on what their users gave them: others
    are taken from the current directory. Raises TypeError or ValueError for what is no path of a regular
    file, and OSError as `os.open`.
    """
    if not isinstance(path, str):
        raise TypeError(f"the path must be a str, not {path!r}")
    if not path:
        raise ValueError("the path is empty")
    # O_NONBLOCK: opening a named pipe must not wait for its other end.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        return FilePart(descriptor, path, 0, _size(descriptor, path))
    except BaseException:
        os.close(descriptor)
        raise


def part_of(file: Any, offset: int | None, count: int | None) -> FilePart:
    """A part of a file that the application has opened, for ``http.response.zerocopysend``.

    Without `offset` it begins at the file's position, without `count` it goes up to the end. Raises TypeError
    or ValueError for what is no regular file, cannot be read, or has not that many bytes.
    """
    for name, number in (("offset", offset), ("count", count)):
        if number is not None and (not isinstance(number, int) or isinstance(number, bool)):
            raise TypeError(f"{name} must be an int or None, not {number!r}")
        if number is not None and number < 0:
            raise ValueError(f"{name} must not be negative: {number}")
    if not hasattr(file, "fileno"):
        raise TypeError(f"the file must have a descriptor, as {file!r} has not")
    descriptor = file.fileno()
    if not isinstance(descriptor, int):
        raise TypeError(f"the descriptor of {file!r} must be an int, not {descriptor!r}")
    name = str(getattr(file, "name", f"descriptor {descriptor}"))
    try:
        size = _size(descriptor, name)
        if fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
            raise ValueError(f"{name} is not open for reading")
        if offset is None:
            offset = file.tell() if hasattr(file, "tell") else os.lseek(descriptor, 0, os.SEEK_CUR)
    except OSError as error:
        raise ValueError(f"{name} cannot be sent: {error}") from error
    available = max(size - offset, 0)
    if count is None:
        count = available
    elif count > available:
        raise ValueError(f"{name} has {available} bytes from {offset} on, not {count}")
    return FilePart(descriptor, name, offset, count)


def move_on(file: Any, part: FilePart) -> None:
    """Put the file's position behind a part that was sent from there."""
    if hasattr(file, "seek"):
        file.seek(part.offset + part.count)
    else:
        os.lseek(part.descriptor, part.offset + part.count, os.SEEK_SET)


def _size(descriptor: int, name: str) -> int:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{name} is not a regular file")
    return status.st_size
