"""The contract's application in Litestar."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from litestar import HttpMethod, Litestar, Request, get, post, route
from litestar.datastructures import State
from litestar.response import Stream

from tests.together.applications import business


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    app.state.prepared = True
    yield
    business.shut_down()


@route("/json", http_method=[HttpMethod.GET, HttpMethod.HEAD])
async def hello() -> dict[str, str]:
    return {"hello": "world"}


@get("/users/{id:int}")
async def user(id: int) -> dict[str, int]:
    return {"id": id}


@get("/greet/{name:str}")
async def greet(name: str) -> dict[str, str]:
    return {"name": name}


@post("/upload", status_code=200)
async def upload(request: Request[Any, Any, Any]) -> dict[str, int | str]:
    return await business.summary(request.stream())


@get("/stream")
async def stream() -> Stream:
    return Stream(business.pieces(), media_type="text/plain")


@post("/stream/continue", status_code=204)
async def let_continue() -> None:
    business.let_continue()


@get("/error")
async def error() -> None:
    business.fail()


@get("/stream/broken")
async def broken_stream() -> Stream:
    return Stream(business.broken_pieces(), media_type="text/plain")


@get("/lifespan")
async def prepared(state: State) -> dict[str, bool]:
    return {"prepared": state.prepared}


app = Litestar(
    [hello, user, greet, upload, stream, let_continue, error, broken_stream, prepared], lifespan=[lifespan]
)
