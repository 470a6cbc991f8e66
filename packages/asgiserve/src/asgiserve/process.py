"""One process that serves: its event loop, its signals, its exit code.

Exit codes: 0 after a signal asked it to stop; 1 if it cannot listen, or crashed; 2 if the settings or the
application's name are wrong; 3 if the application failed to start.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Final

from .config import Config
from .errors import AsgiserveError, ConfigError
from .loading import load_application
from .logs import configure_logging
from .server import CANCEL_GRACE, Server
from .supervisor import Supervisor
from .types import ASGIApplication

logger: Final = logging.getLogger("asgiserve.error")


def run(app: str | ASGIApplication, **settings: Any) -> None:
    """Serve `app` until SIGINT or SIGTERM; `settings` are those of Config.

    Raises SystemExit with the exit code if the server could not start; the reason stands on standard error.
    """
    try:
        code = run_config(Config(app=app, **settings))
    except AsgiserveError as error:
        code = report(error)
    if code:
        sys.exit(code)


def run_config(config: Config) -> int:
    """Serve in this process, or in workers that it watches; returns the exit code."""
    configure_logging(config.log_level)
    if config.workers > 1 or config.reload:
        return Supervisor(config, run_worker).run()
    return run_process(config)


def run_worker(config: Config, sockets: list[socket.socket]) -> None:
    """Serve in a worker process; its parent alone hears the terminal's Ctrl-C, and when it dies, so do we."""
    configure_logging(config.log_level)
    # A handler, unlike SIG_IGN, is not passed on to the programs that the application starts.
    signal.signal(signal.SIGINT, lambda number, frame: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    code = run_process(config, sockets, signals=(signal.SIGTERM,))
    exit_soon(code)
    sys.exit(code)


def run_process(
    config: Config,
    sockets: list[socket.socket] | None = None,
    signals: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM),
) -> int:
    """Serve in an event loop of its own until one of `signals` comes; returns the exit code."""

    async def serve() -> None:
        # Before signals are handled, so that Ctrl-C interrupts an import that takes long.
        app = load_application(config.app, factory=config.factory, app_dir=config.app_dir)
        server = Server(dataclasses.replace(config, app=app, factory=False, workers=1, reload=False))
        with stopped_by(signals, server):
            await server.serve(sockets)

    try:
        loop = loop_factory(config.loop)()
        try:
            loop.run_until_complete(serve())
        finally:
            close_loop(loop)
    except AsgiserveError as error:
        return report(error)
    except KeyboardInterrupt:
        pass
    return 0


@contextlib.contextmanager
def stopped_by(signals: tuple[signal.Signals, ...], server: Server) -> Iterator[None]:
    """Stop `server` at one of `signals`, or when the parent of this worker dies."""
    loop = asyncio.get_running_loop()
    came = 0

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came += 1
        if came > 1 and not server.stopping:
            raise KeyboardInterrupt  # the loop is blocked, and will not call anything
        loop.call_soon_threadsafe(server.stop)

    def on_orphaned(sentinel: int) -> None:
        loop.remove_reader(sentinel)
        logger.error("the parent process has died: stopping")
        server.stop()

    # Not loop.add_signal_handler: its handlers wait for the loop.
    before = {number: signal.signal(number, on_signal) for number in signals}
    parent = multiprocessing.parent_process()
    if parent is not None:
        loop.add_reader(parent.sentinel, on_orphaned, parent.sentinel)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def exit_soon(code: int) -> None:
    """End the process even if a thread of the application does not; Python would wait for it for ever."""

    def exit_now() -> None:
        names = [thread.name for thread in threading.enumerate() if not thread.daemon]
        logger.error("these threads do not end, and are given up: %s", ", ".join(names))
        os._exit(code)

    timer = threading.Timer(CANCEL_GRACE, exit_now)
    timer.daemon = True
    timer.start()


def close_loop(loop: asyncio.AbstractEventLoop) -> None:
    """Close an event loop like asyncio.Runner, but without waiting for ever for what will not end."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    _wait_for_end(loop, tasks)
    _wait_for_end(loop, {loop.create_task(loop.shutdown_asyncgens(), name="closing of generators")})
    loop.close()


def _wait_for_end(loop: asyncio.AbstractEventLoop, tasks: set[asyncio.Task[Any]]) -> None:
    """Run the loop until `tasks` have ended, or their time is up."""
    if tasks:
        _, pending = loop.run_until_complete(asyncio.wait(tasks, timeout=CANCEL_GRACE))
        for task in pending:
            logger.error("this does not end, and is given up: %r", task)


def loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """The event loop called `name`; raises ConfigError if it is not installed."""
    if name != "asyncio":
        try:
            import uvloop
        except ImportError:
            if name == "uvloop":
                raise ConfigError("loop: uvloop is not installed; pip install uvloop") from None
        else:
            factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
            return factory
    return asyncio.new_event_loop


def report(error: AsgiserveError) -> int:
    """Say on standard error why the server cannot go on; returns the exit code."""
    print(f"asgiserve: {error}", file=sys.stderr)
    return error.exit_code
