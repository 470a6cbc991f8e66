"""Names with a digest of the content in them, ``app.3f9a1c2b0d1e.css``, which clients may keep for ever."""

from __future__ import annotations

import hashlib
import re

from .opening import OpenFile, open_file

#: Hexadecimal digits of a digest: 48 bits tell the states of one file apart.
DIGITS = 12

#: Digests that are kept, which is more than most directories have files.
KEPT = 4096

#: Bytes up to which a file is read because a client has named a digest, which it may have made up, for it.
READ_FOR_CLIENTS = 67_108_864

#: Stands for the digest of a file that is too large to find it out.
UNREAD = "?"

_FINGERPRINTED = re.compile(
    rf"(?P<stem>(?:.*/)?[^/]+)\.(?P<digest>[0-9a-f]{{{DIGITS}}})(?P<suffix>\.[^/.]+)?", re.DOTALL
)


class Fingerprints:
    """Digests of files, computed once for each state of a file: its inode, size and time of change."""

    def __init__(self, within: str) -> None:
        self._within = within
        self._known: dict[str, tuple[tuple[int, int, int], str]] = {}

    def known(self, path: str) -> str | None:
        """Return what ``of()`` would, but None where it would have to read the file."""
        file = open_file(path, within=self._within)
        if file is None:
            return ""
        file.close()
        state, digest = self._known.get(path, (None, None))
        return digest if state == _state(file) else None

    def of(self, path: str, largest: int | None = None) -> str:
        """Return the digest of a file's content, in hexadecimal digits; empty if there is no such file.

        UNREAD if it is not known, and the file larger than ``largest``.
        """
        digest = self.known(path)
        if digest is not None:
            return digest
        file = open_file(path, within=self._within)
        if file is None:
            return ""
        try:
            if largest is not None and file.size > largest:
                return UNREAD
            with open(file.fileno(), "rb", closefd=False) as content:
                digest = hashlib.file_digest(content, "sha256").hexdigest()[:DIGITS]
        finally:
            file.close()
        if len(self._known) >= KEPT:
            # Links within a directory can make any number of names for one file.
            self._known.clear()
        self._known[path] = (_state(file), digest)
        return digest


def _state(file: OpenFile) -> tuple[int, int, int]:
    return file.inode, file.size, file.modified_ns


def with_digest(name: str, digest: str) -> str:
    """Put a digest into a name, before its last suffix."""
    folder, slash, last = name.rpartition("/")
    stem, dot, suffix = last.rpartition(".")
    if not stem:
        return f"{name}.{digest}"
    return f"{folder}{slash}{stem}.{digest}{dot}{suffix}"


def without_digest(name: str) -> tuple[str, str]:
    """Take a name apart: that of the file, and the digest, which is empty if there is none in the name."""
    match = _FINGERPRINTED.fullmatch(name)
    return (name, "") if match is None else (match["stem"] + (match["suffix"] or ""), match["digest"])
