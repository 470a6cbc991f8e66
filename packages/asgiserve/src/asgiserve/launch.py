"""From settings to an exit code: serving in this process, or in workers that it watches.

Exit codes: 0 after a signal asked it to stop; 1 if it cannot listen, or crashed; 2 if the settings or the
application's name are wrong; 3 if the application failed to start.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from .config import Config
from .errors import AsgiserveError
from .logs.loggers import configure_logging
from .process import report, run_process
from .tls.certificates import Certificates
from .types import ASGIApplication
from .workers.supervisor import Supervisor
from .workers.worker import run_worker


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
    _open_standard_streams()
    configure_logging(config)
    if config.supervised:
        if config.ssl_certfile is not None:
            Certificates(config).context()  # what is wrong is told once, and before anything listens
        return Supervisor(config, run_worker).run()
    return run_process(config)


def _open_standard_streams() -> None:
    """Let those of the standard streams that are closed lead nowhere: sockets would get their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
            setattr(sys, name, os.fdopen(number, "w" if number else "r", closefd=False))
