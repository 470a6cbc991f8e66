"""The parent of workers: starts, watches, replaces and stops them; it never runs the application itself.

It binds the sockets, so that workers share them and no queue of connections is lost with a worker. Whatever
the reason to replace a worker, the new one serves before the old one is told to drain. What happens is noted
as it comes, and acted on in one place, `_step`, a few times a second and whenever something has changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

from .._version import __version__
from ..config import Config
from ..deadlines import NEVER
from ..metrics.endpoint import monitoring
from ..metrics.monitored import MonitoredWorkers
from ..sockets import systemd
from ..sockets.listeners import Listener, another, bound
from ..terminal import Terminal
from .changes import code_changes
from .processors import available_processors
from .watched import Reason, WatchedWorker, Work, how_it_ended
from .worker import KILL_GRACE

logger: Final = logging.getLogger("asgiserve.error")

#: Seconds between two looks at the workers.
TICK: Final = 0.25

#: A worker that has served for so many seconds did not die of its start.
STABLE: Final = 30.0

#: Seconds until a worker that has just begun to serve may be replaced, whatever limits it has reached.
SHORTEST_LIFE: Final = 1.0

#: When each worker has died so often in a row, none of them stable, there is no sense in going on.
CRASH_LOOP: Final = 7

#: Seconds before a worker that died again is replaced, doubled with each death up to the longest.
FIRST_BACKOFF: Final = 0.1
LONGEST_BACKOFF: Final = 30.0


@dataclass(slots=True, eq=False)
class Slot:
    """The place of one worker, and who holds it."""

    number: int
    listeners: list[Listener]
    current: WatchedWorker | None = None
    next: WatchedWorker | None = None  # it is starting, to take the place
    deaths: int = 0  # in a row, of workers that were not stable
    not_before: float = 0.0  # when another may be started


class Supervisor:
    """Keeps as many workers as the settings say doing `work`."""

    def __init__(self, config: Config, work: Work) -> None:
        self._config = config
        self._work = work
        self._listeners: list[Listener] = []
        self._own_listeners: list[Listener] = []  # with `reuse_port`: of single workers
        self._slots: list[Slot] = []
        self._leaving: list[WatchedWorker] = []  # they were told to end, and hold no place
        self._monitored = MonitoredWorkers(self._slots, self._leaving)
        self._changed = asyncio.Event()
        self._signals = 0  # that asked to stop
        self._stopping = False
        self._served = False  # some worker has been ready
        self._announced = False  # all of them were
        self._exit_code = 0
        self._stepped_at = time.monotonic()
        self._directory = os.getcwd()

    def run(self) -> int:
        """Supervise until a signal comes or no worker can start; returns the exit code."""
        with bound(self._config, activation=True) as self._listeners:
            for listener in self._listeners:
                listener.listen(self._config.backlog)
            return asyncio.run(self._run())

    async def _run(self) -> int:
        async with monitoring(self._config, self._monitored):
            return await self._supervise()

    async def _supervise(self) -> int:
        changes = code_changes(self._config) if self._config.reload else None
        count = worker_count(self._config)
        logger.info("asgiserve %s starts %s (Ctrl-C stops)", __version__, _in_words(count))
        self._handle_signals()
        for _ in range(count):
            self._add_slot()
        watching = asyncio.create_task(self._renew_on(changes)) if changes is not None else None
        try:
            while self._leaving or not self._stopping:
                try:
                    self._step()
                except Exception:
                    logger.exception("this should not happen; the workers go on")  # and so does the watch
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), TICK)
                self._changed.clear()
        finally:
            if watching is not None:
                watching.cancel()
            for listener in self._own_listeners:
                listener.socket.close()
        return self._exit_code

    def _workers(self) -> list[WatchedWorker]:
        """All that hold a place, or are about to."""
        return [worker for slot in self._slots for worker in (slot.current, slot.next) if worker is not None]

    # What comes from outside

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up, Terminal())
        loop.add_signal_handler(signal.SIGTTIN, self._scale, +1)
        loop.add_signal_handler(signal.SIGTTOU, self._scale, -1)
        loop.add_signal_handler(signal.SIGCHLD, self._changed.set)

    def _stop(self) -> None:
        """Let the workers drain; told a second and a third time, they hurry."""
        self._signals += 1
        self._stop_workers()
        if 1 < self._signals <= 3:
            for worker in self._leaving:
                worker.stop(self._signals)

    def _hang_up(self, terminal: Terminal) -> None:
        if terminal.gone:
            self._stop()
        else:
            self._renew("sighup", "SIGHUP")

    def _stop_workers(self) -> None:
        if not self._stopping:
            systemd.notify("STOPPING=1")
            # The workers alone have the sockets now: once they accept no more, connections are refused, and
            # go elsewhere, instead of waiting for a process that never takes them.
            for listener in (*self._listeners, *self._own_listeners):
                listener.socket.close()
        self._stopping = True
        self._monitored.stopping = True
        for worker in self._workers():
            self._leave(worker, worker.stop)
        self._changed.set()

    def _renew(self, kind: str, reason: str) -> None:
        """Let new workers take over from all that there are."""
        logger.info("%s: replacing the workers", reason)
        for slot in self._slots:
            slot.not_before = 0.0
            if slot.next is not None:
                self._leave(slot.next, slot.next.stop)
            if slot.current is not None:
                slot.current.outdated = Reason(kind, f"is replaced ({reason})")
        self._changed.set()

    async def _renew_on(self, changes: AsyncIterator[str]) -> None:
        async for names in changes:
            self._renew("reload", f"{names} changed")

    def _scale(self, change: int) -> None:
        """One worker more, or one less, but never none."""
        if self._stopping:
            return
        if change > 0:
            self._add_slot()
        elif len(self._slots) > 1:
            slot = self._slots.pop()
            for worker in (slot.current, slot.next):
                if worker is not None:
                    self._retire(worker)
            self._pass_on(slot.listeners)
        logger.info("%s from now on", _in_words(len(self._slots)))
        self._changed.set()

    def _pass_on(self, listeners: list[Listener]) -> None:
        """Let another worker serve queues that none has any more (`reuse_port`): somebody waits in them."""
        heir = self._slots[0]
        if orphaned := [listener for listener in listeners if listener not in heir.listeners]:
            heir.listeners = heir.listeners + orphaned
            if heir.next is not None:
                self._leave(heir.next, heir.next.stop)
            if heir.current is not None:
                heir.current.outdated = Reason("scaled", "is replaced (by one that serves another queue too)")

    def _add_slot(self) -> None:
        listeners = self._listeners
        if self._config.reuse_port == "on" and self._slots:
            listeners = [another(listener) for listener in self._listeners]
            self._own_listeners += listeners
        self._slots.append(Slot(len(self._slots) + 1, listeners))

    # What is to be done now

    def _step(self) -> None:
        now = time.monotonic()
        pause, self._stepped_at = now - self._stepped_at, now
        for worker in self._workers() + self._leaving:
            if pause > 1.0:  # it was this process that stood still, and could hear nobody
                worker.seen_at += pause
            if worker.exit_code is not None:
                self._ended(worker, worker.exit_code, now)
            else:
                self._inspect(worker, now)
        if not self._stopping:
            for slot in self._slots:
                self._fill(slot, now)
            if not self._announced and all(slot.current is not None for slot in self._slots):
                self._announced = True
                systemd.notify("READY=1")

    def _inspect(self, worker: WatchedWorker, now: float) -> None:
        """See whether a worker has to go."""
        if now > worker.kill_at:
            logger.error("%s does not end: killing it", worker)
            worker.kill()
            worker.kill_at = NEVER
        elif worker.outdated or worker in self._leaving:
            return
        elif reason := worker.why_stuck(self._config, now):
            logger.error("%s %s; its stacks:", worker, reason)
            worker.dump_stacks()
            worker.outdated = reason
            worker.stuck = True
            if not worker.ready_at:
                worker.kill_at = now + TICK
        else:
            worker.outdated = worker.why_due(self._config, now)

    def _fill(self, slot: Slot, now: float) -> None:
        """Start a worker for a place, or let it take over."""
        old, new = slot.current, slot.next
        if new is not None:
            if new.ready_at:
                slot.current, slot.next = new, None
                self._served = True
                logger.info("%s serves", new)
                if old is not None:
                    logger.info("%s drains: it %s", old, old.outdated or "is replaced")
                    if old.outdated is not None:
                        self._monitored.replaced(old.outdated.kind)
                    if now - old.ready_at >= STABLE:
                        slot.deaths = 0
                    self._retire(old)
                slot.not_before = now + SHORTEST_LIFE
            return
        # One is replaced after the other, so that memory is not needed twice.
        replacing = any(other.current is not None and other.next is not None for other in self._slots)
        if now >= slot.not_before and (old is None or (old.outdated and not replacing)):
            self._start(slot, now)

    def _start(self, slot: Slot, now: float) -> None:
        name = f"worker {slot.number}"
        try:
            if not _has_directory():
                os.chdir(self._directory)  # a deployment may have removed it, and made it anew
            slot.next = WatchedWorker(self._work, self._config, slot.listeners, name, self._changed.set)
        except OSError as error:
            logger.error("cannot start %s: %s", name, error)
            self._back_off(slot, now)
        else:
            logger.info("%s starts", slot.next)

    # Ends of workers

    def _retire(self, worker: WatchedWorker) -> None:
        """Let a worker drain whose place is taken, or no longer there."""
        # A developer wants nothing more of the old code: idle connections are not kept for a last request.
        gently = worker.ready_at and not self._config.reload
        self._leave(worker, worker.retire if gently else worker.stop)

    def _leave(self, worker: WatchedWorker, tell: Callable[[], None]) -> None:
        """Take its place from a worker, and tell it to end."""
        for slot in self._slots:
            if slot.current is worker:
                slot.current = None
            elif slot.next is worker:
                slot.next = None
        window = 0.0 if worker.stuck else self._config.shutdown_timeout or NEVER
        worker.kill_at = time.monotonic() + self._config.shutdown_delay + window + KILL_GRACE
        self._leaving.append(worker)
        tell()

    def _ended(self, worker: WatchedWorker, code: int, now: float) -> None:
        """A worker has ended: as it was told, or it died."""
        worker.close()
        self._monitored.ended(worker)
        if worker in self._leaving:
            self._leaving.remove(worker)
            logger.log(logging.WARNING if code else logging.INFO, "%s ended (%s)", worker, how_it_ended(code))
            return
        slot = next(slot for slot in self._slots if worker in (slot.current, slot.next))
        if slot.next is worker:
            slot.next = None
            logger.error("%s failed to start (%s)", worker, how_it_ended(code))
            self._monitored.replaced("not_started")
            if not self._served:
                self._exit_code = max(code, 1)
                self._stop_workers()
                return
            if slot.current is not None:
                logger.error("the workers that serve stay, until there is another reason to replace them")
                for running in self._workers():
                    running.outdated = None
        else:
            slot.current = None
            logger.error("%s died (%s): replacing it", worker, how_it_ended(code))
            self._monitored.replaced("died")
        if worker.ready_at and now - worker.ready_at >= STABLE:
            slot.deaths = 0
            slot.not_before = now
        else:
            self._back_off(slot, now)

    def _back_off(self, slot: Slot, now: float) -> None:
        """Put off the next start in a place where workers die, or give up."""
        slot.deaths += 1
        slot.not_before = now + min(FIRST_BACKOFF * 2 ** (slot.deaths - 1), LONGEST_BACKOFF)
        if all(slot.current is None and slot.deaths >= CRASH_LOOP for slot in self._slots):
            logger.critical("every worker has died %d times in a row: giving up", CRASH_LOOP)
            self._exit_code = 1
            self._stop_workers()


def worker_count(config: Config) -> int:
    """How many workers are asked for: one while an application is developed."""
    if config.reload:
        return 1
    return available_processors() if config.workers == "auto" else config.workers


def _in_words(count: int) -> str:
    return "1 worker" if count == 1 else f"{count} workers"


def _has_directory() -> bool:
    """Whether the working directory has not been removed."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True
