"""Ranges of bytes (RFC 9110, 14): read in one pass, bounded in number, and each byte sent once at most.

A header that asks for too much, or for nothing that can be understood, is as good as none: the whole is sent
(14.2). So the work for a header is linear in its length, whatever is in it, and an answer is never much
longer than the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Ranges in one header. Viewers of documents ask for a handful; Apache allows 200, and 1 is common.
MAX_RANGES = 32

#: Bytes between two ranges that cost less than the head of another part (15.3.7.2).
GAP = 80

_RANGE = re.compile(r"([0-9]*)-([0-9]*)")

# What has more digits is behind the end of every file, and a number of a thousand digits takes its time.
_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class ByteRange:
    """``count`` bytes from ``start`` on."""

    start: int
    count: int

    def content_range(self, size: int) -> str:
        """Write the Content-Range of this part of a representation of ``size`` bytes (14.4)."""
        return f"bytes {self.start}-{self.start + self.count - 1}/{size}"


class Unsatisfiable(ValueError):
    """No byte of any range is there: 416 (15.5.17)."""


def parse_ranges(header: str, size: int) -> list[ByteRange]:
    """Return what a Range header asks for of ``size`` bytes, in its order, merged where ranges touch.

    Empty if the header is to be ignored. Unsatisfiable if it is right and asks for nothing that is there.
    """
    unit, equals, listed = header.partition("=")
    if not equals or unit.strip().lower() != "bytes" or listed.count(",") >= MAX_RANGES:
        return []
    items = [item for item in (item.strip(" \t") for item in listed.split(",")) if item]
    found: list[ByteRange] = []
    for item in items:
        match = _RANGE.fullmatch(item)
        if match is None or item == "-":
            return []
        first, last = map(_number, match.groups())
        if first is not None and last is not None and first > last:
            return []
        found += _satisfiable(first, last, size)
    if items and not found:
        raise Unsatisfiable(header)
    # Of an empty file the last bytes are there, and cannot be told in a Content-Range.
    return _merged([one for one in found if one.count])


def _number(digits: str) -> int | None:
    if not digits:
        return None
    significant = digits.lstrip("0")
    return int(significant or 0) if len(significant) <= _MAX_DIGITS else 10**_MAX_DIGITS


def _satisfiable(first: int | None, last: int | None, size: int) -> list[ByteRange]:
    """Return the bytes that are there of one range: none or one (14.1.2)."""
    if first is None:
        count = min(last or 0, size)
        return [ByteRange(size - count, count)] if last else []
    if first >= size:
        return []
    end = size if last is None else min(last + 1, size)
    return [ByteRange(first, end - first)]


def _merged(ranges: list[ByteRange]) -> list[ByteRange]:
    """Join ranges that overlap or nearly touch; what is joined stays in the place of its first (15.3.7.2)."""
    if len(ranges) < 2:
        return ranges
    merged: list[tuple[int, int, int]] = []  # place, start, end
    for start, end, place in sorted(
        (one.start, one.start + one.count, place) for place, one in enumerate(ranges)
    ):
        if merged and start <= merged[-1][2] + GAP:
            last_place, last_start, last_end = merged[-1]
            merged[-1] = (min(place, last_place), last_start, max(end, last_end))
        else:
            merged.append((place, start, end))
    return [ByteRange(start, end - start) for _, start, end in sorted(merged)]
