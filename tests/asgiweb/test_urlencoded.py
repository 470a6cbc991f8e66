"""Queries and forms as text: read as parse_qsl() does, and whatever comes, with little time and memory."""

from __future__ import annotations

import random
import tracemalloc
from urllib.parse import parse_qsl

import pytest

from asgiweb.urlencoded import parse_urlencoded


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("&&", []),
        ("a=1&b=2&a=3", [("a", "1"), ("b", "2"), ("a", "3")]),
        ("a&b=&=c&=", [("a", ""), ("b", ""), ("", "c"), ("", "")]),
        ("a=b=c", [("a", "b=c")]),
        ("a+b=c+%2B%20d", [("a b", "c + d")]),
        ("J%C3%B6rg=%e2%82%ac%26%3D", [("J\xf6rg", "\u20ac&=")]),
        ("\xe9=\xe9%C3%A9", [("\xe9", "\xe9\xe9")]),
        ("a=100%&b=%zz%4&c=%%41", [("a", "100%"), ("b", "%zz%4"), ("c", "%A")]),
        ("a=1;b=2", [("a", "1;b=2")]),
        ("a=%00", [("a", "\0")]),
    ],
)
def test_names_and_texts_are_read_in_their_order(text: str, expected: list[tuple[str, str]]) -> None:
    assert parse_urlencoded(text, "strict") == expected


def test_what_is_no_utf8_is_replaced_or_refused() -> None:
    assert parse_urlencoded("a=%FF%41%E2%82", "replace") == [("a", "\ufffdA\ufffd")]
    for text in ("a=%FF", "%E2%82=1", "a=%ED%A0%80", "a=%C3x"):
        with pytest.raises(ValueError, match="utf-8"):
            parse_urlencoded(text, "strict")


def test_it_is_read_as_the_standard_library_does() -> None:
    randomness = random.Random(7)
    pieces = [*"ab=&+%4\xe9;", "%41", "%C3%A9", "%C3", "%a9", "%E2%82%AC", "%F0%9F", "%26", "%3d"]
    for _ in range(5000):
        text = "".join(randomness.choices(pieces, k=randomness.randrange(12)))
        assert parse_urlencoded(text, "replace") == parse_qsl(text, keep_blank_values=True), text


@pytest.mark.parametrize("piece", ["%", "%4", "%41", "%41a", "%zz", "+", "%E2%82%AC"])
def test_a_megabyte_takes_a_few_of_memory(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    tracemalloc.start()
    try:
        parse_urlencoded(text, "strict")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
