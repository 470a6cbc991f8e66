"""Uploaded files, when they are there as a whole."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from io import BytesIO
from os import PathLike
from typing import IO

from multidict import CIMultiDictProxy

from .filenames import safe_filename

_PIECE_SIZE = 65536


class UploadedFile:
    """A file of a form. Closed when the request has been answered: to keep it, ``await file.save(path)``.

    ``filename`` and ``content_type`` are what the client says: nothing of it has to be true.
    """

    __slots__ = ("content_type", "file", "filename", "headers", "size")

    def __init__(
        self, filename: str, content_type: str, headers: CIMultiDictProxy[str], file: IO[bytes], size: int
    ) -> None:
        #: As it was sent, which may be a path, or empty; ``safe_filename`` is one to use.
        self.filename = filename
        #: The media type in lower case, without parameters; empty if the client does not say.
        self.content_type = content_type
        #: The header fields of this part of the form.
        self.headers = headers
        #: The file itself, for libraries that want one, at its beginning. On disk it blocks: use a thread.
        self.file = file
        #: In bytes.
        self.size = size

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

    async def read(self, size: int = -1) -> bytes:
        """Read from where it is, ``size`` bytes or all the rest."""
        return self.file.read(size) if self.in_memory else await asyncio.to_thread(self.file.read, size)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the rest in pieces of at most 64 KiB."""
        while piece := await self.read(_PIECE_SIZE):
            yield piece

    async def seek(self, offset: int) -> None:
        """Go to a position, in bytes from the beginning."""
        if self.in_memory:
            self.file.seek(offset)
        else:
            await asyncio.to_thread(self.file.seek, offset)

    async def save(self, path: str | PathLike[str]) -> None:
        """Write the whole file to a path, over what is there, and go back to its beginning."""
        await asyncio.to_thread(_save, self.file, path)


def _save(file: IO[bytes], path: str | PathLike[str]) -> None:
    file.seek(0)
    with open(path, "wb") as target:
        shutil.copyfileobj(file, target)
    file.seek(0)
