"""The application of the websocket contract, in asgiweb."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec

from asgiweb import (
    Application,
    HTTPForbidden,
    HTTPNotFound,
    HTTPUnauthorized,
    Request,
    Response,
    WebSocket,
    WebSocketDisconnect,
    json_response,
)
from tests.together.applications import business


@dataclass(frozen=True, slots=True)
class State:
    greeting: str


class Move(msgspec.Struct):
    x: int
    y: int


@asynccontextmanager
async def lifespan(app: Application[State]) -> AsyncIterator[State]:
    yield State(greeting="hello")
    business.shut_down()


app = Application(lifespan=lifespan)

#: How the websockets of some keys have ended, for clients to ask.
ends: dict[str, tuple[int, str]] = {}


@app.get("/ends/{key}")
async def ending(request: Request[State], key: str) -> Response:
    if key not in ends:
        raise HTTPNotFound
    return json_response(ends[key])


@app.error_handler(HTTPForbidden)
async def forbidden(request: Request[State], error: HTTPForbidden) -> Response:
    return json_response({"refused": error.detail}, 403, headers={"x-refused": "yes"})


@app.websocket("/echo")
async def echo(ws: WebSocket[State]) -> None:
    async with ws:
        async for message in ws:
            if isinstance(message, str):
                await ws.send_text(message)
            else:
                await ws.send_bytes(message)


@app.get("/both")
async def both_by_request(request: Request[State]) -> Response:
    return Response("a response")


@app.websocket("/both")
async def both_by_websocket(ws: WebSocket[State]) -> None:
    async with ws:
        await ws.send_text("a message")


@app.websocket("/rooms/{number:int}/{name}")
async def room(ws: WebSocket[State], number: int, name: str) -> None:
    async with ws:
        await ws.send_json([number, name, ws.request.query["q"]])


@app.websocket("/greeting")
async def greeting(ws: WebSocket[State]) -> None:
    text = ws.state.greeting
    async with ws:
        await ws.send_text(text)


@app.websocket("/moves")
async def moves(ws: WebSocket[State]) -> None:
    async with ws:
        while True:
            move = await ws.receive_json(Move)
            await ws.send_json(Move(move.x + 1, move.y + 1))


@app.websocket("/subprotocols")
async def subprotocols(ws: WebSocket[State]) -> None:
    await ws.accept(subprotocols=["v2", "v1"])
    await ws.send_json(ws.subprotocols)


@app.websocket("/headers")
async def headers(ws: WebSocket[State]) -> None:
    await ws.accept(headers=[("x-one", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")])
    await ws.send_text(ws.request.headers["x-asked"])


@app.websocket("/unauthorized")
async def unauthorized(ws: WebSocket[State]) -> None:
    raise HTTPUnauthorized("who are you?", headers={"www-authenticate": "Basic"})


@app.websocket("/forbidden")
async def refused(ws: WebSocket[State]) -> None:
    raise HTTPForbidden("not you")


@app.websocket("/closed")
async def closed_at_once(ws: WebSocket[State]) -> None:
    await ws.close()


@app.websocket("/error")
async def error(ws: WebSocket[State]) -> None:
    business.fail()


@app.websocket("/error/later")
async def error_later(ws: WebSocket[State]) -> None:
    async with ws:
        await ws.receive()
        business.fail()


@app.websocket("/enough")
async def enough(ws: WebSocket[State]) -> None:
    async with ws:
        await ws.send_text("first")
        await ws.close(4001, "enough €")
        await ws.close(4002, "said once more")


@app.websocket("/receiving/{key}")
async def receiving(ws: WebSocket[State], key: str) -> None:
    async with ws:
        try:
            while True:
                await ws.receive()
        except WebSocketDisconnect as end:
            ends[key] = (end.code, end.reason)


@app.websocket("/ticking/{key}")
async def ticking(ws: WebSocket[State], key: str) -> None:
    await tick(ws, key, 0.01)


@app.websocket("/without-pause/{key}")
async def without_pause(ws: WebSocket[State], key: str) -> None:
    await tick(ws, key, 0)


async def tick(ws: WebSocket[State], key: str, pause: float) -> None:
    async with ws:
        try:
            while True:
                await ws.send_text("tick")
                await asyncio.sleep(pause)
        except WebSocketDisconnect as end:
            ends[key] = (end.code, end.reason)


@app.websocket("/both-ways")
async def both_ways(ws: WebSocket[State]) -> None:
    async def count() -> None:
        for number in range(100):
            await ws.send_text(f"count {number}")
            await asyncio.sleep(0)

    async with ws, asyncio.TaskGroup() as tasks:
        tasks.create_task(count())
        async for message in ws:
            await ws.send_text(f"echo {message!r}")
