"""The application of the websocket contract, in Quart, which cancels a handler whose client leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator

from quart import Quart, Response, websocket
from werkzeug.datastructures import Headers

from tests.together.applications import business

app = Quart(__name__)


@app.while_serving
async def lifespan() -> AsyncGenerator[None]:
    app.config["GREETING"] = "hello"
    yield
    business.shut_down()


@app.get("/ends/<key>")
async def ending(key: str) -> Response:
    end = business.ends.get(key)
    return Response(json.dumps(end), 200 if end else 404)


@app.websocket("/echo")
async def echo() -> None:
    while True:
        await websocket.send(await websocket.receive())


@app.websocket("/rooms/<int:number>/<name>")
async def room(number: int, name: str) -> None:
    await websocket.send_json([number, name, websocket.args["q"]])


@app.websocket("/greeting")
async def greeting() -> None:
    await websocket.send(app.config["GREETING"])


@app.websocket("/subprotocols")
async def subprotocols() -> None:
    offered = websocket.requested_subprotocols
    await websocket.accept(subprotocol=business.preferred(offered))
    await websocket.send_json(offered)


@app.websocket("/headers")
async def headers() -> None:
    headers = Headers([(name.decode(), value.decode()) for name, value in business.ACCEPT_HEADERS])
    await websocket.accept(headers=headers)
    await websocket.send(websocket.headers["x-asked"])


@app.websocket("/unauthorized")
async def unauthorized() -> tuple[str, int, dict[str, str]]:
    return "who are you?", 401, {"www-authenticate": "Basic"}


@app.websocket("/closed")
async def closed_at_once() -> None:
    await websocket.close(1000)


@app.websocket("/error")
async def error() -> None:
    business.fail()


@app.websocket("/error/later")
async def error_later() -> None:
    await websocket.receive()
    business.fail()


@app.websocket("/enough")
async def enough() -> None:
    await websocket.send("first")
    await websocket.close(4001, "enough €")


@app.websocket("/receiving/<key>")
async def receiving(key: str) -> None:
    try:
        while True:
            await websocket.receive()
    finally:
        business.ends[key] = (None, None)


@app.websocket("/ticking/<key>")
async def ticking(key: str) -> None:
    try:
        while True:
            await websocket.send("tick")
            await asyncio.sleep(0.01)
    except OSError:  # the server's, in the moment before Quart has seen that the client left
        pass
    finally:
        business.ends[key] = (None, None)


@app.websocket("/both-ways")
async def both_ways() -> None:
    async with asyncio.TaskGroup() as tasks:
        await websocket.accept()
        tasks.create_task(business.count(websocket.send))
        while True:
            await websocket.send(f"echo {await websocket.receive()!r}")
