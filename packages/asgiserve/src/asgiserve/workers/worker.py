"""A worker: one process that serves, started and watched by a parent (`supervisor`)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import faulthandler
import logging
import multiprocessing
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator
from typing import Final

from ..config import Config
from ..errors import AsgiserveError
from ..logs.loggers import configure_logging
from ..process import exit_soon, report, run_process
from ..server import Server
from ..sockets.listeners import Listener
from ..types import Message
from .link import Link

logger: Final = logging.getLogger("asgiserve.error")

#: Seconds between two signs of life, or less if they are waited for less long.
HEARTBEAT: Final = 1.0

#: Seconds beyond the shutdown timeout before a worker is killed.
KILL_GRACE: Final = 5.0

#: The signal at which a worker writes the stacks of its threads to standard error, whatever it is stuck in.
DUMP_STACKS: Final = signal.SIGUSR1


def run_worker(config: Config, listeners: list[Listener], end: socket.socket, name: str) -> None:
    """Serve in this process, which was spawned for it, until the parent wants it to end, or ends itself."""
    multiprocessing.current_process().name = name  # for the log
    try:
        configure_logging(config)
    except AsgiserveError as error:
        sys.exit(report(error))
    _end_after_parent(config.shutdown_timeout)
    _set_title(f"asgiserve: {name} {config.app}")
    faulthandler.enable()
    faulthandler.register(DUMP_STACKS, all_threads=True)
    # They are the parent's to hear, when they come from the terminal. A handler, unlike SIG_IGN, is not
    # passed on to the programs that the application starts.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    code = run_process(
        dataclasses.replace(config, metrics=None),  # the parent serves them
        listeners,
        signals=(signal.SIGTERM,),
        beside=lambda server: _linked(server, config, end),
    )
    # The parent's signal may come after its message, which has ended the server; a handler in Python is
    # undone while the interpreter ends, and the signal would count as the reason.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    exit_soon(code)
    sys.exit(code)


@contextlib.asynccontextmanager
async def _linked(server: Server, config: Config, end: socket.socket) -> AsyncIterator[None]:
    """Tell the parent how `server` fares, and do what it says."""
    worker = LinkedWorker(server, config)
    await worker.open(end)
    try:
        yield
    finally:
        worker.close()


class LinkedWorker:
    """What a worker does for its parent while it serves."""

    def __init__(self, server: Server, config: Config) -> None:
        self._server = server
        self._parent = os.getppid()
        self._most_requests = config.max_requests and (
            config.max_requests + random.randint(0, config.max_requests_jitter)
        )
        self._heartbeat = min(HEARTBEAT, config.worker_timeout / 4) if config.worker_timeout else HEARTBEAT
        if self._most_requests:
            server.after_requests(self._most_requests, self._ask_to_retire)
        server.measured = config.metrics is not None
        self._closed = False
        self._stops = 0  # how often the server was told to stop
        self._link: Link
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, end: socket.socket) -> None:
        """Begin to talk to the parent."""
        self._link = await Link.open(end.dup(), self._on_message, self._on_orphaned)
        self._tasks = [asyncio.create_task(self._tell_ready()), asyncio.create_task(self._beat())]

    def close(self) -> None:
        """Say no more."""
        self._closed = True
        self._link.send("alive", **self._server.report())
        for task in self._tasks:
            task.cancel()
        self._link.close()

    async def _tell_ready(self) -> None:
        await self._server.started.wait()
        self._link.send("ready")

    async def _beat(self) -> None:
        while True:
            report = self._server.report()
            self._link.send("alive", **report)
            if 0 < self._most_requests <= report["requests"]:
                self._ask_to_retire()  # again: another worker may not have started
            if os.getppid() != self._parent:
                self._on_orphaned()
            await asyncio.sleep(self._heartbeat)

    def _ask_to_retire(self) -> None:
        self._link.send("retire", reason=f"has had {self._most_requests} requests (max_requests)")

    def _on_message(self, message: Message) -> None:
        if message["kind"] == "retire":
            self._server.retire()
        elif message["kind"] == "stop":
            # The first time, SIGTERM may have said so as well; nobody else says it twice to a worker.
            self._stops = max(self._stops, int(self._server.stopping))
            for _ in range(self._stops, message["times"]):
                self._stops += 1
                self._server.stop()

    def _on_orphaned(self) -> None:
        if not self._closed and not self._server.stopping:
            logger.error("the parent process has died: stopping")
            self._server.stop()


def _end_after_parent(window: float) -> None:
    """End this process some time after its parent, whatever blocks its event loop."""
    parent = multiprocessing.parent_process()
    if parent is None or not window:
        return

    def watch() -> None:
        parent.join()
        time.sleep(window + KILL_GRACE)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="asgiserve: end after the parent", daemon=True).start()


def _set_title(title: str) -> None:
    """Show `title` in ``ps``, where setproctitle is installed."""
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(title)
