"""What was measured: as objects, as JSON, and what follows from it (medians, ratios, targets)."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from .measure import Measurement
from .scenarios import FASTEST

FOLDER: Final = Path(__file__).with_name("results")

OURS: Final = "asgiserve"


@dataclass(frozen=True, slots=True)
class Spread:
    """A median, and the least and the most of what it was taken from."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Sum up some values."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])


@dataclass(slots=True)
class Outcome:
    """What one server did in one scenario."""

    rounds: list[Measurement] = field(default_factory=list)
    peak_memory: int = 0  # bytes
    wrong: str = ""  # why it was not measured
    missing: str = ""  # why there is nothing to measure: the server does not do this at all

    @property
    def fault(self) -> str:
        """What went wrong, so that its numbers do not count; an empty text if nothing did."""
        complaints = {measurement.errors for measurement in self.rounds if measurement.errors}
        return self.wrong or "; ".join(sorted(complaints))

    def median(self, quantity: str) -> float | None:
        """Return the median of one field of the measurements; None where it was not measured."""
        values = [getattr(measurement, quantity) for measurement in self.rounds]
        return None if not values or None in values else statistics.median(values)


@dataclass(frozen=True, slots=True)
class Target:
    """A ratio that asgiserve has to reach, and what it was."""

    peer: str
    least: float
    ratio: float

    @property
    def met(self) -> bool:
        """Whether it was reached."""
        return self.ratio >= self.least


@dataclass(slots=True)
class ScenarioResult:
    """What all servers did in one scenario."""

    name: str
    title: str
    connections: int
    targets: dict[str, float]
    outcomes: dict[str, Outcome]
    ours: str = OURS  # who is compared with the others

    def ratio(self, peer: str) -> Spread | None:
        """Divide asgiserve's rate by a peer's, round by round."""
        return self._ratio(peer, lambda ours, theirs: ours.rate / theirs.rate)

    def cpu_ratio(self, peer: str) -> Spread | None:
        """Divide a peer's CPU time for a request by asgiserve's: above 1, asgiserve uses less."""
        return self._ratio(peer, lambda ours, theirs: theirs.cpu / ours.cpu)

    def _ratio(self, peer: str, divide: Callable[[Measurement, Measurement], float]) -> Spread | None:
        ours, theirs = self.outcomes.get(self.ours), self.outcomes.get(peer)
        if ours is None or theirs is None or ours.fault or theirs.fault:
            return None
        if not ours.rounds or not theirs.rounds:
            return None
        return Spread.of(map(divide, ours.rounds, theirs.rounds))

    def peers(self) -> list[str]:
        """Name the servers that asgiserve is compared with."""
        return [name for name in self.outcomes if name != self.ours]

    def reached(self) -> list[Target]:
        """Compare with the targets; those whose peer did not take part are left out.

        A peer may take part in several ways, as ``uvicorn-wsproto`` and others: then its fastest counts.
        """
        found = []
        for peer, least in self.targets.items():
            ratios = {name: ratio.median for name in self.peers() if (ratio := self.ratio(name))}
            if peer != FASTEST:
                ratios = {name: ratios[name] for name in ratios if peer in (name, name.partition("-")[0])}
            if ratios:
                name = min(ratios, key=ratios.__getitem__)
                said = name if peer != FASTEST else f"{peer} ({name})"
                found.append(Target(said, least, ratios[name]))
        return found


@dataclass(slots=True)
class Results:
    """A run: when, on what, and what came out."""

    date: str
    interpreter: str
    machine: dict[str, str]
    versions: dict[str, str]
    seconds: int  # of each server in each round
    scenarios: list[ScenarioResult] = field(default_factory=list)

    def save(self, kind: str = "") -> Path:
        """Write them to a file, with the medians and ratios for who reads it without this program."""
        data = asdict(self)
        for scenario, written in zip(self.scenarios, data["scenarios"], strict=True):
            for name, outcome in scenario.outcomes.items():
                medians = {quantity: outcome.median(quantity) for quantity in ("rate", "cpu", "p50", "p99")}
                written["outcomes"][name]["medians"] = medians
            ratios = {peer: scenario.ratio(peer) for peer in scenario.peers()}
            written["ratios"] = {peer: asdict(ratio) for peer, ratio in ratios.items() if ratio}
            written["reached"] = [asdict(target) | {"met": target.met} for target in scenario.reached()]
        return write(self.interpreter + kind, data)

    @classmethod
    def load(cls, file: Path) -> Results:
        """Read what was saved."""
        data = json.loads(file.read_text())
        scenarios = [read_scenario(written) for written in data.pop("scenarios")]
        return cls(**data, scenarios=scenarios)


def read_scenario(written: dict[str, Any]) -> ScenarioResult:
    """Read one scenario of what was saved."""
    outcomes = {
        name: Outcome(
            [Measurement(**each) for each in outcome["rounds"]],
            outcome["peak_memory"],
            outcome["wrong"],
            outcome.get("missing", ""),
        )
        for name, outcome in written["outcomes"].items()
    }
    return ScenarioResult(
        written["name"],
        written["title"],
        written["connections"],
        written["targets"],
        outcomes,
        written.get("ours", OURS),
    )


def write(name: str, data: dict[str, Any]) -> Path:
    """Write data as JSON into the folder of results; what holds no further objects takes one line."""
    rounded = json.loads(json.dumps(data), parse_float=lambda digits: round(float(digits), 3))
    text = json.dumps(rounded, indent=1)
    FOLDER.mkdir(exist_ok=True)
    file = FOLDER / f"{name}.json"
    file.write_text(re.sub(r"\{[^{}]*\}", lambda leaf: " ".join(leaf[0].split()), text) + "\n")
    return file
