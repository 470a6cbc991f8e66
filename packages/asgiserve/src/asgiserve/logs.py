"""Logging: who writes where, and the access log.

The server's own lines go to the logger ``asgiserve.error`` and on to standard error; a line for each
request goes to ``asgiserve.access`` and on to standard output. The root logger is the application's.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
from typing import Final, TextIO

from .config import Config
from .outcome import Outcome

#: Client, method, target, version, status, bytes, milliseconds, and why a response is incomplete.
_LINE: Final = '%s "%s %s HTTP/%s" %s %d %.1fms%s'

access_logger: Final = logging.getLogger("asgiserve.access")


def configure_logging(config: Config) -> None:
    """Give the server's two loggers their streams, in place of any that were set before."""
    for name, stream, form in (
        ("asgiserve", sys.stderr, "%(asctime)s [%(process)d] %(levelname)s: %(message)s"),
        ("asgiserve.access", sys.stdout, "%(asctime)s [%(process)d] %(message)s"),
    ):
        handler = TurnHandler(stream)
        handler.setFormatter(logging.Formatter(form, "%Y-%m-%d %H:%M:%S"))
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(config.log_level.upper())
        logger.propagate = False


class TurnHandler(logging.StreamHandler[TextIO]):
    """A handler that takes the access log of one turn of the event loop at once."""

    def write_lines(self, lines: list[str]) -> None:
        """Write a record whose message has several lines, each of which looks like a record of its own."""
        record = access_logger.makeRecord(access_logger.name, logging.INFO, "", 0, "", (), None)
        record.msg = f"\n{self.format(record)}".join(lines)
        self.handle(record)


class AccessLog:
    """One line at the end of each response: client, request, status, bytes, duration; and who left early.

    A record of `logging`, its formatting and its write cost 20 µs, more than the request itself. So, as long
    as the server's own handler is the only one, the lines of one turn of the event loop make one record.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._lines: list[str] = []

    def flush(self) -> None:
        """Write the lines of this turn."""
        lines, self._lines = self._lines, []
        handler = _own_handler()
        if handler is None:
            for line in lines:
                access_logger.info("%s", line)
        elif lines:
            handler.write_lines(lines)

    def write(self, outcome: Outcome) -> None:
        """Log a request that is over."""
        if not access_logger.isEnabledFor(logging.INFO):
            return
        entry = (
            outcome.endpoints,
            outcome.method,
            outcome.target,
            outcome.fields.http_version,
            outcome.head.status if outcome.head is not None else "-",
            outcome.size,
            outcome.seconds * 1000,
            f" ({outcome.mark})" if outcome.mark else "",
        )
        if _own_handler() is None:
            access_logger.info(_LINE, *entry)
            return
        if not self._lines:
            self._loop.call_soon(self.flush, context=self._context)
        self._lines.append(_LINE % entry)


def _own_handler() -> TurnHandler | None:
    """The handler of `configure_logging`, unless somebody has changed what becomes of the access log."""
    handlers = access_logger.handlers
    if len(handlers) != 1 or access_logger.propagate or access_logger.filters:
        return None
    handler = handlers[0]
    return handler if isinstance(handler, TurnHandler) else None
