"""Converters: what the text of one path segment may be, what it becomes, and how it is written again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Any, Generic, TypeVar
from uuid import UUID

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
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


def _parse_uuid(text: str) -> UUID:
    value = UUID(text)
    # UUID() alone would take braces, "urn:uuid:" and hyphens anywhere: many URLs for one thing.
    if str(value) != text.lower():
        raise ValueError(text)
    return value


BUILT_IN: tuple[Converter[Any], ...] = (
    Converter("int", int, _parse_int, rank=10),
    Converter("float", float, _parse_float, rank=20),
    Converter("uuid", UUID, _parse_uuid, rank=30),
    Converter("str", str, str, rank=90),
    Converter("path", str, str, rank=100, spans_segments=True),
)
