"""The application of the websocket contract, in FastAPI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, WebSocket, WebSocketDisconnect, WebSocketException
from fastapi.responses import JSONResponse, PlainTextResponse

from tests.together.applications import business


class State(TypedDict):
    greeting: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    yield {"greeting": "hello"}
    business.shut_down()


app = FastAPI(lifespan=lifespan)


@app.get("/ends/{key}")
async def ending(key: str) -> JSONResponse:
    end = business.ends.get(key)
    return JSONResponse(end, 200 if end else 404)


@app.websocket("/echo")
async def echo(ws: WebSocket) -> None:
    await ws.accept()
    while (message := await ws.receive())["type"] == "websocket.receive":
        if message.get("text") is not None:
            await ws.send_text(message["text"])
        else:
            await ws.send_bytes(message["bytes"])


@app.websocket("/rooms/{number}/{name}")
async def room(ws: WebSocket, number: int, name: str, q: str) -> None:
    await ws.accept()
    await ws.send_json([number, name, q])


@app.websocket("/greeting")
async def greeting(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_text(ws.state.greeting)


@app.websocket("/subprotocols")
async def subprotocols(ws: WebSocket) -> None:
    offered = ws.scope["subprotocols"]
    await ws.accept(subprotocol=business.preferred(offered))
    await ws.send_json(offered)


@app.websocket("/headers")
async def headers(ws: WebSocket) -> None:
    await ws.accept(headers=business.ACCEPT_HEADERS)
    await ws.send_text(ws.headers["x-asked"])


@app.websocket("/unauthorized")
async def unauthorized(ws: WebSocket) -> None:
    await ws.send_denial_response(PlainTextResponse("who are you?", 401, {"www-authenticate": "Basic"}))


@app.websocket("/closed")
async def closed_at_once(ws: WebSocket) -> None:
    raise WebSocketException(code=1008, reason="not you")


@app.websocket("/error")
async def error(ws: WebSocket) -> None:
    business.fail()


@app.websocket("/error/later")
async def error_later(ws: WebSocket) -> None:
    await ws.accept()
    await ws.receive_text()
    business.fail()


@app.websocket("/enough")
async def enough(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_text("first")
    raise WebSocketException(code=4001, reason="enough €")


@app.websocket("/receiving/{key}")
async def receiving(ws: WebSocket, key: str) -> None:
    await ws.accept()
    try:
        while True:
            await ws.receive_text()
    except WebSocketDisconnect as end:
        business.ends[key] = (end.code, end.reason)


@app.websocket("/ticking/{key}")
async def ticking(ws: WebSocket, key: str) -> None:
    await ws.accept()
    try:
        while True:
            await ws.send_text("tick")
            await asyncio.sleep(0.01)
    except WebSocketDisconnect as end:
        business.ends[key] = (end.code, end.reason)


@app.websocket("/both-ways")
async def both_ways(ws: WebSocket) -> None:
    await ws.accept()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(business.count(ws.send_text))
        async for text in ws.iter_text():
            await ws.send_text(f"echo {text!r}")
