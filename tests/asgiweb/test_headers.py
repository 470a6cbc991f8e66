"""Header fields: what may be written, and what is read out of a Content-Type."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from asgiweb import HeaderError
from asgiweb.headers import charset, content_type_pair, header_pair, media_type


def test_names_are_written_in_lower_case() -> None:
    assert header_pair("X-Request-ID", "Ab") == (b"x-request-id", b"Ab")


def test_values_are_latin_1() -> None:
    assert header_pair("x", "caf\xe9") == (b"x", b"caf\xe9")


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b=c", "a\nb", "a\rb", "a\0b", "\n"])
def test_line_breaks_and_nul_never_pass(value: str) -> None:
    with pytest.raises(HeaderError, match="'location'"):
        header_pair("location", value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\n", "\na", "caf\xe9", "a\r\nb", '"a"', ":status"])
def test_names_are_tokens(name: str) -> None:
    with pytest.raises(HeaderError, match="not a name"):
        header_pair(name, "x")


def test_a_name_that_was_refused_is_refused_again() -> None:
    for _ in range(2):
        with pytest.raises(HeaderError):
            header_pair("not a name", "x")


def test_what_latin_1_cannot_say_is_refused_with_advice() -> None:
    with pytest.raises(HeaderError, match="encode"):
        header_pair("x", "\u20ac")


@pytest.mark.parametrize("value", [5, None, URL("/a"), b"a", ["a"]])
def test_a_value_is_text(value: Any) -> None:
    with pytest.raises(HeaderError, match=f"'x'.*{type(value).__name__}"):
        header_pair("x", value)


def test_a_content_type_is_checked_like_any_other_header() -> None:
    assert content_type_pair("text/plain") == (b"content-type", b"text/plain")
    with pytest.raises(HeaderError):
        content_type_pair("text/plain\r\n")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", ""),
        ("text/html", "text/html"),
        ("Application/JSON; charset=utf-8", "application/json"),
        (" text/plain ;x=y", "text/plain"),
    ],
)
def test_the_media_type_is_without_parameters_and_in_lower_case(header: str, expected: str) -> None:
    assert media_type(header) == expected


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", "utf-8"),
        ("text/plain", "utf-8"),
        ("text/plain; charset=latin-1", "latin-1"),
        ('text/plain; x=y; Charset="UTF-16"', "UTF-16"),
        ("text/plain; charset=", "utf-8"),
        ("charset=latin-1", "utf-8"),
    ],
)
def test_the_charset_is_utf_8_unless_another_is_named(header: str, expected: str) -> None:
    assert charset(header) == expected
