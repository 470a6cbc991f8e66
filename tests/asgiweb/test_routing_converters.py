"""Converters: which texts are taken, as what, and how a value is written."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from asgiweb.routing.converters import BUILT_IN, Converter

BY_NAME: dict[str, Converter[Any]] = {converter.name: converter for converter in BUILT_IN}

ID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("int", "0", 0),
        ("int", "42", 42),
        ("int", "-7", -7),
        ("int", "007", 7),
        ("float", "1", 1.0),
        ("float", "1.5", 1.5),
        ("float", "-0.25", -0.25),
        ("uuid", ID, UUID(ID)),
        ("uuid", ID.upper(), UUID(ID)),
        ("str", "caf\xe9", "caf\xe9"),
        ("path", "a/b//c", "a/b//c"),
        ("path", "", ""),
    ],
)
def test_text_is_converted(name: str, text: str, value: object) -> None:
    converted = BY_NAME[name].parse(text)
    assert converted == value
    assert type(converted) is BY_NAME[name].type


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("int", text) for text in ("", "-", "--1", "+1", " 1", "1 ", "1_0", "1.0", "x", "\u0661", "\xb2")),
        ("int", "9" * 10_000),
        *(
            ("float", text)
            for text in ("", ".", "1.", ".5", "-", "1e5", "nan", "inf", "+1", "1_0.0", "1.2.3")
        ),
        ("float", "9" * 400),
        ("float", "-" + "9" * 400 + ".0"),
        *(
            ("uuid", text)
            for text in ("", "x", ID.replace("-", ""), "{" + ID + "}", f"urn:uuid:{ID}", ID + "0")
        ),
    ],
)
def test_other_text_is_refused(name: str, text: str) -> None:
    with pytest.raises(ValueError):
        BY_NAME[name].parse(text)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("int", -7, "-7"),
        ("float", 1.5, "1.5"),
        ("uuid", UUID(ID), ID),
        ("str", "a b", "a b"),
        ("path", "a/b", "a/b"),
    ],
)
def test_values_are_written_so_that_they_are_read_back(name: str, value: object, text: str) -> None:
    converter = BY_NAME[name]
    assert converter.format(value) == text
    assert converter.parse(text) == value


def test_the_narrower_type_is_tried_first() -> None:
    order = [converter.name for converter in sorted(BUILT_IN, key=lambda converter: converter.rank)]
    assert order == ["int", "float", "uuid", "date", "datetime", "str", "path"]


def test_a_converter_of_ones_own_comes_between_the_numbers_and_str() -> None:
    own = Converter("hex", int, lambda text: int(text, 16))
    assert BY_NAME["uuid"].rank < own.rank < BY_NAME["str"].rank
