"""The application that hostile clients and clients that leave are let loose on: all ways to treat a client.

Beside them it keeps the books: ``/books`` says what is alive in the process, so that leaks are seen by name.
"""

from __future__ import annotations

import asyncio
import gc
import json
from collections import Counter
from typing import Final

from . import asgi
from .asgi import Receive, Scope, Send, answer
from .content import CHUNK, PIECE

_PIECE: Final = b"x" * PIECE


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Dispatch on the path; what is not known here is the other benchmarks' application's."""
    route = ROUTES.get(scope["path"]) if scope["type"] == "http" else None
    await (route or asgi.app)(scope, receive, send)


async def begin(send: Send) -> None:
    """Start a response of unknown length."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})


async def flood(scope: Scope, receive: Receive, send: Send) -> None:
    """Stream as fast as the client reads, and more than the kernel holds for one that does not.

    There is an end, because some servers ignore what is sent to a client that has left: this would not wait.
    """
    await begin(send)
    for _ in range(500):
        await send({"type": "http.response.body", "body": _PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def ticking(scope: Scope, receive: Receive, send: Send) -> None:
    """Stream a little now and then, until the client is said to have left."""
    await begin(send)
    left = asyncio.create_task(until_left(receive))
    try:
        while not left.done():
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            await asyncio.wait((left,), timeout=0.01)
    finally:
        left.cancel()


async def until_left(receive: Receive) -> None:
    """Wait until the client is said to have left."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def listening(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer once the client is said to have left, which nobody gets any more."""
    await until_left(receive)
    await answer(send, b"too late")


async def late(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer after a while."""
    await asyncio.sleep(0.02)
    await answer(send, b"at last")


async def stuck(scope: Scope, receive: Receive, send: Send) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def silent(scope: Scope, receive: Receive, send: Send) -> None:
    """Return without an answer."""


async def raising(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail before the response begins."""
    raise LookupError("as it was asked to")


async def breaking(scope: Scope, receive: Receive, send: Send) -> None:
    """Fail within the response."""
    await begin(send)
    await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    raise LookupError("as it was asked to")


async def books(scope: Scope, receive: Receive, send: Send) -> None:
    """Say how many objects of which types are alive, and how many tasks."""
    gc.collect()
    alive = Counter(f"{type(each).__module__}.{type(each).__qualname__}" for each in gc.get_objects())
    tasks = len(asyncio.all_tasks())
    await answer(send, json.dumps({"tasks": tasks, "objects": alive}).encode(), b"application/json")


ROUTES: Final = {
    "/flood": flood,
    "/ticking": ticking,
    "/listening": listening,
    "/late": late,
    "/stuck": stuck,
    "/silent": silent,
    "/raising": raising,
    "/breaking": breaking,
    "/books": books,
}
