"""The application of the websocket contract, in BlackSheep."""

from __future__ import annotations

import asyncio
from json import dumps
from typing import Any, cast

from blacksheep import Application, Response, WebSocket, WebSocketDisconnectError, json
from blacksheep.exceptions import Unauthorized

from tests.together.applications import business

app = Application()
STATE: dict[str, str] = {}


async def prepare(app: Application) -> None:
    STATE["greeting"] = "hello"


async def shut_down(app: Application) -> None:
    business.shut_down()


app.on_start += prepare
app.on_stop += shut_down


@app.router.get("/ends/{key}")
async def ending(key: str) -> Response:
    end = business.ends.get(key)
    return json(end, 200 if end else 404)


@app.router.ws("/echo")
async def echo(ws: WebSocket) -> None:
    await ws.accept()
    try:
        while True:
            message: dict[str, Any] = dict(await ws.receive())
            if message.get("text") is not None:
                await ws.send_text(message["text"])
            else:
                await ws.send_bytes(message["bytes"])
    except WebSocketDisconnectError:
        pass


@app.router.ws("/rooms/{int:number}/{name}")
async def room(ws: WebSocket, number: int, name: str, q: str) -> None:
    await ws.accept()
    await ws.send_text(dumps([number, name, q]))


@app.router.ws("/greeting")
async def greeting(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_text(STATE["greeting"])


@app.router.ws("/subprotocols")
async def subprotocols(ws: WebSocket) -> None:
    offered = cast("dict[str, list[str]]", ws.scope)["subprotocols"]
    await ws.accept(subprotocol=business.preferred(offered))
    await ws.send_text(dumps(offered))


@app.router.ws("/headers")
async def headers(ws: WebSocket) -> None:
    await ws.accept(headers=business.ACCEPT_HEADERS)
    asked = ws.get_first_header(b"x-asked")
    assert asked is not None
    await ws.send_text(asked.decode())


@app.router.ws("/unauthorized")
async def unauthorized(ws: WebSocket) -> None:
    raise Unauthorized("who are you?")


@app.router.ws("/closed")
async def closed_at_once(ws: WebSocket) -> None:
    await ws.close()


@app.router.ws("/error")
async def error(ws: WebSocket) -> None:
    business.fail()


@app.router.ws("/error/later")
async def error_later(ws: WebSocket) -> None:
    await ws.accept()
    await ws.receive_text()
    business.fail()


@app.router.ws("/enough")
async def enough(ws: WebSocket) -> None:
    await ws.accept()
    await ws.send_text("first")
    await ws.close(4001, "enough €")


@app.router.ws("/receiving/{key}")
async def receiving(ws: WebSocket, key: str) -> None:
    await ws.accept()
    try:
        while True:
            await ws.receive_text()
    except WebSocketDisconnectError as end:
        business.ends[key] = (end.code, "")


@app.router.ws("/ticking/{key}")
async def ticking(ws: WebSocket, key: str) -> None:
    await ws.accept()
    try:
        while True:
            await ws.send_text("tick")
            await asyncio.sleep(0.01)
    except OSError:  # the server's: BlackSheep notices only what it receives
        business.ends[key] = (None, None)


@app.router.ws("/both-ways")
async def both_ways(ws: WebSocket) -> None:
    await ws.accept()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(business.count(ws.send_text))
        try:
            while True:
                await ws.send_text(f"echo {await ws.receive_text()!r}")
        except WebSocketDisconnectError:
            pass
