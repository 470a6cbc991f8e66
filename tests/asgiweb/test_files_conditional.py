"""Conditions (RFC 9110, 13): what is answered 304 and 412, in which order, and by which comparison."""

from __future__ import annotations

import time

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from asgiweb.files.conditional import Outcome, Validators, evaluate, range_applies
from asgiweb.files.dates import format_date, parse_date

SEND, NOT_MODIFIED, FAILED = Outcome.SEND, Outcome.NOT_MODIFIED, Outcome.FAILED

MODIFIED = 784111777
DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = "Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = "Sun, 06 Nov 1994 08:49:38 GMT"
STRONG = Validators('"a"', DATE)
WEAK = Validators('W/"a"', DATE)


def headers(*pairs: tuple[str, str]) -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict(pairs))


def outcome(validators: Validators = STRONG, **values: str) -> Outcome:
    return evaluate(headers(*((name.replace("_", "-"), value) for name, value in values.items())), validators)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"a"', SEND),
        ('"b", "a"', SEND),
        ('"b","a" ,', SEND),
        ("*", SEND),
        ('"b"', FAILED),
        ('W/"a"', FAILED),
        ("", FAILED),
        ("a", FAILED),
    ],
)
def test_13_1_1_if_match_is_strong(value: str, expected: Outcome) -> None:
    assert outcome(if_match=value) is expected


def test_13_1_1_a_weak_tag_matches_nothing_strongly() -> None:
    assert outcome(WEAK, if_match='W/"a"') is FAILED
    assert outcome(WEAK, if_match='"a"') is FAILED
    assert outcome(WEAK, if_match="*") is SEND


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"a"', NOT_MODIFIED),
        ('W/"a"', NOT_MODIFIED),
        ('"b", W/"c", "a"', NOT_MODIFIED),
        ('"b,c", "a"', NOT_MODIFIED),
        ("*", NOT_MODIFIED),
        ('"b"', SEND),
        ('"A"', SEND),
        ("", SEND),
        ("a", SEND),
        ('"a', SEND),
    ],
)
def test_13_1_2_if_none_match_is_weak(value: str, expected: Outcome) -> None:
    assert outcome(if_none_match=value) is expected
    assert outcome(WEAK, if_none_match=value) is expected


def test_13_1_2_without_a_tag_of_its_own_only_the_star_matches() -> None:
    assert outcome(Validators("", DATE), if_none_match='"", "a"') is SEND
    assert outcome(Validators("", DATE), if_none_match="") is SEND
    assert outcome(Validators("", DATE), if_none_match="*") is NOT_MODIFIED


def test_13_1_2_for_a_part_a_tag_that_something_has_weakened_is_another() -> None:
    assert outcome(if_none_match='W/"a"', range="bytes=0-3") is SEND
    assert outcome(if_none_match='W/"a", "a"', range="bytes=0-3") is NOT_MODIFIED
    assert outcome(if_none_match="*", range="bytes=0-3") is NOT_MODIFIED
    assert outcome(WEAK, if_none_match='W/"a"', range="bytes=0-3") is NOT_MODIFIED


def test_13_1_2_tags_of_several_headers_are_one_list() -> None:
    asked = headers(("if-none-match", '"b"'), ("if-none-match", '"a"'))
    assert evaluate(asked, STRONG) is NOT_MODIFIED


@pytest.mark.parametrize(("value", "expected"), [(BEFORE, SEND), (DATE, NOT_MODIFIED), (AFTER, NOT_MODIFIED)])
def test_13_1_3_if_modified_since(value: str, expected: Outcome) -> None:
    assert outcome(if_modified_since=value) is expected


@pytest.mark.parametrize(("value", "expected"), [(BEFORE, FAILED), (DATE, SEND), (AFTER, SEND)])
def test_13_1_4_if_unmodified_since(value: str, expected: Outcome) -> None:
    assert outcome(if_unmodified_since=value) is expected


@pytest.mark.parametrize("name", ["if-modified-since", "if-unmodified-since"])
def test_13_1_3_what_is_no_date_or_two_dates_is_ignored(name: str) -> None:
    assert evaluate(headers((name, "yesterday")), STRONG) is SEND
    assert evaluate(headers((name, BEFORE), (name, AFTER)), STRONG) is SEND
    assert evaluate(headers((name, BEFORE)), Validators('"a"', "")) is SEND


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"if_match": '"a"', "if_unmodified_since": BEFORE}, SEND),
        ({"if_match": '"b"', "if_unmodified_since": AFTER}, FAILED),
        ({"if_match": '"b"', "if_none_match": '"a"'}, FAILED),
        ({"if_match": '"a"', "if_none_match": '"a"'}, NOT_MODIFIED),
        ({"if_none_match": '"b"', "if_modified_since": AFTER}, SEND),
        ({"if_none_match": '"a"', "if_modified_since": BEFORE}, NOT_MODIFIED),
        ({"if_unmodified_since": BEFORE, "if_modified_since": AFTER}, FAILED),
        ({"if_unmodified_since": AFTER, "if_modified_since": AFTER}, NOT_MODIFIED),
    ],
)
def test_13_2_2_the_order(values: dict[str, str], expected: Outcome) -> None:
    assert outcome(STRONG, **values) is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"a"', True),
        ('W/"a"', False),
        ('"b"', False),
        ('"a", "b"', False),
        ("*", False),
        (DATE, True),
        (BEFORE, False),
        (AFTER, False),
        ("tomorrow", False),
    ],
)
def test_13_1_5_if_range(value: str, expected: bool) -> None:
    assert range_applies(headers(("if-range", value)), STRONG) is expected


def test_13_1_5_if_range_needs_a_strong_validator() -> None:
    assert range_applies(headers(), STRONG)
    assert not range_applies(headers(("if-range", 'W/"a"')), WEAK)
    assert not range_applies(headers(("if-range", '"a"'), ("if-range", '"a"')), STRONG)
    # Of a file that changed in this very second, nobody knows whether it will do so again.
    now = int(time.time()) + 1
    assert not range_applies(headers(("if-range", format_date(now))), Validators('"a"', format_date(now)))


@pytest.mark.parametrize("text", [DATE, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])
def test_5_6_7_all_three_forms_of_a_date_are_read(text: str) -> None:
    assert parse_date(text) == MODIFIED
    assert format_date(MODIFIED) == DATE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "784111777",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "So, 06 Nov 1994 08:49:37 GMT",
        "Sun, 0\u0666 Nov 1994 08:49:37 GMT",
    ],
)
def test_5_6_7_what_is_no_date(text: str) -> None:
    assert parse_date(text) is None


def test_5_6_7_a_leap_second_and_a_year_of_two_digits() -> None:
    assert parse_date("Sat, 31 Dec 2016 23:59:60 GMT") == parse_date("Sat, 31 Dec 2016 23:59:59 GMT")
    year = time.gmtime().tm_year + 49
    assert parse_date(f"Sunday, 06-Nov-{year % 100:02} 08:49:37 GMT") == parse_date(
        f"Sun, 06 Nov {year} 08:49:37 GMT"
    )
    year += 2
    assert parse_date(f"Sunday, 06-Nov-{year % 100:02} 08:49:37 GMT") == parse_date(
        f"Sun, 06 Nov {year - 100} 08:49:37 GMT"
    )
