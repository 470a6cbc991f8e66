"""Converters: what the text of one path segment may be, what it becomes, and how it is written again."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from functools import cache
from math import isfinite
from typing import Any, Generic, TypeVar
from uuid import UUID

from ..errors import RegistrationError

T = TypeVar("T")
Member = TypeVar("Member", bound=Enum)

# Escaped characters, and classes of characters: a "]" that comes first in one is one of them.
# Compiled when it is needed, as not every program needs it.
_NO_BARE_SLASH = r"(?s)\\.|\[\^?\]?(?:\\.|[^\]\\])*\]"


@dataclass(frozen=True, slots=True, eq=False)
class Converter(Generic[T]):
    """A type of path parameter: ``{x:name}`` is ``parse(text)``, of type ``type``.

    ``parse`` raises ValueError where the text is none of it, so that another route is tried.
    ``format`` writes a value for ``url_for``. Of converters in one place the lowest ``rank`` is tried first.
    With ``spans_segments`` it takes the rest of the path with its slashes.
    """

    name: str
    type: type[T]
    parse: Callable[[str], T]
    format: Callable[[T], str] = str
    rank: int = 50
    spans_segments: bool = False

    @staticmethod
    def enum(members: builtins.type[Member], name: str | None = None) -> Converter[Member]:
        """Make a converter for an enum, whose members are written as their values.

        It is called like the class in lower case, unless it is given a name. RegistrationError if two members
        would be written alike, or one not at all.
        """
        texts: dict[Any, str] = {member: _text_of(member) for member in members}
        by_text: dict[str, Any] = {text: member for member, text in texts.items()}
        if len(by_text) < len(texts):
            raise RegistrationError(f"Converter.enum({members.__name__}): two members are written alike")

        def parse(text: str) -> Member:
            member: Member | None = by_text.get(text)
            if member is None:
                raise ValueError(text)
            return member

        return Converter(name or members.__name__.lower(), members, parse, texts.__getitem__, rank=40)


@cache
def regex_converter(source: str) -> Converter[str]:
    """Return the converter that ``{x:regex(source)}`` means, the same for the same source.

    RegistrationError if that is no regular expression, or one that wants a slash.
    """
    try:
        fullmatch = re.compile(source).fullmatch
    except (re.error, OverflowError) as error:
        raise RegistrationError(f"'regex({source})' is no regular expression: {error}") from None
    if "/" in re.sub(_NO_BARE_SLASH, "", source):
        raise RegistrationError(
            f"'regex({source})' would match more than one segment: {{name:path}} takes the rest of a path"
        )

    def parse(text: str) -> str:
        if fullmatch(text) is None:
            raise ValueError(text)
        return text

    return Converter(f"regex({source})", str, parse, _text, rank=60)


def _text_of(member: Enum) -> str:
    value = member.value
    if isinstance(value, bool) or not isinstance(value, (str, int)) or value == "":
        raise RegistrationError(
            f"Converter.enum({type(member).__name__}): the value of {member.name} is {value!r}, and a path "
            f"has place for text and whole numbers: write a Converter with parse and format"
        )
    return str(value)


def _parse_int(text: str) -> int:
    # int() alone would take "+1", " 1", "1_000" and the digits of every script.
    if text.isascii() and (text.isdecimal() or text.removeprefix("-").isdecimal()):
        return int(text)
    raise ValueError(text)


def _parse_float(text: str) -> float:
    whole, point, fraction = text.removeprefix("-").partition(".")
    if whole.isdecimal() and (fraction.isdecimal() or not point) and text.isascii():
        value = float(text)
        # Some 310 digits are beyond the largest float.
        if isfinite(value):
            return value
    raise ValueError(text)


def _format_float(value: float) -> str:
    # Whole numbers are taken, too.
    return int.__repr__(value) if isinstance(value, int) else float.__repr__(value)


def _parse_uuid(text: str) -> UUID:
    value = UUID(text)
    # UUID() alone would take braces, "urn:uuid:" and hyphens anywhere: many URLs for one thing.
    if str(value) != text.lower():
        raise ValueError(text)
    return value


def _parse_date(text: str) -> date:
    value = date.fromisoformat(text)
    # ISO 8601 has other forms, "20260131" and "2026-W05-6": many URLs for one day.
    if value.isoformat() != text:
        raise ValueError(text)
    return value


def _parse_datetime(text: str) -> datetime:
    value = datetime.fromisoformat(text)
    if _format_datetime(value) != text:
        raise ValueError(text)
    return value


def _format_datetime(value: datetime) -> str:
    """Write it as RFC 3339 does, with "Z" for UTC and no offset for a time that has none."""
    text = value.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


# What str() makes of a member of an enum that is text or a number, too, is its name.
_text = str.__str__

BUILT_IN: tuple[Converter[Any], ...] = (
    Converter("int", int, _parse_int, int.__repr__, rank=10),
    Converter("float", float, _parse_float, _format_float, rank=20),
    Converter("uuid", UUID, _parse_uuid, rank=30),
    # Not date.isoformat, which takes a datetime, too, and loses its time.
    Converter("date", date, _parse_date, str, rank=32),
    Converter("datetime", datetime, _parse_datetime, _format_datetime, rank=34),
    Converter("str", str, str, _text, rank=90),
    Converter("path", str, str, _text, rank=100, spans_segments=True),
)
