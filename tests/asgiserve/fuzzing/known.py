"""What is known to be wrong with the server: cases that are not held against it until it is mended.

Each has an example that fails, so that a fault which is mended is noticed, and taken out of here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.asgiserve.fuzzing.case import Case
from tests.asgiserve.fuzzing.in_process import SETTINGS, Ending, Pace
from tests.asgiserve.fuzzing.oracle import Request, State, read


@dataclass(frozen=True)
class Fault:
    """Something that is wrong, and which cases it concerns."""

    reason: str
    example: Case
    concerns: Callable[[Case, list[Request]], bool]


def _ends_within_a_later_body(case: Case, requests: list[Request]) -> bool:
    ends = case.ending in (Ending.END, Ending.END_AT_ONCE)
    return ends and len(requests) > 1 and requests[-1].state is State.BODY


FAULTS: Final[dict[str, Fault]] = {
    "end-within-a-later-body": Fault(
        "A client closes its sending half within the body of a pipelined request. When that has its turn, "
        "its end is waited for until it takes too long, and then it is answered with 408, not 400 at once.",
        Case(
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n123",
            ending=Ending.END_AT_ONCE,
            pace=Pace.SLOW,
        ),
        _ends_within_a_later_body,
    ),
}


def is_known(case: Case) -> bool:
    """Whether something is known to be wrong with this case."""
    requests = read(case.data, SETTINGS) if FAULTS else []
    return any(fault.concerns(case, requests) for fault in FAULTS.values())
