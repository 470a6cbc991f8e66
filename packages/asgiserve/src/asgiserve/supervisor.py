"""The parent of several workers, or of one that is restarted when the code changes.

It binds the sockets, so that all workers share them, starts the workers as fresh interpreters (spawn),
replaces those that die, and passes signals on. It never runs the application itself.
"""

from __future__ import annotations

import logging
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Final

from ._version import __version__
from .config import Config
from .errors import ConfigError
from .listeners import bound

logger: Final = logging.getLogger("asgiserve.error")

#: Seconds between two looks at workers, files and signals.
POLL: Final = 0.2

#: Seconds before a worker that died is replaced.
BACKOFF: Final = 1.0

#: Seconds beyond the shutdown timeout before a worker is killed.
KILL_GRACE: Final = 5.0

#: Exit codes of a worker that would fail again: wrong settings or application, failed startup.
HOPELESS: Final = (2, 3)

Work = Callable[[Config, list[socket.socket]], None]


class Supervisor:
    """Keeps `config.workers` processes doing `work`."""

    def __init__(self, config: Config, work: Work) -> None:
        self._config = config
        self._work = work
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[SpawnProcess] = []
        self._sockets: list[socket.socket] = []
        self._signals = 0
        self._exit_code = 0

    def run(self) -> int:
        """Supervise until a signal comes or the workers cannot start; returns the exit code."""
        config = self._config
        changes = (
            _code_changes(config.reload_dir or (config.app_dir or ".",)) if config.reload else _no_changes()
        )
        with bound(config) as self._sockets:
            for sock in self._sockets:
                sock.listen(config.backlog)
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._on_signal)
            logger.info("asgiserve %s starts %d workers (Ctrl-C stops them)", __version__, config.workers)
            self._workers = [self._start() for _ in range(config.workers)]
            while not self._signals and not self._exit_code:
                if next(changes):
                    logger.info("the code has changed: restarting")
                    self._stop()
                    self._workers = [self._start() for _ in range(config.workers)]
                elif not config.reload:
                    self._replace_dead()
            self._stop()
        return self._exit_code

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _start(self) -> SpawnProcess:
        worker = self._context.Process(
            target=self._work, args=(self._config, self._sockets), name="asgiserve"
        )
        # The terminal's Ctrl-C is ours to hear: a worker starts with it blocked.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            worker.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        logger.info("worker %d started", worker.pid)
        return worker

    def _replace_dead(self) -> None:
        for index, worker in enumerate(self._workers):
            code = worker.exitcode
            if code is None or self._signals:
                continue
            if code in HOPELESS:
                self._exit_code = code
                return
            logger.error("worker %d ended with exit code %d; starting another", worker.pid, code)
            time.sleep(BACKOFF)
            self._workers[index] = self._start()

    def _stop(self) -> None:
        """Let the workers drain; a second signal is passed on, and the window ends in a kill."""
        window = self._config.shutdown_timeout
        ends = time.monotonic() + window + KILL_GRACE if window else float("inf")
        passed_on = 0
        while running := [worker for worker in self._workers if worker.exitcode is None]:
            if passed_on < max(1, min(self._signals, 2)):
                passed_on += 1
                for worker in running:
                    worker.terminate()
            if time.monotonic() > ends:
                for worker in running:
                    logger.error("worker %d did not stop: killing it", worker.pid)
                    worker.kill()
            wait([worker.sentinel for worker in running], POLL)


def _no_changes() -> Iterator[bool]:
    while True:
        time.sleep(POLL)
        yield False


def _code_changes(directories: tuple[str, ...]) -> Iterator[bool]:
    """Whether a Python file below `directories` has changed, each POLL seconds."""
    try:
        from watchfiles import PythonFilter, watch
    except ImportError:
        raise ConfigError("reload: watchfiles is not installed; pip install 'asgiserve[reload]'") from None
    return map(
        bool,
        watch(
            *directories,
            watch_filter=PythonFilter(),
            rust_timeout=int(POLL * 1000),
            yield_on_timeout=True,
            raise_interrupt=False,
        ),
    )
