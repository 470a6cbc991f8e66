"""A worker as its parent sees it: a process, how far it has come, and why it is to go."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Final, NamedTuple

from ..config import Config
from ..deadlines import NEVER
from ..sockets.listeners import Listener
from ..types import Message
from .link import Link
from .worker import DUMP_STACKS

logger: Final = logging.getLogger("asgiserve.error")

#: What a worker process runs: settings, sockets, its end of the link to its parent, and its name.
Work = Callable[[Config, list[Listener], socket.socket, str], None]

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


class Reason(NamedTuple):
    """Why another worker is to take the place of one."""

    kind: str  # for the metrics
    text: str  # for the log

    def __str__(self) -> str:
        return self.text


class WatchedWorker:
    """One worker process, from its start to its end; times are those of `time.monotonic`."""

    def __init__(
        self,
        work: Work,
        config: Config,
        listeners: list[Listener],
        name: str,
        on_change: Callable[[], None],
    ) -> None:
        """Start the process; `on_change` is called when something new is known of it.

        Raises OSError if the system does not let it.
        """
        self.name = name
        self.started_at = time.monotonic()
        self.ready_at = 0.0  # when it began to serve; 0 until then
        self.seen_at = self.started_at  # when it last gave a sign of life
        self.outdated: Reason | None = None  # why another worker is to take its place
        self.kill_at = NEVER  # unless it has ended by then
        self.stuck = False  # its event loop does not turn
        self.report: dict[str, Any] = {}  # what it told of itself with its last sign of life
        self._on_change = on_change
        self._link: Link | None = None
        end, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = _spawn(work, (config, listeners, theirs, name))
            except OSError:
                end.close()
                raise
        self.pid = self._process.pid or 0
        self._opening = asyncio.create_task(self._open(end))

    async def _open(self, end: socket.socket) -> None:
        self._link = await Link.open(end, self._on_message, self._on_change)

    def _on_message(self, message: Message) -> None:
        kind = message.pop("kind")
        self.seen_at = time.monotonic()
        if kind == "ready":
            self.ready_at = self.seen_at
        elif kind == "alive":
            self.report = dict(message)
            return
        elif kind == "retire":
            self.outdated = self.outdated or Reason("max_requests", message["reason"])
        self._on_change()

    def why_stuck(self, config: Config, now: float) -> Reason | None:
        """Why it is thought to do nothing any more; None if it is not."""
        if not self.ready_at and 0 < config.startup_timeout < now - self.started_at:
            text = f"has not started within {config.startup_timeout:g} s (startup_timeout)"
            return Reason("not_started", text)
        if self.ready_at and 0 < config.worker_timeout < now - self.seen_at:
            text = f"has not turned its event loop for {config.worker_timeout:g} s (worker_timeout)"
            return Reason("worker_timeout", text)
        return None

    def why_due(self, config: Config, now: float) -> Reason | None:
        """Why it is time for another one; None if it is not."""
        if self.ready_at and 0 < config.worker_lifetime < now - self.ready_at:
            text = f"has served for {config.worker_lifetime:g} s (worker_lifetime)"
            return Reason("worker_lifetime", text)
        if 0 < config.max_worker_memory < (memory := self.memory()):
            return Reason("max_worker_memory", f"occupies {memory} bytes of memory (max_worker_memory)")
        return None

    def retire(self) -> None:
        """Tell it to drain, now that another worker has taken its place."""
        if self._link is not None:
            self._link.send("retire")

    def stop(self, times: int = 1) -> None:
        """Tell it to stop, as often as was said in all: the second time, at once.

        The signal is for one whose event loop does not turn, or not yet.
        """
        if self._link is not None:
            self._link.send("stop", times=times)
        self._process.terminate()

    def kill(self) -> None:
        """End it, whatever it does."""
        self._process.kill()

    def dump_stacks(self) -> None:
        """Let it write to standard error where its threads are."""
        os.kill(self.pid, DUMP_STACKS)

    @property
    def exit_code(self) -> int | None:
        """What it ended with, or minus the number of the signal that ended it; None while it runs."""
        return self._process.exitcode

    def close(self) -> None:
        """Let go of what belongs to a process that has ended."""
        if self._link is not None:
            self._link.read_rest()
            self._link.close()
        self._process.join()
        self._process.close()

    def memory(self) -> int:
        """Bytes of memory that it occupies now; 0 where the system does not tell."""
        try:
            return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE
        except OSError:
            return 0

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})"


def _spawn(work: Work, arguments: tuple[Any, ...]) -> SpawnProcess:
    """Start a fresh interpreter, with SIGINT blocked: the terminal's Ctrl-C is its parent's to hear."""
    process = multiprocessing.get_context("spawn").Process(target=work, args=arguments, name="asgiserve")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    return process


def how_it_ended(exit_code: int) -> str:
    """An exit code, or the signal that it stands for, in words."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"signal {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"signal {-exit_code}"
