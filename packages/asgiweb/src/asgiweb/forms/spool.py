"""Where a file of a form goes while it comes: into memory, and to disk when that is more than it may take.

What is on disk has no name there, so it is gone when it is closed, also if the process is killed. Only what
touches the disk goes into a thread, and it is waited for: who is cancelled meanwhile leaves no file open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import IO, Any

# A thread costs some 50 microseconds, so it gets more to write than the usual piece of a body.
_WRITE_SIZE = 262_144


class Memory:
    """How many bytes the files of one form may still take in memory."""

    __slots__ = ("left",)

    def __init__(self, size: int) -> None:
        self.left = size


class Spool:
    """One file, as long as it is written."""

    __slots__ = ("_memory", "_pending", "_pending_size", "file", "size")

    def __init__(self, memory: Memory) -> None:
        #: What was written, at its beginning when ``finish()`` was called.
        self.file: IO[bytes] = BytesIO()
        #: In bytes.
        self.size = 0
        self._memory: Memory | None = memory
        self._pending: list[bytes] = []
        self._pending_size = 0

    async def write(self, data: bytes) -> None:
        """Append."""
        memory = self._memory
        if memory is not None:
            if len(data) <= memory.left:
                memory.left -= len(data)
                self.size += len(data)
                self.file.write(data)
                return
            memory.left += self.size
            self._memory = None
        self.size += len(data)
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size >= _WRITE_SIZE:
            await self._flush()

    async def finish(self) -> None:
        """Go to the beginning, when all is written."""
        if self._memory is None:
            await self._flush()
            await _in_thread(self.file.seek, 0)
        else:
            self.file.seek(0)

    async def _flush(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_size = 0
        await _in_thread(self._write, data)

    def _write(self, data: bytes) -> None:
        if isinstance(self.file, BytesIO):
            from tempfile import TemporaryFile

            in_memory, self.file = self.file, TemporaryFile()  # noqa: SIM115 - closed with the form
            self.file.write(in_memory.getvalue())
        self.file.write(data)


async def _in_thread(function: Callable[..., object], *arguments: Any) -> None:
    """Call a function in a thread, which nobody can cancel, and wait for its end whatever happens here."""
    future = asyncio.get_running_loop().run_in_executor(None, function, *arguments)
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError as error:
            cancelled = error
    failure = future.exception()
    if cancelled is not None:
        raise cancelled
    if failure is not None:
        raise failure


async def close_files(files: Iterable[IO[bytes]]) -> None:
    """Close files, which removes them. Those on disk in one thread, until all of them are closed."""
    on_disk = []
    for file in files:
        if isinstance(file, BytesIO):
            file.close()
        else:
            on_disk.append(file)
    if on_disk:
        await _in_thread(_close_all, on_disk)


def _close_all(files: list[IO[bytes]]) -> None:
    for file in files:
        # It waits for who reads it and was cancelled: that still runs in another thread, and holds its lock.
        file.close()
