"""One process that serves: its event loop, its signals, its exit code.

Exit codes: 0 after a signal asked it to stop; 1 if it cannot listen, or crashed; 2 if the settings or the
application's name are wrong; 3 if the application failed to start.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from .config import Config
from .errors import AsgiserveError, ConfigError
from .logs import configure_logging
from .server import Server
from .supervisor import Supervisor
from .types import ASGIApplication


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
    """Serve in a worker process; its parent alone hears the terminal's Ctrl-C."""
    configure_logging(config.log_level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(run_process(config, sockets, signals=(signal.SIGTERM,)))


def run_process(
    config: Config,
    sockets: list[socket.socket] | None = None,
    signals: tuple[signal.Signals, ...] = (signal.SIGINT, signal.SIGTERM),
) -> int:
    """Serve in an event loop of its own until one of `signals` comes; returns the exit code."""

    async def serve() -> None:
        server = Server(config)
        loop = asyncio.get_running_loop()
        for number in signals:
            loop.add_signal_handler(number, server.stop)
        await server.serve(sockets)

    try:
        with asyncio.Runner(loop_factory=loop_factory(config.loop)) as runner:
            runner.run(serve())
    except AsgiserveError as error:
        return report(error)
    return 0


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
