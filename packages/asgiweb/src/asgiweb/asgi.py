"""The shapes of ASGI 3 (https://asgi.readthedocs.io), as far as types can tell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApplication: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

HeaderPair: TypeAlias = tuple[bytes, bytes]

#: Where in a scope a test client puts a list for the application's faults, which are only logged otherwise.
FAULTS = "asgiweb.faults"
