"""The terminal that a server was started from: when it is closed, that arrives as SIGHUP, too."""

from __future__ import annotations

import os
import signal


class Terminal:
    """Tells a SIGHUP that somebody sends from one that says that the terminal is gone."""

    def __init__(self) -> None:
        # `nohup` lets a program start with the signal ignored: it is to outlive the terminal.
        self._matters = _is_there() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN

    @property
    def gone(self) -> bool:
        """Whether the server was started from a terminal, and that has been closed."""
        return self._matters and not _is_there()


def _is_there() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True
