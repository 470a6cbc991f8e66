"""Where a file of a form goes while it comes: into memory, and to disk when that is more than it may take.

What is on disk has no name there, so it is gone when it is closed, also if the process is killed. Only what
touches the disk goes into a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from io import BytesIO
from typing import IO

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
            await asyncio.to_thread(self.file.seek, 0)
        else:
            self.file.seek(0)

    async def _flush(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_size = 0
        self.file = await asyncio.to_thread(_written, self.file, data)


def _written(file: IO[bytes], data: bytes) -> IO[bytes]:
    if isinstance(file, BytesIO):
        from tempfile import TemporaryFile

        on_disk = TemporaryFile()  # noqa: SIM115 - closed with the form
        on_disk.write(file.getvalue())
        file = on_disk
    file.write(data)
    return file


async def close_files(files: Iterable[IO[bytes]]) -> None:
    """Close files, which removes them. Those on disk in one thread, which nobody can cancel half way."""
    on_disk = []
    for file in files:
        if isinstance(file, BytesIO):
            file.close()
        else:
            on_disk.append(file)
    if on_disk:
        await asyncio.to_thread(_close_all, on_disk)


def _close_all(files: list[IO[bytes]]) -> None:
    for file in files:
        # It waits for a write that was cancelled and still runs in another thread: its lock is held by that.
        file.close()
