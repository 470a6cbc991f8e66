"""One process that serves: its event loop, its signals, its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import Any, Final

from .config import UNSUPERVISED, Config
from .errors import AsgiserveError, ConfigError, LoadError, StartupFailed
from .failure import failing_application
from .loading import load_application
from .server import CANCEL_GRACE, Server
from .sockets.listeners import Listener, bound
from .sockets.systemd import told_of
from .terminal import Terminal
from .types import ASGIApplication

logger: Final = logging.getLogger("asgiserve.error")


#: Seconds from the first signal on after which a loop that has not turned is taken for blocked.
BLOCKED: Final = 0.5

#: What runs beside a server, from before it starts until it has ended.
Beside = Callable[[Server], contextlib.AbstractAsyncContextManager[None]]


def run_process(
    config: Config,
    listeners: list[Listener] | None = None,
    signals: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM),
    beside: Beside | None = None,
) -> int:
    """Serve in an event loop of its own until one of `signals` comes; returns the exit code."""

    async def serve(app: ASGIApplication) -> None:
        server = Server(dataclasses.replace(config, app=app, factory=False, **UNSUPERVISED))
        alone = beside is None
        server.role = "(Ctrl-C stops it)" if alone else "as a worker"
        # A group of processes that gets a signal as a whole means it once; the parent tells if it means more.
        with (
            stopped_by(signals, server, escalates=alone),
            renewed_by_hangup(server),
            contextlib.ExitStack() as at_end,
        ):
            sockets = at_end.enter_context(bound(config, activation=True)) if listeners is None else listeners
            async with (beside or told_of)(server):
                await server.serve(sockets)

    try:
        loop = loop_factory(config.loop)()
        try:
            loop.run_until_complete(_load(config, serve))
        finally:
            close_loop(loop)
    except AsgiserveError as error:
        return report(error)
    except KeyboardInterrupt:
        pass
    return 0


async def _load(config: Config, serve: Callable[[ASGIApplication], Awaitable[None]]) -> None:
    """Load the application and serve it; while it is developed, serve the reason why it does not start."""
    try:
        # Before signals are handled, so that Ctrl-C interrupts an import that takes long.
        await serve(load_application(config.app, factory=config.factory, app_dir=config.app_dir))
    except (LoadError, StartupFailed) as error:
        if not config.reload:
            raise
        report(error)
        await serve(failing_application(error))


@contextlib.contextmanager
def stopped_by(
    signals: tuple[signal.Signals, ...], server: Server, *, escalates: bool = True
) -> Iterator[None]:
    """Stop `server` at one of `signals`, and at once at the second if that `escalates`.

    The second one always interrupts an application that blocks the loop.
    """
    loop = asyncio.get_running_loop()
    came: list[float] = []

    def on_signal(number: int, frame: FrameType | None) -> None:
        came.append(time.monotonic())
        if len(came) > 1 and not server.stopping:
            if came[-1] - came[0] >= BLOCKED:
                raise KeyboardInterrupt
            # On a busy machine the loop may just not have had its turn: ask once more a little later.
            timer = threading.Timer(BLOCKED, again, (number,))
            timer.daemon = True
            timer.start()
        loop.call_soon_threadsafe(stop)

    def stop() -> None:
        if escalates or not server.stopping:
            server.stop()

    def again(number: int) -> None:
        if not server.stopping:
            os.kill(os.getpid(), number)

    # Not loop.add_signal_handler: its handlers wait for the loop.
    before = {number: signal.signal(number, on_signal) for number in signals}
    try:
        yield
    finally:
        for number, handler in before.items():
            # A worker may have stopped because of its parent's message, and the signal comes now.
            signal.signal(number, handler if escalates else _do_nothing)


def _do_nothing(number: int, frame: FrameType | None) -> None:
    pass


@contextlib.contextmanager
def renewed_by_hangup(server: Server) -> Iterator[None]:
    """Let `server` read its certificates again at SIGHUP, unless somebody else here has a use for that.

    SIGHUP also comes when a terminal is closed: then a server that was started in it stops.
    """
    if signal.getsignal(signal.SIGHUP) not in (signal.SIG_DFL, signal.SIG_IGN):
        yield
        return
    loop = asyncio.get_running_loop()
    terminal = Terminal()

    def on_hangup(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(server.stop if terminal.gone else server.reload_certificates)

    before = signal.signal(signal.SIGHUP, on_hangup)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


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
