"""What is known to be wrong with the server: cases that are not held against it until it is mended.

Each has an example that fails, so that a fault which is mended is noticed, and taken out of here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


FAULTS: Final[dict[str, Fault]] = {}


def is_known(case: Case) -> bool:
    """Whether something is known to be wrong with this case."""
    requests = read(case.data, SETTINGS) if FAULTS else []
    return any(fault.concerns(case, requests) for fault in FAULTS.values())
