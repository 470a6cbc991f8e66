"""No framework: an ASGI application that answers by hand. It is the floor."""

from __future__ import annotations

from typing import Any

import msgspec

from ...applications.asgi import Message, Receive, Scope, Send
from .content import HELLO, item_from, user

TEXT = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13")]

encode = msgspec.json.Encoder().encode


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer what the others answer, with as little as that takes."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    path = scope["path"]
    if path == "/":
        await _answer(send, 200, TEXT, HELLO.encode())
    elif path.startswith("/users/") and path[7:].isdecimal():
        await _answer_json(send, user(int(path[7:])))
    elif path == "/items" and scope["method"] == "POST":
        await _answer_json(send, item_from((await receive())["body"]))
    else:
        await _answer(send, 404, [(b"content-length", b"0")], b"")


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _answer_json(send: Send, value: Any) -> None:
    body = encode(value)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await _answer(send, 200, headers, body)


async def _lifespan(receive: Receive, send: Send) -> None:
    for event in ("startup", "shutdown"):
        await receive()
        message: Message = {"type": f"lifespan.{event}.complete"}
        await send(message)


class PassThrough:
    """The plain ASGI middleware, which several frameworks have no other for."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do nothing but hand on."""
        await self.app(scope, receive, send)


def application(middlewares: int = 0) -> Any:
    """Wrap it into plain ASGI middlewares."""
    wrapped: Any = app
    for _ in range(middlewares):
        wrapped = PassThrough(wrapped)
    return wrapped
