"""The results of a run over WebSockets: those of the scenarios, memory, and the client's ceilings."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from .. import results
from ..measure import Measurement
from ..results import FOLDER, Results
from .idle import Idle

#: What the names of their files end with.
KIND: Final = "-websockets"


@dataclass(slots=True)
class WebSocketResults(Results):
    """A run: what came out, and what limits it."""

    ceilings: dict[str, Measurement] = field(default_factory=dict)  # of the client, where nothing is served
    idle: list[Idle] = field(default_factory=list)

    def save(self, kind: str = KIND) -> Path:
        """Write them beside the results of HTTP."""
        return results.Results.save(self, kind)

    @classmethod
    def load(cls, file: Path) -> WebSocketResults:
        """Read what was saved."""
        data: dict[str, Any] = json.loads(file.read_text())
        scenarios = [results.read_scenario(written) for written in data.pop("scenarios")]
        idle = [Idle(**written) for written in data.pop("idle")]
        ceilings = {name: Measurement(**written) for name, written in data.pop("ceilings").items()}
        return cls(**data, scenarios=scenarios, ceilings=ceilings, idle=idle)


def committed() -> list[WebSocketResults]:
    """Read all that is saved."""
    return [WebSocketResults.load(file) for file in sorted(FOLDER.glob(f"cpython-*{KIND}.json"))]
