"""The contract's application in Starlette."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.together.applications import business


class State(TypedDict):
    prepared: bool


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    yield {"prepared": True}
    business.shut_down()


async def hello(request: Request) -> Response:
    return JSONResponse({"hello": "world"})


async def user(request: Request) -> Response:
    return JSONResponse({"id": request.path_params["id"]})


async def greet(request: Request) -> Response:
    return JSONResponse({"name": request.path_params["name"]})


async def upload(request: Request) -> Response:
    return JSONResponse(await business.summary(request.stream()))


async def stream(request: Request) -> Response:
    return StreamingResponse(business.pieces(), media_type="text/plain")


async def let_continue(request: Request) -> Response:
    business.let_continue()
    return Response(status_code=204)


async def error(request: Request) -> Response:
    business.fail()
    return Response()


async def broken_stream(request: Request) -> Response:
    return StreamingResponse(business.broken_pieces(), media_type="text/plain")


async def prepared(request: Request) -> Response:
    return JSONResponse({"prepared": request.state.prepared})


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/json", hello),
        Route("/users/{id:int}", user),
        Route("/greet/{name}", greet),
        Route("/upload", upload, methods=["POST"]),
        Route("/stream", stream),
        Route("/stream/continue", let_continue, methods=["POST"]),
        Route("/error", error),
        Route("/stream/broken", broken_stream),
        Route("/lifespan", prepared),
    ],
)
