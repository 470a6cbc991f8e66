"""Path patterns: taken apart, or refused with a message that says what to write."""

from __future__ import annotations

from typing import Any

import pytest

from asgiweb import RegistrationError
from asgiweb.routing.converters import BUILT_IN, Converter
from asgiweb.routing.patterns import Pattern, parse_pattern

CONVERTERS: dict[str, Converter[Any]] = {converter.name: converter for converter in BUILT_IN}


def parse(path: str) -> Pattern:
    return parse_pattern(path, CONVERTERS)


def shape(path: str) -> list[str]:
    return [str(segment) for segment in parse(path).segments]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", [""]),
        ("/a", ["a"]),
        ("/a/", ["a", ""]),
        ("/a.b/c d", ["a.b", "c d"]),
        ("/{x}", ["{x:str}"]),
        ("/{x:int}/y/{z:uuid}", ["{x:int}", "y", "{z:uuid}"]),
        ("/files/{rest:path}", ["files", "{rest:path}"]),
        ("/{x:regex([A-Z]{3})}/y", ["{x:regex([A-Z]{3})}", "y"]),
        ("/{x:regex([^/]+)}", ["{x:regex([^/]+)}"]),
        ("/a/{x:regex((a|b)+)}/{y:regex([)}]+)}/", ["a", "{x:regex((a|b)+)}", "{y:regex([)}]+)}", ""]),
        ("/{x:regex(.+)}/{y:int}", ["{x:regex(.+)}", "{y:int}"]),
    ],
)
def test_a_path_is_segments(path: str, expected: list[str]) -> None:
    assert shape(path) == expected


def test_parameters_are_listed_from_left_to_right() -> None:
    assert [parameter.name for parameter in parse("/{b}/x/{a:int}").parameters] == ["b", "a"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "starts with '/'"),
        ("users", "starts with '/'"),
        ("/{x}/{x}", "two parameters are called 'x'"),
        ("/{x:integer}", "no converter is called 'integer'; there are date, datetime, float, int, path, "),
        ("/v{x}", "fills a whole segment"),
        ("/{x}.json", "fills a whole segment"),
        ("/{x}-{y}", "not a parameter"),
        ("/{x", "not a parameter"),
        ("/x}", "not a parameter"),
        ("/{}", "not a parameter"),
        ("/{:int}", "not a parameter"),
        ("/{1x}", "not a parameter"),
        ("/{class}", "not a parameter"),
        ("/{x y}", "not a parameter"),
        ("/{rest:path}/edit", "{rest:path} takes the rest of the path, so nothing can follow it"),
        ("/{rest:path}/", "nothing can follow"),
        ("/{x:regex()}", "is not empty and fills the whole segment"),
        ("/{x:regex([a-z]+)", "fills the whole segment"),
        ("/{x:regex([a-z]+}", "fills the whole segment"),
        ("/{x:regex([a-z]+)}.json", "fills the whole segment"),
        ("/{x:regex([a-z]+)}-{y:regex(b)}", "no regular expression"),
        ("/{x:regex(a}/{y:regex(b)}", "no regular expression"),
        ("/{x:regex([a-z)}", "no regular expression"),
        ("/{x:regex(a/b)}", "more than one segment: {name:path}"),
        ("/{1:regex(a)}", "not a parameter"),
        ("/{:regex(a)}", "not a parameter"),
    ],
)
def test_what_cannot_be_right_is_refused(path: str, message: str) -> None:
    with pytest.raises(RegistrationError) as caught:
        parse(path)
    assert message in str(caught.value)
