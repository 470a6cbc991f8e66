"""Conditions in a request's headers (RFC 9110, 13): what a client knows already, or insists on.

They are evaluated in this order (13.2.2), the first row that applies decides, and what cannot be read is not
there (13.1):

| header              | applies                   | true                  | false                |
|---------------------|---------------------------|-----------------------|----------------------|
| If-Match            |                           | next: If-None-Match   | 412                  |
| If-Unmodified-Since | without If-Match          | next: If-None-Match   | 412                  |
| If-None-Match       |                           | next: Range           | 304                  |
| If-Modified-Since   | without If-None-Match     | next: Range           | 304                  |
| If-Range            | with Range                | 206                   | 200, without Range   |

Entity tags are compared strongly for If-Match and If-Range, and weakly for If-None-Match (8.8.3.2), but for
one case: who asks for a part with a tag that something has weakened on the way has other bytes, such as those
of a compressed body, and a 304 would let it take the part of these. Chromium does.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto

from multidict import CIMultiDictProxy

from .dates import parse_date

_TAG = re.compile(r'(?:W/)?"[^"]*"')


class Outcome(Enum):
    """What the conditions make of a request."""

    SEND = auto()
    NOT_MODIFIED = auto()  # 304
    FAILED = auto()  # 412


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one state of a representation from others (8.8)."""

    #: As it is written, with its quotes, and W/ if it is weak; empty if there is none.
    etag: str
    #: As it is written; empty if that is not known. Few requests make it worth reading.
    last_modified: str

    @property
    def modified(self) -> int | None:
        """The time of the last change, in seconds since 1970."""
        return parse_date(self.last_modified)


def evaluate(headers: CIMultiDictProxy[str], validators: Validators) -> Outcome:
    """Evaluate the conditions of a GET or HEAD, for a representation that is there."""
    if "if-match" in headers:
        if not _lists(headers.getall("if-match"), validators.etag, _match_strongly):
            return Outcome.FAILED
    elif _modified_since(headers.getall("if-unmodified-since", ()), validators) is True:
        return Outcome.FAILED
    if "if-none-match" in headers:
        part_of_others = "range" in headers and not validators.etag.startswith("W/")
        match = _match_strongly if part_of_others else _match_weakly
        if _lists(headers.getall("if-none-match"), validators.etag, match):
            return Outcome.NOT_MODIFIED
    elif _modified_since(headers.getall("if-modified-since", ()), validators) is False:
        return Outcome.NOT_MODIFIED
    return Outcome.SEND


def range_applies(headers: CIMultiDictProxy[str], validators: Validators) -> bool:
    """Tell whether If-Range, if there is one, names the representation that is there (13.1.5)."""
    values = headers.getall("if-range", ())
    if not values:
        return True
    if len(values) > 1:
        return False
    value = values[0].strip()
    if _TAG.fullmatch(value):
        return _match_strongly(value, validators.etag)
    modified = validators.modified
    # A date is a strong validator only when its second is over: until then the file may change (8.8.2.2).
    return modified is not None and parse_date(value) == modified and time.time() >= modified + 1


def _lists(values: list[str], etag: str, match: Callable[[str, str], bool]) -> bool:
    if values == [etag]:
        return match(etag, etag)
    if [value.strip() for value in values] == ["*"]:
        return True
    return any(match(tag, etag) for value in values for tag in _TAG.findall(value))


def _match_strongly(one: str, other: str) -> bool:
    return one == other and one != "" and not one.startswith("W/")


def _match_weakly(one: str, other: str) -> bool:
    return one.removeprefix("W/") == other.removeprefix("W/") and one != ""


def _modified_since(values: list[str] | tuple[()], validators: Validators) -> bool | None:
    """Tell whether the representation is newer than a date; None where nobody asks, or cannot be told."""
    if len(values) != 1:
        return None
    date, modified = parse_date(values[0].strip()), validators.modified
    return None if date is None or modified is None else modified > date
