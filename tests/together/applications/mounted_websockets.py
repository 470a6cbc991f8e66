"""The application of the websocket contract in Starlette, mounted in one of asgiweb."""

from __future__ import annotations

from asgiweb import Application, Handler, Request, Response

from . import starlette_websockets


async def passing(request: Request, handler: Handler) -> Response:
    return await handler(request)


app: Application[None] = Application(middlewares=[passing])
app.mount("", starlette_websockets.app)
