"""The application of the contract in Starlette, mounted in one of asgiweb that changes nothing of it."""

from __future__ import annotations

from asgiweb import Application, Handler, Request, Response

from . import starlette


async def passing(request: Request, handler: Handler) -> Response:
    return await handler(request)


app: Application[None] = Application(middlewares=[passing])
app.mount("", starlette.app)
