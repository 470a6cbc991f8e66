"""Logging: who writes where, and the access log.

The server's own lines go to the logger ``asgiserve.error`` and on to standard error; a line for each
request goes to ``asgiserve.access`` and on to standard output. The root logger is the application's.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .http1.scope import Endpoints

access_logger: Final = logging.getLogger("asgiserve.access")


def configure_logging(level: str) -> None:
    """Give the server's two loggers their streams, in place of any that were set before."""
    for name, stream, form in (
        ("asgiserve", sys.stderr, "%(asctime)s [%(process)d] %(levelname)s: %(message)s"),
        ("asgiserve.access", sys.stdout, "%(asctime)s [%(process)d] %(message)s"),
    ):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter(form, "%Y-%m-%d %H:%M:%S"))
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False


class AccessLog:
    """One line at the end of each response: client, request, status, bytes, duration; and who left early."""

    def write(
        self,
        client: Endpoints,
        request: tuple[str, str, str],
        status: int | None,
        size: int,
        started_at: float,
        mark: str,
    ) -> None:
        """Log an exchange that is over: `request` is method, target and version of HTTP.

        `status` is None if the head of the response was never written, `size` the bytes of its body that
        were. `mark` says why a response is incomplete, and is empty for one that is whole.
        """
        access_logger.info(
            '%s "%s %s HTTP/%s" %s %d %.1fms%s',
            client,
            *request,
            "-" if status is None else status,
            size,
            (time.monotonic() - started_at) * 1000,
            f" ({mark})" if mark else "",
        )
