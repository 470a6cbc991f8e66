"""What a process counts of its requests and connections: plain numbers, which can be sent and added up.

One call for each request, when it is over. A Counter and a Histogram of prometheus_client would cost ten
times as much, and know of one process alone; so that library only renders (`exposition`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from operator import add
from typing import TYPE_CHECKING, Final

from ..http1.stages import Stage
from ..outcome import Outcome

if TYPE_CHECKING:
    from ..service import ServedConnection, Service

#: Upper bounds of the histogram of durations, in seconds; its last bucket has none.
BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: Classes of status codes, by the first digit; `none`: nothing was answered.
CLASSES: Final = ("none", *(f"{digit}xx" for digit in range(1, 10)))

#: What a connection is at, seen from the outside.
STATES: Final = {
    Stage.IDLE: "idle",
    Stage.HEAD: "reading",
    Stage.BODY: "reading",
    Stage.RESPONSE: "waiting",
    Stage.HELD: "waiting",
    Stage.STREAM: "writing",
    Stage.WRITE: "writing",
    Stage.WEBSOCKET: "websocket",
    Stage.CLOSING: "closing",
    Stage.FAREWELL: "closing",
    Stage.LINGER: "closing",
}

#: Kinds of timeouts, as `Service.timeouts` counts them.
TIMEOUTS: Final = ("request_head", "request_body", "response", "write", "keep_alive", "ping", "shutdown")


@dataclass(slots=True)
class Figures:
    """What one process has counted, or several together; a worker sends it to its parent as JSON."""

    # Since the start
    statuses: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    durations: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0  # all durations together
    received: int = 0  # bytes of request bodies
    sent: int = 0  # bytes of response bodies
    timeouts: dict[str, int] = field(default_factory=dict)
    restarts: dict[str, int] = field(default_factory=dict)  # of workers, by reason
    # Now
    in_progress: int = 0
    connections: dict[str, int] = field(default_factory=dict)  # by STATES
    workers: int = 0

    def add_past(self, other: Figures) -> None:
        """Add what a process has counted since its start."""
        self.statuses = list(map(add, self.statuses, other.statuses))
        self.durations = list(map(add, self.durations, other.durations))
        self.seconds += other.seconds
        self.received += other.received
        self.sent += other.sent
        self.timeouts = dict(Counter(self.timeouts) + Counter(other.timeouts))

    def add(self, other: Figures) -> None:
        """Add what a process has counted, and what it is at now."""
        self.add_past(other)
        self.in_progress += other.in_progress
        self.connections = dict(Counter(self.connections) + Counter(other.connections))


class Meter:
    """Counts the requests of a service, from now on."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._counted = Figures()
        service.observers.append(self._observe)

    def _observe(self, outcome: Outcome) -> None:
        counted = self._counted
        head = outcome.head
        counted.statuses[head.status // 100 if head is not None else 0] += 1
        counted.durations[bisect_left(BOUNDS, outcome.seconds)] += 1
        counted.seconds += outcome.seconds
        counted.received += outcome.received
        counted.sent += outcome.size

    def read(self) -> Figures:
        """How things stand."""
        service = self._service
        figures = Figures(
            timeouts=service.timeouts,
            in_progress=len(service.exchanges),
            connections=dict(Counter(map(_state, service.connections))),
        )
        figures.add_past(self._counted)
        for status, count in service.refused.items():
            figures.statuses[status // 100] += count
        return figures


def _state(connection: ServedConnection) -> str:
    """What a connection is at; one that was opened ahead of need is idle, too."""
    return "idle" if connection.unused else STATES[connection.stage]
