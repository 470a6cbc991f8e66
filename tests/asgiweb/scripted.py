"""A websocket server that does what a test says: what it gives, and what becomes of what it is sent."""

from __future__ import annotations

import asyncio
from typing import Any

from asgiweb.asgi import FAULTS, ASGIApplication, Message, Scope


def websocket_scope(path: str = "/", **changes: Any) -> Scope:
    """Return the scope of a websocket, as a server without extensions makes it."""
    scope: Scope = {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"test")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "subprotocols": [],
    }
    scope.update(changes)
    return scope


class ScriptedServer:
    """One websocket. ``send()`` raises an OSError from the moment on that ``lost`` is set."""

    def __init__(self, *received: Message, scope: Scope | None = None) -> None:
        self.scope = websocket_scope() if scope is None else scope
        self.sent: list[Message] = []
        self.lost = False
        self.receiving = 0
        self._received: asyncio.Queue[Message] = asyncio.Queue()
        for message in ({"type": "websocket.connect"}, *received):
            self._received.put_nowait(message)

    def give(self, message: Message) -> None:
        """Let the application receive one more message."""
        self._received.put_nowait(message)

    def left(self) -> int:
        """Return how many messages the application has not received."""
        return self._received.qsize()

    async def receive(self) -> Message:
        self.receiving += 1
        try:
            return await self._received.get()
        finally:
            self.receiving -= 1

    async def send(self, message: Message) -> None:
        await asyncio.sleep(0)
        if self.lost:
            raise ConnectionResetError("the client has left")
        self.sent.append(message)

    async def run(self, app: ASGIApplication) -> ScriptedServer:
        """Let the application run to its end. Raises what a handler asserts, which is but a fault for it."""
        faults: list[Exception] = []
        await app({**self.scope, FAULTS: faults}, self.receive, self.send)
        for fault in faults:
            if isinstance(fault, (AssertionError, ExceptionGroup)):
                raise fault
        return self

    @property
    def types(self) -> list[str]:
        return [message["type"].removeprefix("websocket.") for message in self.sent]


def text(text: str) -> Message:
    return {"type": "websocket.receive", "text": text}


def data(data: bytes) -> Message:
    return {"type": "websocket.receive", "bytes": data, "text": None}


def disconnect(**changes: Any) -> Message:
    return {"type": "websocket.disconnect", **changes}
