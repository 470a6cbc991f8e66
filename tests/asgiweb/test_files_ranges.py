"""Ranges of bytes (RFC 9110, 14): which are sent, and which headers are as good as none."""

from __future__ import annotations

import time

import pytest

from asgiweb.files.ranges import GAP, MAX_RANGES, Unsatisfiable, parse_ranges

SIZE = 10_000


def ranges(header: str, size: int = SIZE) -> list[tuple[int, int]]:
    return [(one.start, one.count) for one in parse_ranges(header, size)]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-499", (0, 500)),
        ("bytes=9500-", (9500, 500)),
        ("bytes=-500", (9500, 500)),
        ("bytes=9999-20000", (9999, 1)),
        ("bytes=-20000", (0, SIZE)),
        ("bytes=0-", (0, SIZE)),
        ("BYTES=1-2", (1, 2)),
        ("bytes= 1-2 ", (1, 2)),
        ("bytes=,1-2,", (1, 2)),
        ("bytes=0000000000000000000000001-2", (1, 2)),
        ("bytes=1-99999999999999999999999999", (1, 9999)),
    ],
)
def test_14_1_2_one_range(header: str, expected: tuple[int, int]) -> None:
    assert ranges(header) == [expected]


@pytest.mark.parametrize(
    "header",
    [
        "bytes=10000-",
        "bytes=10000-10001",
        "bytes=-0",
        "bytes=20000-,30000-30001",
        "bytes=" + "9" * 5000 + "-",
    ],
)
def test_14_1_2_no_byte_of_any_range_is_there(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_ranges(header, SIZE)


def test_14_1_2_ranges_that_are_not_there_are_left_out() -> None:
    assert ranges("bytes=20000-,0-0,-0") == [(0, 1)]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=1",
        "bytes=2-1",
        "bytes=0-1,2-1",
        "bytes=a-b",
        "bytes=0x1-2",
        "bytes=+1-2",
        "bytes=1 - 2",
        "bytes=1-2;3-4",
        "bytes=--1",
        "bytes=\xb2-\xb3",
        "bytes=\u0661-",
        "items=0-1",
        "bytes 0-1",
    ],
)
def test_14_2_what_is_no_range_is_ignored(header: str) -> None:
    assert ranges(header) == []


def test_14_2_the_last_bytes_of_an_empty_file_are_no_range() -> None:
    assert ranges("bytes=-1", 0) == []
    with pytest.raises(Unsatisfiable):
        ranges("bytes=0-", 0)


def test_15_3_7_2_ranges_stay_in_the_order_of_the_header() -> None:
    assert ranges("bytes=5000-5009,100-109,-10") == [(5000, 10), (100, 10), (9990, 10)]


def test_15_3_7_2_ranges_that_overlap_or_nearly_touch_are_one_in_the_place_of_the_first() -> None:
    assert ranges("bytes=0-9,5-19") == [(0, 20)]
    assert ranges(f"bytes=0-9,{10 + GAP}-{20 + GAP}") == [(0, 21 + GAP)]
    assert ranges(f"bytes=0-9,{11 + GAP}-{20 + GAP}") == [(0, 10), (11 + GAP, 10)]
    assert ranges("bytes=5000-5009,100-109,4990-4999,0-") == [(0, SIZE)]
    assert ranges("bytes=5000-5009,100-109,4990-4999") == [(4990, 20), (100, 10)]


def test_17_15_too_many_ranges_are_ignored() -> None:
    few = ",".join(f"{200 * number}-{200 * number}" for number in range(MAX_RANGES))
    assert len(ranges(f"bytes={few}")) == MAX_RANGES
    assert ranges(f"bytes={few},1-1") == []


def test_17_15_no_byte_is_sent_twice() -> None:
    for header in ("bytes=" + ",".join(["0-"] * MAX_RANGES), "bytes=0-99,50-149,-9950"):
        assert sum(count for _, count in ranges(header)) <= SIZE


@pytest.mark.parametrize("pattern", ["0-,", "1-1 ,", " ", ",", "-", "0", "9-", "bytes=", "1-2"])
def test_range_dos_a_header_is_read_in_linear_time(pattern: str) -> None:
    """What was CVE-2025-62727 elsewhere: there, each range more made every other one dearer."""

    def cost(length: int) -> float:
        header = "bytes=" + pattern * (length // len(pattern))
        best = 1e9
        for _ in range(3):
            start = time.process_time()
            try:
                parse_ranges(header, SIZE)
            except Unsatisfiable:
                pass
            best = min(best, time.process_time() - start)
        return best

    # A megabyte, of which no server lets through a tenth. Squared, it would be minutes.
    assert cost(1_000_000) < 1
