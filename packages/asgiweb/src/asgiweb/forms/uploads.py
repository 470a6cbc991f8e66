"""Uploaded files: in memory while they are small, then in a file on disk that has no name.

What has no name is gone when it is closed, also if the process is killed. Only what touches the disk goes
into a thread.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from io import BytesIO
from os import PathLike
from typing import IO

from multidict import CIMultiDictProxy

from .filenames import safe_filename

#: Bytes that are read from a file, and that are collected before a thread writes them.
PIECE_SIZE = 65536
_WRITE_SIZE = 4 * PIECE_SIZE


class Memory:
    """How many bytes the files of one form may still take in memory."""

    __slots__ = ("left",)

    def __init__(self, size: int) -> None:
        self.left = size


class UploadedFile:
    """A file of a form. Closed when the request has been answered: to keep it, ``await file.save(path)``.

    ``filename`` and ``content_type`` are what the client says: nothing of it has to be true.
    """

    __slots__ = (
        "_memory",
        "_pending",
        "_pending_size",
        "content_type",
        "file",
        "filename",
        "headers",
        "size",
    )

    def __init__(
        self, filename: str, content_type: str, headers: CIMultiDictProxy[str], memory: Memory
    ) -> None:
        #: As it was sent, which may be a path, or empty; ``safe_filename`` is one to use.
        self.filename = filename
        #: The media type in lower case, without parameters; empty if the client does not say.
        self.content_type = content_type
        #: The header fields of this part of the form.
        self.headers = headers
        #: In bytes.
        self.size = 0
        #: The file itself, for libraries that want one, at its beginning. On disk it blocks: use a thread.
        self.file: IO[bytes] = BytesIO()
        self._memory: Memory | None = memory
        self._pending: list[bytes] = []
        self._pending_size = 0

    def __repr__(self) -> str:
        place = "in memory" if self.in_memory else "on disk"
        return f"<UploadedFile {self.filename!r}, {self.size} bytes {place}>"

    @property
    def safe_filename(self) -> str:
        """The file name without directories and what is dangerous in one; "file" if nothing is left."""
        return safe_filename(self.filename)

    @property
    def in_memory(self) -> bool:
        """Whether it is in memory, and not on disk."""
        return isinstance(self.file, BytesIO)

    async def write(self, data: bytes) -> None:
        """Append while the form is read."""
        self.size += len(data)
        if self._memory is not None:
            if len(data) <= self._memory.left:
                self._memory.left -= len(data)
                self.file.write(data)
                return
            self._memory.left += self.size - len(data)
            self._memory = None
        self._pending.append(data)
        self._pending_size += len(data)
        if self._pending_size >= _WRITE_SIZE:
            await self._flush()

    async def finish(self) -> None:
        """Go to the beginning, when all is written."""
        if self._memory is None:
            await self._flush()
        await self.seek(0)

    async def _flush(self) -> None:
        data = b"".join(self._pending)
        self._pending.clear()
        self._pending_size = 0
        self.file = await asyncio.to_thread(_written, self.file, data)

    async def read(self, size: int = -1) -> bytes:
        """Read from where it is, ``size`` bytes or all the rest."""
        return self.file.read(size) if self.in_memory else await asyncio.to_thread(self.file.read, size)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the rest in pieces of at most 64 KiB."""
        while piece := await self.read(PIECE_SIZE):
            yield piece

    async def seek(self, offset: int) -> None:
        """Go to a position, in bytes from the beginning."""
        if self.in_memory:
            self.file.seek(offset)
        else:
            await asyncio.to_thread(self.file.seek, offset)

    async def save(self, path: str | PathLike[str]) -> None:
        """Write the whole file to a path, over what is there."""
        await asyncio.to_thread(_saved, self.file, path)

    async def aclose(self) -> None:
        """Close it, which removes it."""
        if self.in_memory:
            self.file.close()
        else:
            await asyncio.to_thread(self.file.close)


def _written(file: IO[bytes], data: bytes) -> IO[bytes]:
    if isinstance(file, BytesIO):
        from tempfile import TemporaryFile

        on_disk = TemporaryFile()  # noqa: SIM115 - closed by the form
        on_disk.write(file.getvalue())
        file = on_disk
    file.write(data)
    return file


def _saved(file: IO[bytes], path: str | PathLike[str]) -> None:
    file.seek(0)
    with open(path, "wb") as target:
        shutil.copyfileobj(file, target)
    file.seek(0)
