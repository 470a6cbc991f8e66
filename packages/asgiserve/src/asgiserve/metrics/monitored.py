"""What can be monitored: a server in its own process, or the workers of a supervisor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from .figures import Figures

if TYPE_CHECKING:
    from ..server import Server
    from ..workers.supervisor import Slot
    from ..workers.watched import WatchedWorker

#: Why workers are replaced.
REASONS: Final = (
    "died",
    "not_started",
    "worker_timeout",
    "max_requests",
    "max_worker_memory",
    "worker_lifetime",
    "sighup",
    "reload",
    "scaled",
)


class MonitoredServer:
    """A server whose endpoint is in its own loop: while that turns, the server works."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def why_dead(self) -> str:
        """Nothing: this is not called unless the loop turns."""
        return ""

    def why_not_ready(self) -> str:
        """It has not started yet, or is about to end."""
        if self._server.stopping:
            return "draining"
        return "" if self._server.started.is_set() else "starting"

    def figures(self) -> Figures:
        """What it has counted."""
        figures = Figures(**self._server.report().get("metrics", {}))
        figures.workers = int(not self.why_not_ready())
        return figures


class MonitoredWorkers:
    """All workers of a supervisor, those that are gone too: what they had counted stays."""

    def __init__(self, slots: Sequence[Slot], leaving: Sequence[WatchedWorker]) -> None:
        self._slots = slots
        self._leaving = leaving
        self._gone = Figures()
        self._restarts = dict.fromkeys(REASONS, 0)
        self.stopping = False

    def ended(self, worker: WatchedWorker) -> None:
        """A worker is gone: keep what it has counted."""
        self._gone.add_past(_figures(worker))

    def replaced(self, reason: str) -> None:
        """Another worker takes the place of one, for one of REASONS."""
        self._restarts[reason] += 1

    def why_dead(self) -> str:
        """There is no worker, not even one that starts or drains."""
        return "" if self._workers() else "there is no worker"

    def why_not_ready(self) -> str:
        """They are about to end, or none of them serves."""
        if self.stopping:
            return "draining"
        return "" if self._serving() else "no worker serves"

    def figures(self) -> Figures:
        """What all of them have counted, up to a second ago."""
        figures = Figures(workers=self._serving(), restarts=self._restarts)
        figures.add_past(self._gone)
        for worker in self._workers():
            figures.add(_figures(worker))
        return figures

    def _workers(self) -> list[WatchedWorker]:
        placed = [worker for slot in self._slots for worker in (slot.current, slot.next) if worker]
        return [*placed, *self._leaving]

    def _serving(self) -> int:
        return sum(slot.current is not None and not slot.current.stuck for slot in self._slots)


def _figures(worker: WatchedWorker) -> Figures:
    """What a worker told of itself with its last sign of life."""
    return Figures(**worker.report.get("metrics", {}))
