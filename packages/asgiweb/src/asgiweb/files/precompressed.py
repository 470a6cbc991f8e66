"""Variants of a file that were compressed beforehand: ``app.js.br`` beside ``app.js`` (RFC 9110, 12.5.3)."""

from __future__ import annotations

import os
import stat

from ..negotiation import accepted_encodings
from .opening import OpenFile, open_file

#: Names of the variants by content coding. Of codings that a client likes as much, the first is sent.
SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

#: Seconds that a variant may be older than its file: tools that copy the time round it, ZIP to two seconds.
ROUNDING = 2

_CODINGS = tuple(SUFFIXES)


def accepted_codings(accept_encoding: str) -> tuple[str, ...]:
    """Return the codings of variants that a client takes, the best first."""
    return accepted_encodings(accept_encoding, _CODINGS).accepted


def open_variant(
    path: str, codings: tuple[str, ...], *, within: str = "", in_threads: bool = False
) -> tuple[OpenFile, str] | None:
    """Open a file in the best coding there is, with its name, which is "" for the file itself.

    None if there is no such file. A variant that is older than the file is of another state of it: not sent.
    """
    for coding in codings:
        name = path + SUFFIXES[coding]
        if not _is_there(name):
            continue
        variant = open_file(name, within=within, in_threads=in_threads)
        if variant is not None:
            if _is_of(variant, path):
                return variant, coding
            variant.close()
    file = open_file(path, within=within, in_threads=in_threads)
    return None if file is None else (file, "")


def _is_there(path: str) -> bool:
    # Most files have no variants. To ask costs 1 µs, and an open() that fails 4.
    try:
        return os.access(path, os.F_OK)
    except ValueError:
        return False


def _is_of(variant: OpenFile, path: str) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return False
    fresh = variant.modified_ns >= status.st_mtime_ns - ROUNDING * 1_000_000_000
    return fresh and stat.S_ISREG(status.st_mode)
