"""The application in Starlette; it has no validation of its own."""

from __future__ import annotations

import msgspec
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from .content import HELLO, item_from, user
from .raw import PassThrough


async def hello(request: Request) -> Response:
    """Answer with text."""
    return PlainTextResponse(HELLO)


async def show_user(request: Request) -> Response:
    """Answer with JSON."""
    return JSONResponse(user(request.path_params["id"]))


async def create_item(request: Request) -> Response:
    """Validate JSON, and send it back."""
    return JSONResponse(msgspec.to_builtins(item_from(await request.body())))


def application(middlewares: int = 0) -> Starlette:
    """Make the application."""
    routes = [
        Route("/", hello),
        Route("/users/{id:int}", show_user),
        Route("/items", create_item, methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(PassThrough)] * middlewares)


app = application()
