"""What is known to be wrong with the server: cases that are not held against it until it is mended.

Each has an example that fails, so that a fault which is mended is noticed, and taken out of here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from tests.asgiserve.fuzzing.case import Case
from tests.asgiserve.fuzzing.in_process import SETTINGS
from tests.asgiserve.fuzzing.oracle import Request, read


@dataclass(frozen=True)
class Fault:
    """Something that is wrong, and which cases it concerns."""

    reason: str
    example: Case
    concerns: Callable[[Case, list[Request]], bool]


def _trailers_reach_limit(case: Case, requests: list[Request]) -> bool:
    sizes = map(len, case.data.partition(b"\r\n0\r\n")[2].split(b"\r\n"))
    return SETTINGS["max_headers_size"] in accumulate(sizes)


FAULTS: Final[dict[str, Fault]] = {
    "trailer-limit-at-a-cut": Fault(
        "Trailers that are as long as they may be are refused if the last CR comes before its LF.",
        Case(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n%b\r\n"
            % (b"X:%b\r\n" % (b"b" * 126) * 4),
            size=1,
        ),
        _trailers_reach_limit,
    ),
}


def is_known(case: Case) -> bool:
    """Whether something is known to be wrong with this case."""
    requests = read(case.data, SETTINGS) if FAULTS else []
    return any(fault.concerns(case, requests) for fault in FAULTS.values())
