"""Converters: which texts are taken, as what, and how a value is written."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from asgiweb import RegistrationError
from asgiweb.routing.converters import BUILT_IN, Converter, regex_converter

BY_NAME: dict[str, Converter[Any]] = {converter.name: converter for converter in BUILT_IN}

NEWFOUNDLAND = timezone(-timedelta(hours=3, minutes=30))
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
        ("date", "2024-02-29", date(2024, 2, 29)),
        ("datetime", "2026-01-31T12:30:00", datetime(2026, 1, 31, 12, 30)),
        ("datetime", "2026-01-31T12:30:00.000500", datetime(2026, 1, 31, 12, 30, 0, 500)),
        ("datetime", "2026-01-31T12:30:00Z", datetime(2026, 1, 31, 12, 30, tzinfo=UTC)),
        ("datetime", "2026-01-31T12:30:00-03:30", datetime(2026, 1, 31, 12, 30, tzinfo=NEWFOUNDLAND)),
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
        *(
            ("date", text)
            for text in (
                "",
                "20260131",
                "2026-W05-6",
                "2026-1-31",
                "2026-02-30",
                "2026-01-31T00:00:00",
                "+2026-01-31",
            )
        ),
        *(
            ("datetime", text)
            for text in (
                *("", "2026-01-31", "2026-01-31T12:30", "2026-01-31 12:30:00", "2026-01-31T24:00:00"),
                *("2026-01-31T12:30:00.5", "2026-01-31T12:30:00.000000", "20260131T123000"),
                *("2026-01-31T12:30:00+00:00", "2026-01-31T12:30:00z", "2026-01-31T12:30:00+0100"),
            )
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
        ("date", date(2026, 1, 31), "2026-01-31"),
        ("datetime", datetime(2026, 1, 31, 12, 30, tzinfo=UTC), "2026-01-31T12:30:00Z"),
        ("datetime", datetime(2026, 1, 31, 0, 0), "2026-01-31T00:00:00"),
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


class Color(enum.Enum):
    RED = "red"
    CRIMSON = "red"  # an alias, which is the same member
    GREEN = "green/ish"


class Size(enum.IntEnum):
    SMALL = 1
    LARGE = 2


def odd(**members: object) -> type[enum.Enum]:
    return enum.Enum("Odd", list(members.items()))  # type: ignore[return-value]  # a class that is made by a call


class TestEnum:
    def test_members_are_written_as_their_values(self) -> None:
        converter = Converter.enum(Color)
        assert (converter.name, converter.type) == ("color", Color)
        for member in Color:
            assert converter.parse(converter.format(member)) is member
        assert Converter.enum(Size, "size_of_it").parse("2") is Size.LARGE
        assert Converter.enum(Size, "size_of_it").name == "size_of_it"

    @pytest.mark.parametrize("text", ["", "RED", "Red", "blue"])
    def test_other_text_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError):
            Converter.enum(Color).parse(text)

    @pytest.mark.parametrize("values", [(1.5,), (None,), ("",), (True,), ((1, 2),)])
    def test_values_that_no_path_can_carry(self, values: tuple[Any, ...]) -> None:
        with pytest.raises(RegistrationError, match=r"Converter\.enum\(Odd\): the value of A"):
            Converter.enum(odd(A=values[0]))

    def test_members_that_are_written_alike(self) -> None:
        with pytest.raises(RegistrationError, match="two members are written alike"):
            Converter.enum(odd(A=1, B="1"))


class TestRegex:
    @pytest.mark.parametrize(
        ("source", "texts", "others"),
        [
            ("[A-Z]{3}", ["ABC"], ["AB", "ABCD", "abc", "ABC\n", "xABC"]),
            ("a|b", ["a", "b"], ["ab", "c"]),
            (r"(\d+)-\1", ["12-12"], ["12-13"]),
            ("[^/]+", ["abc"], ["a/b", ""]),
            (r"[\]/]+", ["]", "a/b"[1]], ["a"]),
            ("(?i:x)", ["x", "X"], ["y"]),
        ],
    )
    def test_the_whole_text_has_to_match(self, source: str, texts: list[str], others: list[str]) -> None:
        converter = regex_converter(source)
        assert [converter.parse(text) for text in texts] == texts
        for text in others:
            with pytest.raises(ValueError):
                converter.parse(text)

    def test_the_same_source_is_the_same_converter(self) -> None:
        assert regex_converter("[a-z]+") is regex_converter("[a-z]+")
        assert regex_converter("[a-z]+") is not regex_converter("[a-z]*")

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("[a-z", "no regular expression"),
            ("(a", "no regular expression"),
            ("a)", "no regular expression"),
            ("*", "no regular expression"),
            ("a/b", "more than one segment"),
            ("[a]/[b]", "more than one segment"),
        ],
    )
    def test_what_cannot_be(self, source: str, message: str) -> None:
        with pytest.raises(RegistrationError, match=message):
            regex_converter(source)
