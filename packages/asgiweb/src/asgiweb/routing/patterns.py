"""Path patterns as they are written, ``/users/{id:int}``, taken apart and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any

from ..errors import RegistrationError
from .converters import Converter


@dataclass(frozen=True, slots=True)
class Parameter:
    """One ``{name:converter}``, which fills a whole segment."""

    name: str
    converter: Converter[Any]

    def __str__(self) -> str:
        return f"{{{self.name}:{self.converter.name}}}"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A path whose segments, between slashes, are literal text or parameters."""

    path: str
    segments: tuple[str | Parameter, ...]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters, from left to right."""
        return tuple(segment for segment in self.segments if isinstance(segment, Parameter))


def parse_pattern(path: str, converters: Mapping[str, Converter[Any]]) -> Pattern:
    """Take a pattern apart. RegistrationError, which says what to write, if that is impossible."""
    if not path.startswith("/"):
        raise RegistrationError("a path starts with '/'")
    segments = tuple(_parse_segment(text, converters) for text in path[1:].split("/"))
    names = set()
    for index, segment in enumerate(segments):
        if isinstance(segment, str):
            continue
        if segment.name in names:
            raise RegistrationError(f"two parameters are called {segment.name!r}")
        names.add(segment.name)
        if segment.converter.spans_segments and index < len(segments) - 1:
            raise RegistrationError(f"{segment} takes the rest of the path, so nothing can follow it")
    return Pattern(path, segments)


def _parse_segment(text: str, converters: Mapping[str, Converter[Any]]) -> str | Parameter:
    if "{" not in text and "}" not in text:
        return text
    name, _, converter_name = text[1:-1].partition(":")
    converter_name = converter_name or "str"
    if text[0] != "{" or text[-1] != "}" or not name.isidentifier() or iskeyword(name):
        raise RegistrationError(
            f"{text!r} is not a parameter, which fills a whole segment: {{name}} or {{name:int}}"
        )
    converter = converters.get(converter_name)
    if converter is None:
        known = ", ".join(sorted(converters))
        raise RegistrationError(f"no converter is called {converter_name!r}; there are {known}")
    return Parameter(name, converter)
