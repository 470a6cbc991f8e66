"""Path and host patterns as they are written, ``/users/{id:int}``, taken apart and checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Any, TypeAlias

from ..errors import RegistrationError
from .converters import Converter, regex_converter

# All of these are compiled when they are needed: few programs have expressions or hosts in their routes.
# An expression ends where its parameter does, so that it may hold braces, parentheses and slashes.
_REGEX = r"(?s)\{(?P<name>[^{}:/]*):regex\((?P<source>.+?)\)\}(?=/|\.|$)"
_LABEL = r"[a-z0-9_-]+"
# An address of IPv6 is one label; its brackets keep its dots together.
_ADDRESS = r"\[[0-9a-f:.]+\]"


@dataclass(slots=True)
class Parameter:
    """One ``{name:converter}``, which fills a whole segment."""

    name: str
    converter: Converter[Any]

    def __str__(self) -> str:
        return f"{{{self.name}:{self.converter.name}}}"


Segment: TypeAlias = str | Parameter


@dataclass(slots=True)
class Pattern:
    """A path whose segments, between slashes, are literal text or parameters; and perhaps a host."""

    path: str
    segments: tuple[Segment, ...]
    #: The host as it was written, or None for any.
    host: str | None = None
    #: What is between the host's dots.
    labels: tuple[Segment, ...] = ()
    #: From left to right, those of the host first.
    parameters: tuple[Parameter, ...] = field(init=False)

    def __post_init__(self) -> None:
        parts = (*self.labels, *self.segments)
        self.parameters = tuple([part for part in parts if isinstance(part, Parameter)])


def parse_pattern(path: str, converters: Mapping[str, Converter[Any]], host: str | None = None) -> Pattern:
    """Take a pattern apart. RegistrationError, which says what to write, if that is impossible."""
    if not path.startswith("/"):
        raise RegistrationError("a path starts with '/'")
    if "{" in path or "}" in path:
        segments = tuple([_parse_segment(text, converters) for text in _split(path[1:], "/")])
    else:
        segments = tuple(path[1:].split("/"))
    labels = () if host is None else _parse_host(host, converters)
    pattern = Pattern(path, segments, host, labels)
    _check_parameters(pattern)
    return pattern


def parse_prefix(path: str, converters: Mapping[str, Converter[Any]], host: str | None = None) -> Pattern:
    """Take apart where something is mounted: a path without a slash at its end, empty for the root."""
    if not path:
        return Pattern("", (), host, () if host is None else _parse_host(host, converters))
    pattern = parse_pattern(path, converters, host)
    last = pattern.segments[-1]
    if isinstance(last, Parameter) and last.converter.spans_segments:
        raise RegistrationError(f"{last} takes the rest of the path, so nothing is left to mount there")
    return pattern


def is_label(text: str) -> bool:
    """Tell whether a host may have this between its dots."""
    return re.fullmatch(_LABEL, text) is not None


def _split(text: str, separator: str) -> list[str]:
    """Cut a pattern in pieces, but leave regular expressions whole."""
    if ":regex(" not in text:
        return text.split(separator)
    pieces: list[str] = []
    start = 0
    while True:
        expression = re.compile(_REGEX).match(text, start)
        end = text.find(separator, start if expression is None else expression.end())
        if end < 0:
            return [*pieces, text[start:]]
        pieces.append(text[start:end])
        start = end + 1


def _check_parameters(pattern: Pattern) -> None:
    if not pattern.parameters:
        return
    names = set()
    for parameter in pattern.parameters:
        if parameter.name in names:
            raise RegistrationError(f"two parameters are called {parameter.name!r}")
        names.add(parameter.name)
    for segment in pattern.segments[:-1]:
        if isinstance(segment, Parameter) and segment.converter.spans_segments:
            raise RegistrationError(f"{segment} takes the rest of the path, so nothing can follow it")


def _parse_host(host: str, converters: Mapping[str, Converter[Any]]) -> tuple[Segment, ...]:
    if re.fullmatch(_ADDRESS, host):
        return (host,)
    labels = tuple(_parse_segment(text, converters) for text in _split(host, "."))
    for label in labels:
        if isinstance(label, Parameter):
            if label.converter.spans_segments:
                raise RegistrationError(f"host {host!r}: {label} is for paths; in a host it is one label")
        elif not is_label(label):
            raise RegistrationError(
                f"host {host!r}: {label!r} is no label: a host is in lower case, without port, and other "
                f"letters than a to z are written as clients send them, 'xn--...'"
            )
    return labels


def _parse_segment(text: str, converters: Mapping[str, Converter[Any]]) -> Segment:
    if "{" not in text and "}" not in text:
        return text
    expression = re.fullmatch(_REGEX, text) if ":regex(" in text else None
    if expression is not None:
        _check_name(expression["name"], text)
        return Parameter(expression["name"], regex_converter(expression["source"]))
    name, _, converter_name = text[1:-1].partition(":")
    if converter_name.startswith("regex("):
        raise RegistrationError(
            f"{text!r}: a regular expression is not empty and fills the whole segment: {{name:regex([a-z]+)}}"
        )
    if text[0] != "{" or text[-1] != "}":
        name = ""
    _check_name(name, text)
    converter = converters.get(converter_name or "str")
    if converter is None:
        known = ", ".join(sorted(converters))
        raise RegistrationError(
            f"no converter is called {converter_name!r}; there are {known} and regex(...)"
        )
    return Parameter(name, converter)


def _check_name(name: str, text: str) -> None:
    if not name.isidentifier() or iskeyword(name):
        raise RegistrationError(
            f"{text!r} is not a parameter, which fills a whole segment: {{name}} or {{name:int}}"
        )
