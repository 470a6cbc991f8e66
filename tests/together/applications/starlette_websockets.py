"""The application of the websocket contract, in Starlette."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.together.applications import business


class State(TypedDict):
    greeting: str


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    yield {"greeting": "hello"}
    business.shut_down()


async def ending(request: Request) -> Response:
    end = business.ends.get(request.path_params["key"])
    return JSONResponse(end, 200 if end else 404)


async def echo(ws: WebSocket) -> None:
    await ws.accept()
    while (message := await ws.receive())["type"] == "websocket.receive":
        if message.get("text") is not None:
            await ws.send_text(message["text"])
        else:
            await ws.send_bytes(message["bytes"])


async def room(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_json([ws.path_params["number"], ws.path_params["name"], ws.query_params["q"]])


async def greeting(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_text(ws.state.greeting)


async def subprotocols(ws: WebSocket) -> None:
    offered = ws.scope["subprotocols"]
    await ws.accept(subprotocol=business.preferred(offered))
    await ws.send_json(offered)


async def headers(ws: WebSocket) -> None:
    await ws.accept(headers=business.ACCEPT_HEADERS)
    await ws.send_text(ws.headers["x-asked"])


async def unauthorized(ws: WebSocket) -> None:
    await ws.send_denial_response(PlainTextResponse("who are you?", 401, {"www-authenticate": "Basic"}))


async def closed_at_once(ws: WebSocket) -> None:
    await ws.close()


async def error(ws: WebSocket) -> None:
    business.fail()


async def error_later(ws: WebSocket) -> None:
    await ws.accept()
    await ws.receive_text()
    business.fail()


async def enough(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_text("first")
    await ws.close(4001, "enough €")


async def receiving(ws: WebSocket) -> None:
    await ws.accept()
    try:
        while True:
            await ws.receive_text()
    except WebSocketDisconnect as end:
        business.ends[ws.path_params["key"]] = (end.code, end.reason)


async def ticking(ws: WebSocket) -> None:
    await ws.accept()
    try:
        while True:
            await ws.send_text("tick")
            await asyncio.sleep(0.01)
    except WebSocketDisconnect as end:
        business.ends[ws.path_params["key"]] = (end.code, end.reason)


async def both_ways(ws: WebSocket) -> None:
    await ws.accept()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(business.count(ws.send_text))
        async for text in ws.iter_text():
            await ws.send_text(f"echo {text!r}")


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/ends/{key}", ending),
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/rooms/{number:int}/{name}", room),
        WebSocketRoute("/greeting", greeting),
        WebSocketRoute("/subprotocols", subprotocols),
        WebSocketRoute("/headers", headers),
        WebSocketRoute("/unauthorized", unauthorized),
        WebSocketRoute("/closed", closed_at_once),
        WebSocketRoute("/error", error),
        WebSocketRoute("/error/later", error_later),
        WebSocketRoute("/enough", enough),
        WebSocketRoute("/receiving/{key}", receiving),
        WebSocketRoute("/ticking/{key}", ticking),
        WebSocketRoute("/both-ways", both_ways),
    ],
)
