"""Certificates that change on disk while the server runs: looked at from time to time, and read again.

Whatever has changed, a whole new context is made from the settings, and handshakes begin in it from then on.
To load the new files into the context in use would not do: it would keep the old certificate beside a new one
with another kind of key, trust authorities that are gone from their file, and resume the sessions of their
clients.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import Iterator
from typing import Final, TypeAlias

from ..config import Config
from ..errors import ConfigError
from .certificates import Certificates
from .extension import ServerContext

logger: Final = logging.getLogger("asgiserve.error")

#: Seconds between two looks at the files. A change is acted on when two looks in a row have seen the same: a
#: certificate and its key are replaced one after the other.
INTERVAL: Final = 2.0

#: What tells one state of a file from another; None for one that is not there.
_State: TypeAlias = tuple[int, ...] | None


class CurrentContext(ssl.SSLContext):
    """What an event loop listens with: each handshake begins in the context that is current then."""

    current: ServerContext

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """Begin a connection."""
        return self.current.wrap_bio(incoming, outgoing, server_side, server_hostname, session)


class Renewal:
    """Keeps the certificates of new connections up to date; raises ConfigError for unusable ones at first."""

    def __init__(self, config: Config) -> None:
        self._certificates = Certificates(config)
        self._files = self._certificates.files
        self._seen = self._tried = self._states()
        self.context = CurrentContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.current = self._certificates.context()

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Look at the files from time to time, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(INTERVAL, self._look)
        try:
            yield
        finally:
            self._timer.cancel()

    def reload(self) -> None:
        """Read the files again, now; while they cannot be used, what was read before stays in use."""
        self._tried = self._states()  # before they are read: the next look sees what changes meanwhile
        try:
            self.context.current = self._certificates.context()
        except ConfigError as error:
            logger.error("the certificates in use stay: %s", error)
        else:
            logger.info("the certificates were read again, for new connections")

    def _look(self) -> None:
        self._timer = self._loop.call_later(INTERVAL, self._look)
        states = self._states()
        if states == self._seen and states != self._tried:
            self.reload()
        self._seen = states

    def _states(self) -> list[_State]:
        return [_state(file) for file in self._files]


def _state(file: str) -> _State:
    """The state of what a path leads to, through links: certbot and Kubernetes replace those.

    With the time of the last change of its attributes: a key may be written first, and become readable later.
    """
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
