"""Opening files and reading them: what is described is what is sent, because it is the same open file.

A thread costs more than most files do. Measured on a local file system: to open a file of 1 KiB, look at it
and read it takes 2 µs, and to have that done by a thread 50 to 120 µs. So files are opened where the request
is. What is not in the kernel's cache, which is what takes time, is read in a thread. On network file systems
opening takes time as well: ``in_threads`` is for them.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import stat

logger = logging.getLogger("asgiweb")

# O_NONBLOCK: opening a named pipe would wait for its other end.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

# What open() says where no file of that name can be read: none is there, or it is no file.
_NO_FILE = frozenset(
    {
        *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG),
        *(errno.ENXIO, errno.ENODEV, errno.EINVAL, errno.EILSEQ, errno.EOPNOTSUPP),
    }
)

#: Bytes from which on reading is done in a thread where the system does not tell whether it would wait.
LITTLE = 65536

# On Linux.
_NOWAIT: int | None = getattr(os, "RWF_NOWAIT", None)


class OpenFile:
    """A regular file, open for reading, as it was when it was opened. Somebody has to close it."""

    __slots__ = ("_descriptor", "in_threads", "inode", "modified_ns", "path", "size")

    def __init__(self, descriptor: int, path: str, status: os.stat_result, *, in_threads: bool) -> None:
        self._descriptor = descriptor
        self.path = path
        self.inode = status.st_ino
        #: In bytes.
        self.size = status.st_size
        #: In nanoseconds since 1970.
        self.modified_ns = status.st_mtime_ns
        self.in_threads = in_threads

    def fileno(self) -> int:
        """Return the descriptor, which is -1 once the file is closed."""
        return self._descriptor

    def close(self) -> None:
        """Close the file, if it is open."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    # Whoever opens a file and drops it may not know: without an application, for example.
    __del__ = close

    async def read(self, offset: int, count: int) -> bytes:
        """Read some bytes, at most ``count``. EOFError if none are there any more."""
        data = None if self.in_threads else _read_cached(self._descriptor, count, offset)
        if data is None:
            # If this is cancelled and the file closed meanwhile, the result is dropped; no position is moved.
            data = await asyncio.to_thread(os.pread, self._descriptor, count, offset)
        if not data:
            raise EOFError(f"{self.path!r} has become shorter while it was sent: it ends before {offset}")
        return data


def _read_cached(descriptor: int, count: int, offset: int) -> bytes | None:
    """Read what the kernel has in its cache; None if it might have to wait for a disk."""
    try:
        if _NOWAIT is None:
            return _read_little(descriptor, count, offset)
        buffer = bytearray(count)
        size = os.preadv(descriptor, [buffer], offset, _NOWAIT)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return _read_little(descriptor, count, offset)
    # Whether it is the end of the file that has nothing more to give is found out in a thread.
    return bytes(memoryview(buffer)[:size]) or None


def _read_little(descriptor: int, count: int, offset: int) -> bytes | None:
    """Read where the system or file system, such as tmpfs, cannot tell: not much, so it cannot take long."""
    return (os.pread(descriptor, count, offset) or None) if count < LITTLE else None


def open_file(path: str, *, within: str = "", in_threads: bool = False) -> OpenFile | None:
    """Open a regular file; None if there is none of that name.

    ``within`` is what its real path has to begin with; otherwise it is none either. Nor is a file that must
    not be read, and a warning in the log says which.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except ValueError:
        # NUL, or what the file system's encoding does not have.
        return None
    except PermissionError as error:
        logger.warning("a file is answered 404: %s", error)
        return None
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and (not within or _real_path(descriptor, path).startswith(within)):
            return OpenFile(descriptor, path, status, in_threads=in_threads)
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _real_path(descriptor: int, path: str) -> str:
    """Return where an open file really is: Linux knows, so that no link can be changed in between."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")
    except OSError:
        return os.path.realpath(path)
