"""The access log: a line at the end of each response, in the format that the settings ask for."""

from __future__ import annotations

import asyncio
import contextvars
import logging

from ..outcome import Outcome
from .formats import DEFAULT, compile_format, default_entry
from .loggers import TurnHandler, access_logger


class AccessLog:
    """Takes the outcome of each request, and writes lines.

    A record of `logging`, its formatting and its write cost 20 µs, more than the request itself. So, as long
    as the server's own handler is the only one, the lines of one turn of the event loop make one record.
    Other handlers get a record for each request, at once.
    """

    def __init__(self, form: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._form = form
        self._plain_line = compile_format(form)
        handler = _own_handler()
        self._line = compile_format(form, colored=handler is not None and handler.colored)
        self._lines: list[str] = []  # of this turn

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
        if not self._lines:  # the first one of this turn: what was found then holds for the others
            if not access_logger.isEnabledFor(logging.INFO):
                return
            if _own_handler() is None:
                self._hand_over(outcome)
                return
            self._loop.call_soon(self.flush, context=self._context)
        self._lines.append(self._line(outcome))

    def _hand_over(self, outcome: Outcome) -> None:
        """Make a record of its own; with the format `default`, what it shows are the record's arguments."""
        if self._form == "default":
            access_logger.info(DEFAULT, *default_entry(outcome))
        else:
            access_logger.info("%s", self._plain_line(outcome))


def _own_handler() -> TurnHandler | None:
    """The handler of `configure_logging`, unless somebody has changed what becomes of the access log."""
    handlers = access_logger.handlers
    if len(handlers) != 1 or access_logger.propagate or access_logger.filters:
        return None
    handler = handlers[0]
    return handler if isinstance(handler, TurnHandler) else None
