"""The application for ASGI servers: it does as little as it can, so that what is measured is the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final, TypeAlias

import anyio

from .content import CHUNK, CHUNKS, FILE, HELLO, LARGE, PIECE

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Dispatch on the path; whatever is not known is greeted."""
    if scope["type"] == "http":
        await ROUTES.get(scope["path"], hello)(scope, receive, send)
    elif scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with 13 bytes."""
    await answer(send, HELLO, b"text/plain; charset=utf-8")


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the request's body."""
    await answer(send, await body(receive))


async def count(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the length of the request's body."""
    await answer(send, b"%d" % len(await body(receive)), b"text/plain; charset=utf-8")


async def large(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with 1 MiB."""
    await answer(send, LARGE)


async def chunks(scope: Scope, receive: Receive, send: Send) -> None:
    """Stream 100 chunks of 1 KiB, with no length announced."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for _ in range(CHUNKS - 1):
        await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
    await send({"type": "http.response.body", "body": CHUNK})


async def file(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a file: by its path where the server sends files, else in pieces, as Starlette does."""
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/octet-stream"),
                (b"content-length", b"%d" % len(LARGE)),
            ],
        }
    )
    if "http.response.pathsend" in scope.get("extensions", {}):
        await send({"type": "http.response.pathsend", "path": FILE})
        return
    async with await anyio.open_file(FILE, "rb") as opened:
        more = True
        while more:
            piece = await opened.read(PIECE)
            more = len(piece) == PIECE
            await send({"type": "http.response.body", "body": piece, "more_body": more})


async def body(receive: Receive) -> bytes:
    """Read the request's body."""
    pieces = []
    more = True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


async def answer(send: Send, content: bytes, kind: bytes = b"application/octet-stream") -> None:
    """Send a response in one piece."""
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", kind), (b"content-length", b"%d" % len(content))],
        }
    )
    await send({"type": "http.response.body", "body": content})


ROUTES: Final = {
    "/echo": echo,
    "/count": count,
    "/large": large,
    "/chunks": chunks,
    "/file": file,
}
