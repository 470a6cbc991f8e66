"""The results of a run over frameworks: behind servers, in one process, and their imports."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .. import results
from ..results import FOLDER, Results

#: What the names of their files end with.
KIND: Final = "-frameworks"

OURS: Final = "asgiweb"


@dataclass(slots=True)
class Row:
    """One case in one process: figures by framework. A spread is written as in JSON."""

    title: str
    microseconds: dict[str, dict[str, float]]
    ratios: dict[str, dict[str, float]]  # asgiweb's time, divided by that of each other
    targets: dict[str, float]  # the most that these ratios may be
    most: float | None = None  # the most microseconds that asgiweb may take

    def reached(self) -> list[tuple[str, bool]]:
        """Say each target, and whether it is met."""
        found = []
        for peer, most in self.targets.items():
            met = self.ratios[peer]["median"] <= most
            found.append((f"{peer} ≤ {most:g}: {'met' if met else 'missed'}", met))
        if self.most is not None and OURS in self.microseconds:
            met = self.microseconds[OURS]["median"] <= self.most
            found.append((f"≤ {self.most:g} µs: {'met' if met else 'missed'}", met))
        return found


@dataclass(slots=True)
class FrameworkResults(Results):
    """A run: what came out behind servers, which is as for servers alone, and the rest."""

    in_process: list[Row] = field(default_factory=list)
    imports: dict[str, float] = field(default_factory=dict)  # milliseconds

    def save(self, kind: str = KIND) -> Path:
        """Write them beside the results of servers."""
        return results.Results.save(self, kind)

    @classmethod
    def load(cls, file: Path) -> FrameworkResults:
        """Read what was saved."""
        data: dict[str, Any] = json.loads(file.read_text())
        scenarios = [results.read_scenario(written) for written in data.pop("scenarios")]
        rows = [Row(**written) for written in data.pop("in_process")]
        return cls(**data, scenarios=scenarios, in_process=rows)


def committed() -> list[FrameworkResults]:
    """Read all that is saved."""
    return [FrameworkResults.load(file) for file in sorted(FOLDER.glob(f"cpython-*{KIND}.json"))]
