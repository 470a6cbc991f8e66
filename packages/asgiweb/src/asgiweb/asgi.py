"""The shapes of ASGI 3 (https://asgi.readthedocs.io), as far as types can tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApplication: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class Address(NamedTuple):
    """Where a client's connection comes from; ``port`` is 0 where there is none."""

    host: str
    port: int


HeaderPair: TypeAlias = tuple[bytes, bytes]

#: Where in a scope a test client puts a list for the application's faults, which are only logged otherwise.
FAULTS = "asgiweb.faults"

#: Where in a lifespan's scope an application finds the shutdown of the one that it is mounted in.
SHUTDOWN = "asgiweb.shutdown"
