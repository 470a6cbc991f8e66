"""Calling an application by hand, where an HTTP client cannot reach: disconnects, odd scopes, messages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import httpx

from asgiweb import Application
from asgiweb.asgi import ASGIApplication, Message, Scope


def client_of(app: Application[Any]) -> httpx.AsyncClient:
    """Return a client whose requests the application answers, and which sees the exceptions it lets out."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def http_scope(path: str = "/", method: str = "GET", **changes: Any) -> Scope:
    """Return the scope of a request, as a server without extensions makes it."""
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"test")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    scope.update(changes)
    return scope


class Exchange:
    """One request, and what the application sends for it.

    The client sends ``body`` piece by piece. With ``leaves`` it is gone after these; without, it stays until
    ``leave()``. ``send()`` raises ``send_error`` once ``sends`` messages went through.
    """

    def __init__(
        self,
        scope: Scope | None = None,
        *,
        body: Iterable[bytes] = (b"",),
        leaves: bool = False,
        sends: int | None = None,
        send_error: Exception | None = None,
    ) -> None:
        self.scope = http_scope() if scope is None else scope
        self.sent: list[Message] = []
        self.received = 0
        self._pieces = list(body)
        self._left = asyncio.Event()
        self._leaves = leaves
        self._sends = sends
        self._send_error = send_error

    def leave(self) -> None:
        """Let the client go."""
        self._left.set()

    async def receive(self) -> Message:
        self.received += 1
        if self._pieces:
            piece = self._pieces.pop(0)
            more = bool(self._pieces) or self._leaves
            return {"type": "http.request", "body": piece, "more_body": more}
        if not self._leaves:
            await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._send_error is not None and len(self.sent) == self._sends:
            raise self._send_error
        self.sent.append(message)
        await asyncio.sleep(0)

    async def run(self, app: ASGIApplication) -> Exchange:
        """Let the application answer, to the end."""
        await app(self.scope, self.receive, self.send)
        return self

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> Mapping[str, str]:
        return {name.decode(): value.decode("latin-1") for name, value in self.sent[0]["headers"]}

    @property
    def header_pairs(self) -> list[tuple[bytes, bytes]]:
        return list(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def complete(self) -> bool:
        """Whether the response came to its end."""
        return len(self.sent) > 1 and not self.sent[-1].get("more_body", False)
