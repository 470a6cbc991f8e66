"""Pieces that applications in these tests are made of, and the applications that subprocesses serve."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers: TypeAlias = Iterable[tuple[bytes, bytes]]


def start(status: int = 200, headers: Headers = (), **more: Any) -> Message:
    """The event that begins a response."""
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def piece(body: bytes = b"", more: bool = False) -> Message:
    """The event of one piece of a response's body, the last one by default."""
    return {"type": "http.response.body", "body": body, "more_body": more}


async def answer(send: Send, body: bytes = b"ok", status: int = 200, headers: Headers = ()) -> None:
    """Send a whole response."""
    await send(start(status, headers))
    await send(piece(body))


async def read_body(receive: Receive) -> bytes:
    """Take the whole request body; a client that leaves before its end is an error of the test."""
    body: bytes = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request", message
        body += message["body"]
        if not message["more_body"]:
            return body


def on_http(handler: Callable[[Receive, Send], Awaitable[None]]) -> App:
    """The application that answers every request with `handler`, whatever the scope says."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        await handler(receive, send)

    return app


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer ``ok``; there is no lifespan."""
    assert scope["type"] == "http"
    await answer(send)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the request body, unless the client leaves within it."""
    assert scope["type"] == "http"
    body = b""
    message: Message = {"more_body": True}
    while message["more_body"]:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
    await answer(send, body)


async def target(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer the path and, behind a space, the request body: tells pipelined requests apart."""
    assert scope["type"] == "http"
    await answer(send, scope["path"].encode() + b" " + await read_body(receive))


def tell(line: str) -> None:
    """Write a line that the test which started this process can wait for: at once, whoever else writes."""
    os.write(1, f"{line}\n".encode())


async def program(scope: Scope, receive: Receive, send: Send) -> None:
    """What most subprocesses serve: a path for each kind of work, and a lifespan that tells what it does."""
    if scope["type"] == "lifespan":
        await _lifespan(scope, receive, send)
    else:
        await _PATHS.get(scope["path"], _index)(scope, receive, send)


async def _lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    scope["state"]["held"] = asyncio.Event()
    tell(f"startup {os.getpid()}")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    tell(f"shutdown {os.getpid()}")
    await send({"type": "lifespan.shutdown.complete"})


async def slow_startup(scope: Scope, receive: Receive, send: Send) -> None:
    """Never starts up."""
    await receive()
    tell("starting")
    await asyncio.Event().wait()


async def dying(scope: Scope, receive: Receive, send: Send) -> None:
    """Start up, and die soon after that."""
    await receive()
    asyncio.get_running_loop().call_later(0.1, os._exit, 70)
    await send({"type": "lifespan.startup.complete"})
    await receive()


async def failing_startup(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuses to start up."""
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is away"})


async def failing_shutdown(scope: Scope, receive: Receive, send: Send) -> None:
    """Fails to shut down."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.failed", "message": "the database is gone"})


async def slow_shutdown(scope: Scope, receive: Receive, send: Send) -> None:
    """Takes its time to shut down; never answers."""
    if scope["type"] == "http":
        await _stuck(scope, receive, send)
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    tell("shutdown begins")
    await asyncio.sleep(0.5)
    tell("shutdown ends")
    await send({"type": "lifespan.shutdown.complete"})


async def endless_shutdown(scope: Scope, receive: Receive, send: Send) -> None:
    """Never shuts down."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    while True:
        tell("shutting down")
        await asyncio.sleep(0.05)


async def raising_startup(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers requests, but its startup breaks."""
    if scope["type"] == "lifespan":
        await receive()
        raise LookupError("its startup broke")
    await answer(send)


async def _index(scope: Scope, receive: Receive, send: Send) -> None:
    about = {
        "pid": os.getpid(),
        "main_thread": threading.current_thread() is threading.main_thread(),
        "loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
        "root_path": scope["root_path"],
        "path": scope["path"],
        "client": scope["client"],
        "server": scope["server"],
        "httptools": "httptools" in sys.modules,
    }
    await answer(send, json.dumps(about).encode(), headers=[(b"content-type", b"application/json")])


async def _hold(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer once somebody asks for ``/release``."""
    tell("held")
    await scope["state"]["held"].wait()
    await answer(send, b"released")


async def _release(scope: Scope, receive: Receive, send: Send) -> None:
    scope["state"]["held"].set()
    await answer(send, b"")


async def _endless(scope: Scope, receive: Receive, send: Send) -> None:
    """Stream until somebody ends it, however it ends."""
    await send(start())
    try:
        while True:
            await send(piece(b"tick\n", more=True))
            await asyncio.sleep(0.05)
    finally:
        tell("stream ended")


async def _events(scope: Scope, receive: Receive, send: Send) -> None:
    """Stream like server-sent events do: until the client is said to have left."""
    await receive()
    await send(start())
    await send(piece(b"hello\n", more=True))
    message = await receive()
    tell(f"stream was told {message['type']}")


async def _slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer after more than a second."""
    tell("slow")
    await asyncio.sleep(1.2)
    await answer(send, b"at last")


async def _block(scope: Scope, receive: Receive, send: Send) -> None:
    """Block the event loop for ever, and show that Python goes on."""
    while True:
        tell("blocking")
        time.sleep(0.05)


async def _thread(scope: Scope, receive: Receive, send: Send) -> None:
    """Wait for a thread that goes on for longer than any test."""
    tell("waits for a thread")
    await asyncio.to_thread(time.sleep, 1000)


async def _stuck(scope: Scope, receive: Receive, send: Send) -> None:
    """Never answer."""
    tell("stuck")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        tell("cancelled")
        raise


async def _stubborn(scope: Scope, receive: Receive, send: Send) -> None:
    """Never answer, and do not let oneself be cancelled either."""
    tell("stuck")
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            tell("cancelled")


async def _second(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer after a second, and tell nobody."""
    await asyncio.sleep(1)
    await answer(send)


async def _grow(scope: Scope, receive: Receive, send: Send) -> None:
    """Need 100 MB from now on."""
    _kept.append(bytes(range(256)) * 400_000)
    await answer(send)


_kept: list[bytes] = []


async def _die(scope: Scope, receive: Receive, send: Send) -> None:
    os._exit(70)


_PATHS: dict[str, App] = {
    "/hold": _hold,
    "/release": _release,
    "/endless": _endless,
    "/events": _events,
    "/slow": _slow,
    "/block": _block,
    "/thread": _thread,
    "/stuck": _stuck,
    "/stubborn": _stubborn,
    "/die": _die,
    "/grow": _grow,
    "/second": _second,
}

#: Bytes that `streams` has sent, or has received, so far.
_moved = 0

STREAM_PIECE = 65536
STREAM_SIZE = 200 * 1024 * 1024


async def streams(scope: Scope, receive: Receive, send: Send) -> None:
    """200 MB down from ``/down``, and up to ``/up`` once ``/go`` was asked for; ``/moved`` tells how far."""
    global _moved
    assert scope["type"] == "http"
    if scope["path"] == "/down":
        await send(start())
        for _ in range(STREAM_SIZE // STREAM_PIECE):
            await send(piece(b"x" * STREAM_PIECE, more=True))
            _moved += STREAM_PIECE
        await send(piece())
    elif scope["path"] == "/up":
        await _go.wait()
        more = True
        while more:
            message = await receive()
            assert message["type"] == "http.request"
            _moved += len(message["body"])
            more = message["more_body"]
        await answer(send, str(_moved).encode())
    else:
        if scope["path"] == "/go":
            _go.set()
        await answer(send, str(_moved).encode())


_go = asyncio.Event()
