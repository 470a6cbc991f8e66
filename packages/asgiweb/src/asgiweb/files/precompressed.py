"""Variants of a file that were compressed beforehand: ``app.js.br`` beside ``app.js`` (RFC 9110, 12.5.3)."""

from __future__ import annotations

import os
import re
import stat
from functools import lru_cache

from .opening import OpenFile, open_file

#: Names of the variants by content coding. Of codings that a client likes as much, the first is sent.
SUFFIXES = {"br": ".br", "zstd": ".zst", "gzip": ".gz"}

#: Seconds that a variant may be older than its file: tools that copy the time round it, ZIP to two seconds.
ROUNDING = 2

_WEIGHT = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def acceptable_codings(accept_encoding: str) -> tuple[str, ...]:
    """Return the codings that a client takes and prefers to none, the best first."""
    # Browsers send some 30 characters. What is longer is not worth keeping, or reading.
    return _acceptable(accept_encoding) if 0 < len(accept_encoding) <= 256 else ()


@lru_cache(maxsize=256)
def _acceptable(accept_encoding: str) -> tuple[str, ...]:
    weights: dict[str, float] = {}
    for item in accept_encoding.lower().split(","):
        coding, semicolon, parameter = item.partition(";")
        match = _WEIGHT.fullmatch(parameter.strip()) if semicolon else None
        weight = 1.0 if not semicolon else float(match[1]) if match else 0.0
        weights[coding.strip().removeprefix("x-")] = weight
    others = weights.get("*", 0.0)
    least = weights.get("identity", 0.0)
    weighted = [(weights.get(coding, others), coding) for coding in SUFFIXES]
    wanted = [(weight, coding) for weight, coding in weighted if weight and weight >= least]
    return tuple(coding for _, coding in sorted(wanted, key=lambda pair: -pair[0]))


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
