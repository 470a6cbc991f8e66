"""Every exception that leaves this package.

Exception
├── AsgiserveError        the server cannot start or go on; carries the exit code of the process
│   ├── ConfigError       a setting is wrong                                      (2)
│   ├── LoadError         the application cannot be found, imported or called     (2)
│   ├── BindError         an address cannot be listened on                        (1)
│   └── StartupFailed     the application's lifespan refused to start             (3)
├── RequestRefused        what a client sent cannot be served; carries the status to answer with
└── OSError
    └── ClientDisconnected    raised by ``send()`` when nobody is there to read
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus


class AsgiserveError(Exception):
    """The server cannot start or go on; ``exit_code`` is what the process ends with."""

    exit_code = 1


class ConfigError(AsgiserveError):
    """A setting has the wrong type, an impossible value, or contradicts another one."""

    exit_code = 2


class LoadError(AsgiserveError):
    """The application that was named cannot be found, imported or called."""

    exit_code = 2


class BindError(AsgiserveError):
    """An address cannot be listened on: in use, forbidden, or not of this machine."""


class StartupFailed(AsgiserveError):
    """The application answered ``lifespan.startup.failed`` (ASGI lifespan 2.0)."""

    exit_code = 3


class RequestRefused(Exception):
    """A request that is answered by the server itself, with ``status``, and never reaches the application."""

    def __init__(self, status: HTTPStatus, reason: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers  # that the answer has beside the usual ones


class ClientDisconnected(OSError):
    """The client has left: raised by ``send()`` (ASGI HTTP 2.4), and not an error of the application."""
