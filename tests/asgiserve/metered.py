"""An application whose answers are all known, to be counted."""

from __future__ import annotations

import asyncio
import os
import sys

from tests.asgiserve.applications import (
    App,
    Message,
    Receive,
    Scope,
    Send,
    answer,
    piece,
    read_body,
    start,
    tell,
)

#: Bytes that the kernel does not take off the server's hands.
LARGE = 40_000_000


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer ten bytes, with the status that the path names, once the whole request is there."""
    assert scope["type"] == "http"
    name = scope["path"].removeprefix("/")
    if name in _PATHS:
        await _PATHS[name](scope, receive, send)
    else:
        message: Message = {"more_body": True}
        while message.get("more_body"):
            message = await receive()
        if message["type"] == "http.request":
            await answer(send, b"0123456789", int(name))


async def _wait(scope: Scope, receive: Receive, send: Send) -> None:
    """Wait for the client to leave."""
    await read_body(receive)
    tell("waits")
    assert (await receive())["type"] == "http.disconnect"


async def _stuck(scope: Scope, receive: Receive, send: Send) -> None:
    """Wait for ever."""
    tell("stuck")
    await asyncio.Event().wait()


async def _upload(scope: Scope, receive: Receive, send: Send) -> None:
    """Tell that the request has begun, and answer at its end, which is up to the client."""
    tell("takes an upload")
    await answer(send, await read_body(receive))


async def _sleep(scope: Scope, receive: Receive, send: Send) -> None:
    await asyncio.sleep(0.06)
    await answer(send)


async def _large(scope: Scope, receive: Receive, send: Send) -> None:
    await send(start())
    await send(piece(bytes(LARGE)))


async def _pid(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, str(os.getpid()).encode())


async def _imported(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, str("prometheus_client" in sys.modules).encode())


_PATHS: dict[str, App] = {
    "wait": _wait,
    "stuck": _stuck,
    "upload": _upload,
    "sleep": _sleep,
    "large": _large,
    "pid": _pid,
    "imported": _imported,
}


async def short_lived(scope: Scope, receive: Receive, send: Send) -> None:
    """Start up, and die at once."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    asyncio.get_running_loop().call_later(0.1, os._exit, 70)
    await receive()
