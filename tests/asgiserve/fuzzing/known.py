"""What is known to be wrong with the server: cases that are not held against it until it is mended.

Each has an example that fails, so that a fault which is mended is noticed, and taken out of here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.asgiserve.fuzzing.behaviours import BEHAVIOURS
from tests.asgiserve.fuzzing.case import Case
from tests.asgiserve.fuzzing.in_process import SETTINGS, Ending, Pace
from tests.asgiserve.fuzzing.oracle import Request, State, read


@dataclass(frozen=True)
class Fault:
    """Something that is wrong, and which cases it concerns."""

    reason: str
    example: Case
    concerns: Callable[[Case, list[Request]], bool]


_LONGEST: Final = (SETTINGS["max_request_line"], SETTINGS["max_header_size"])


def _has_broken_body(case: Case, requests: list[Request]) -> bool:
    broken = requests[-1:] and requests[-1].state in (State.BODY, State.BROKEN)
    return bool(broken) and not BEHAVIOURS[case.behaviour].waits


def _ends_within_head(case: Case, requests: list[Request]) -> bool:
    ends = case.ending in (Ending.END, Ending.END_AT_ONCE)
    return ends and case.behaviour == "echoes" and any(request.method == "HEAD" for request in requests)


def is_refused_head(request: Request) -> bool:
    """Whether nobody waits for content, and the request is refused, perhaps for its body."""
    return request.state in (State.REFUSED, State.BROKEN, State.BODY) and request.method == "HEAD"


FAULTS: Final = {
    "empty-host": Fault(
        "RFC 9110 §4.2.1: a target in absolute form without a host has to be rejected.",
        Case(b"GET http://:80/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        lambda case, _: bool(re.search(rb"(?i)https?://:", case.data)),
    ),
    "limit-at-a-cut": Fault(
        "A line that is as long as it may be is refused if its CR comes before its LF.",
        Case(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % (b"/" * 115), size=1),
        lambda case, _: any(len(line) in _LONGEST for line in case.data.split(b"\r\n")),
    ),
    "content-for-head": Fault(
        "A request with HEAD that is refused for its fields gets an answer with content (RFC 9110 §9.3.2).",
        Case(b"HEAD / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n"),
        lambda _, requests: any(is_refused_head(request) for request in requests),
    ),
    "tab-behind-chunked": Fault(
        "llhttp takes a tab behind the name of a coding for a part of it, and refuses it; h11 does not.",
        Case(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\t\r\n\r\n0\r\n\r\n"),
        lambda case, _: bool(re.search(rb"(?i)transfer-encoding:[^\n]*\t[ \t]*\r\n", case.data)),
    ),
    "second-answer": Fault(
        "A request that was answered before its body came, and whose body then turns out to be malformed, "
        "gets a second answer, of 400, where the connection should only be closed.",
        Case(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "ignores", cut=56),
        _has_broken_body,
    ),
    "end-within-head": Fault(
        "A client that closes its sending half while a response to HEAD has begun, but its application goes "
        "on, counts as one that has left, although it has pipelined further requests.",
        Case(
            b"HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n1GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "echoes",
            Ending.END_AT_ONCE,
            cut=47,
        ),
        _ends_within_head,
    ),
    "stuck-behind-continue": Fault(
        "A client whose buffers are full with the 100 Continue, and who does not read the answer behind it, "
        "is never cut off: the deadline of the head that waits for its body takes the place of its own.",
        Case(
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n1",
            pace=Pace.NEVER,
            cut=69,
        ),
        lambda case, requests: case.pace is Pace.NEVER and any(request.expects for request in requests),
    ),
}


def is_known(case: Case) -> bool:
    """Whether something is known to be wrong with this case."""
    requests = read(case.data, SETTINGS)
    return any(fault.concerns(case, requests) for fault in FAULTS.values())
