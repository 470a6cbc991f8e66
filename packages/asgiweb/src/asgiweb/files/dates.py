"""Dates in headers (RFC 9110, 5.6.7): written in one form, read in all three."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH = "|".join(_MONTHS)
_TIME = r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
_FORMS = (
    re.compile(
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?P<day>\d\d) (?P<month>{_MONTH}) (?P<year>\d{{4}}) {_TIME} GMT",
        re.ASCII,
    ),
    re.compile(
        rf"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?P<day>\d\d)-(?P<month>{_MONTH})-(?P<year>\d\d) "
        rf"{_TIME} GMT",
        re.ASCII,
    ),
    re.compile(
        rf"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?P<month>{_MONTH}) (?P<day>[ \d]\d) {_TIME} (?P<year>\d{{4}})",
        re.ASCII,
    ),
)


@lru_cache(maxsize=1024)
def format_date(seconds: int) -> str:
    """Write a time since 1970 as a date."""
    return formatdate(seconds, usegmt=True)


def parse_date(text: str) -> int | None:
    """Read a date as seconds since 1970; None for what is no date."""
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is not None:
            break
    else:
        return None
    month = _MONTHS.index(match["month"]) + 1
    # datetime knows no leap seconds.
    second = min(int(match["second"]), 59) if match["second"] == "60" else int(match["second"])
    try:
        date = datetime(
            _year(match["year"]),
            month,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            second,
            tzinfo=UTC,
        )
    except ValueError:
        return None
    return int(date.timestamp())


def _year(digits: str) -> int:
    """Read a year; one of two digits is at most 50 years ahead."""
    year = int(digits)
    if len(digits) == 4:
        return year
    this_year = datetime.now(UTC).year
    year += this_year // 100 * 100
    return year - 100 if year > this_year + 50 else year
