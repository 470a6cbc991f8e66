"""A case: what a client sends, in which pieces, how it ends, and what the application does.

A fuzzer sees it as bytes, three of control before those that are sent; a person as a line of the corpus.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tests.asgiserve.fuzzing.behaviours import BEHAVIOURS
from tests.asgiserve.fuzzing.in_process import Ending, Pace

_NAMES: Final = tuple(BEHAVIOURS)
_ENDINGS: Final = tuple(Ending)
_PACES: Final = tuple(Pace)


@dataclass(frozen=True)
class Case:
    """One connection."""

    data: bytes
    behaviour: str = "reads"
    ending: Ending = Ending.SILENCE
    pace: Pace = Pace.FAST
    cut: int = 0  # where the first piece ends; 0: nowhere
    size: int = 0  # of the second piece; without `cut`, of each piece; 0: whatever is left

    @property
    def pieces(self) -> list[bytes]:
        """What the client sends at a time."""
        whole = len(self.data)
        ends = {whole}
        if self.cut:
            ends |= {self.cut, self.cut + self.size}
        elif self.size:
            ends |= set(range(self.size, whole, self.size))
        places = [0, *sorted(end for end in ends if 0 < end <= whole)]
        return [self.data[begin:end] for begin, end in pairwise(places)]

    @classmethod
    def from_bytes(cls, source: bytes) -> Case:
        """Any bytes are a case."""
        kind, cut, size, data = *source[:3].ljust(3, b"\0"), source[3:]
        kind, behaviour = divmod(kind, len(_NAMES))
        kind, ending = divmod(kind, len(_ENDINGS))
        return cls(data, _NAMES[behaviour], _ENDINGS[ending], _PACES[kind % len(_PACES)], cut, size)

    def to_bytes(self) -> bytes:
        """The bytes that are this case."""
        kind = _ENDINGS.index(self.ending) + len(_ENDINGS) * self.pace
        kind = _NAMES.index(self.behaviour) + len(_NAMES) * kind
        return bytes([kind, self.cut, self.size]) + self.data

    @classmethod
    def from_line(cls, line: str) -> Case:
        """The case that a line of the corpus describes."""
        behaviour, ending, pace, cut, size, data = line.split(maxsplit=5)
        ending = ending.upper().replace("-", "_")
        return cls(ast.literal_eval(data), behaviour, Ending[ending], Pace[pace.upper()], int(cut), int(size))

    def __str__(self) -> str:
        """The case as a line of the corpus."""
        ending = self.ending.name.lower().replace("_", "-")
        pace = self.pace.name.lower()
        return f"{self.behaviour:9} {ending:13} {pace:5} {self.cut:3} {self.size:3} {self.data!r}"
