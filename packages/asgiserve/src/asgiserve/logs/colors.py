"""Colours of the log: what is painted how, and whether at all."""

from __future__ import annotations

import copy
import logging
import os
from typing import Final, Literal, TextIO

_RESET: Final = "\x1b[0m"
_BOLD_RED: Final = "\x1b[1;31m"
_RED: Final = "\x1b[31m"
_GREEN: Final = "\x1b[32m"
_YELLOW: Final = "\x1b[33m"
_CYAN: Final = "\x1b[36m"

_LEVELS: Final = {
    "DEBUG": _CYAN,
    "INFO": _GREEN,
    "WARNING": _YELLOW,
    "ERROR": _RED,
    "CRITICAL": _BOLD_RED,
}

#: By the first digit; no response at all has the ``-``.
_STATUSES: Final = {"1": _GREEN, "2": _GREEN, "3": _CYAN, "4": _YELLOW, "5": _RED, "-": _RED}


def are_wanted(setting: Literal["auto", "on", "off"], stream: TextIO | None) -> bool:
    """Whether to write in colour to `stream`: with `auto`, to a terminal of somebody who did not refuse.

    NO_COLOR refuses (https://no-color.org), and a terminal that calls itself dumb has none.
    """
    if setting != "auto" or stream is None:
        return setting == "on"
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint_status(status: str) -> str:
    """A status in the colour of its class."""
    return f"{_STATUSES.get(status[0], '')}{status}{_RESET}"


class ColorFormatter(logging.Formatter):
    """A formatter that paints the names of levels."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (a name of logging)
        """The line of a record, without its traceback."""
        painted = copy.copy(record)
        painted.levelname = f"{_LEVELS.get(record.levelname, '')}{record.levelname}{_RESET}"
        return super().formatMessage(painted)
