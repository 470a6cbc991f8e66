"""The application of the websocket contract, in Falcon."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from falcon import HTTPUnauthorized, WebSocketDisconnected, WebSocketPayloadType
from falcon.asgi import App, Request, Response, WebSocket
from falcon.media import BinaryBaseHandlerWS, TextBaseHandlerWS

from tests.together.applications import business


class Text(TextBaseHandlerWS):
    """Text as it is: Falcon's own handler reads JSON."""

    def deserialize(self, payload: str) -> object:
        return payload


class Data(BinaryBaseHandlerWS):
    """Data as they are: Falcon's own handler reads MessagePack."""

    def deserialize(self, payload: bytes) -> object:
        return payload


class Greeting:
    greeting = ""

    async def process_startup(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        self.greeting = "hello"

    async def process_shutdown(self, scope: Mapping[str, Any], event: Mapping[str, Any]) -> None:
        business.shut_down()

    async def on_websocket(self, request: Request, ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text(self.greeting)


class Ending:
    async def on_get(self, request: Request, response: Response, key: str) -> None:
        response.media = end = business.ends.get(key)
        response.status = 200 if end else 404


class Echo:
    async def on_websocket(self, request: Request, ws: WebSocket) -> None:
        await ws.accept()
        while True:
            message = await ws.receive_media()
            if isinstance(message, str):
                await ws.send_text(message)
            elif isinstance(message, bytes):
                await ws.send_data(message)


class Room:
    async def on_websocket(self, request: Request, ws: WebSocket, number: int, name: str) -> None:
        await ws.accept()
        await ws.send_text(json.dumps([number, name, request.get_param("q")]))


class Subprotocols:
    async def on_websocket(self, request: Request, ws: WebSocket) -> None:
        await ws.accept(business.preferred(ws.subprotocols))
        await ws.send_text(json.dumps(ws.subprotocols))


class Headers:
    async def on_websocket(self, request: Request, ws: WebSocket) -> None:
        await ws.accept(headers=[(name.decode(), value.decode()) for name, value in business.ACCEPT_HEADERS])
        await ws.send_text(request.get_header("x-asked", required=True))


class Unauthorized:
    async def on_websocket(self, request: Request, ws: WebSocket) -> None:
        raise HTTPUnauthorized(title="who are you?", challenges=["Basic"])


class ClosedAtOnce:
    async def on_websocket(self, request: Request, ws: WebSocket) -> None:
        await ws.close()


class Error:
    async def on_websocket(self, request: Request, ws: WebSocket) -> None:
        business.fail()

    async def on_websocket_later(self, request: Request, ws: WebSocket) -> None:
        await ws.accept()
        await ws.receive_text()
        business.fail()


class Enough:
    async def on_websocket(self, request: Request, ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text("first")
        await ws.close(4001, "enough €")


class Receiving:
    async def on_websocket(self, request: Request, ws: WebSocket, key: str) -> None:
        await ws.accept()
        try:
            while True:
                await ws.receive_text()
        except WebSocketDisconnected as end:
            business.ends[key] = (end.code, "")


class Ticking:
    async def on_websocket(self, request: Request, ws: WebSocket, key: str) -> None:
        await ws.accept()
        try:
            while True:
                await ws.send_text("tick")
                await asyncio.sleep(0.01)
        except WebSocketDisconnected as end:
            business.ends[key] = (end.code, "")


class BothWays:
    async def on_websocket(self, request: Request, ws: WebSocket) -> None:
        await ws.accept()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(business.count(ws.send_text))
            with suppress(WebSocketDisconnected):
                while True:
                    await ws.send_text(f"echo {await ws.receive_text()!r}")


greeting = Greeting()
app = App(middleware=[greeting])
app.ws_options.media_handlers[WebSocketPayloadType.TEXT] = Text()
app.ws_options.media_handlers[WebSocketPayloadType.BINARY] = Data()
app.add_route("/ends/{key}", Ending())
app.add_route("/echo", Echo())
app.add_route("/rooms/{number:int}/{name}", Room())
app.add_route("/greeting", greeting)
app.add_route("/subprotocols", Subprotocols())
app.add_route("/headers", Headers())
app.add_route("/unauthorized", Unauthorized())
app.add_route("/closed", ClosedAtOnce())
app.add_route("/error", Error())
app.add_route("/error/later", Error(), suffix="later")
app.add_route("/enough", Enough())
app.add_route("/receiving/{key}", Receiving())
app.add_route("/ticking/{key}", Ticking())
app.add_route("/both-ways", BothWays())
