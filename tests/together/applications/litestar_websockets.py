"""The application of the websocket contract, in Litestar."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Response, WebSocket, get, websocket
from litestar.datastructures import State
from litestar.exceptions import NotAuthorizedException, WebSocketDisconnect

from tests.together.applications import business

Socket = WebSocket[Any, Any, Any]


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    app.state.greeting = "hello"
    yield
    business.shut_down()


@get("/ends/{key:str}")
async def ending(key: str) -> Response[Any]:
    end = business.ends.get(key)
    return Response(end, status_code=200 if end else 404)


@websocket("/echo")
async def echo(socket: Socket) -> None:
    await socket.accept()
    while (event := await socket.receive())["type"] == "websocket.receive":
        text = event.get("text")
        if text is not None:
            await socket.send_text(text)
        else:
            await socket.send_bytes(event["bytes"] or b"")


@websocket("/rooms/{number:int}/{name:str}")
async def room(socket: Socket, number: int, name: str, q: str) -> None:
    await socket.accept()
    await socket.send_json([number, name, q])
    await socket.close()


@websocket("/greeting")
async def greeting(socket: Socket, state: State) -> None:
    await socket.accept()
    await socket.send_text(state.greeting)
    await socket.close()


@websocket("/subprotocols")
async def subprotocols(socket: Socket) -> None:
    offered = socket.scope["subprotocols"]
    await socket.accept(subprotocols=business.preferred(offered))
    await socket.send_json(offered)


@websocket("/headers")
async def headers(socket: Socket) -> None:
    await socket.accept(headers=business.ACCEPT_HEADERS)
    await socket.send_text(socket.headers["x-asked"])


@websocket("/unauthorized")
async def unauthorized(socket: Socket) -> None:
    raise NotAuthorizedException("who are you?", headers={"www-authenticate": "Basic"})


@websocket("/closed")
async def closed_at_once(socket: Socket) -> None:
    await socket.close()


@websocket("/error")
async def error(socket: Socket) -> None:
    business.fail()


@websocket("/error/later")
async def error_later(socket: Socket) -> None:
    await socket.accept()
    await socket.receive_text()
    business.fail()


@websocket("/enough")
async def enough(socket: Socket) -> None:
    await socket.accept()
    await socket.send_text("first")
    await socket.close(4001, "enough €")


@websocket("/receiving/{key:str}")
async def receiving(socket: Socket, key: str) -> None:
    await socket.accept()
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect as end:
        business.ends[key] = (end.code, "")


@websocket("/ticking/{key:str}")
async def ticking(socket: Socket, key: str) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text("tick")
            await asyncio.sleep(0.01)
    except OSError:  # the server's: Litestar notices only what it receives
        business.ends[key] = (None, None)


@websocket("/both-ways")
async def both_ways(socket: Socket) -> None:
    await socket.accept()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(business.count(socket.send_text))
        async for text in socket.iter_data("text"):
            await socket.send_text(f"echo {text!r}")


app = Litestar(
    [
        ending,
        echo,
        room,
        greeting,
        subprotocols,
        headers,
        unauthorized,
        closed_at_once,
        error,
        error_later,
        enough,
        receiving,
        ticking,
        both_ways,
    ],
    lifespan=[lifespan],
)
