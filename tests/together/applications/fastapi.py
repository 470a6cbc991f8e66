"""The contract's application in FastAPI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from tests.together.applications import business


class State(TypedDict):
    prepared: bool


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    yield {"prepared": True}
    business.shut_down()


app = FastAPI(lifespan=lifespan)


@app.api_route("/json", methods=["GET", "HEAD"])
async def hello() -> dict[str, str]:
    return {"hello": "world"}


@app.get("/users/{id:int}")
async def user(id: int) -> dict[str, int]:
    return {"id": id}


@app.get("/greet/{name}")
async def greet(name: str) -> dict[str, str]:
    return {"name": name}


@app.post("/upload")
async def upload(request: Request) -> dict[str, int | str]:
    return await business.summary(request.stream())


@app.get("/stream")
async def stream() -> StreamingResponse:
    return StreamingResponse(business.pieces(), media_type="text/plain")


@app.post("/stream/continue", status_code=204)
async def let_continue() -> None:
    business.let_continue()


@app.get("/error")
async def error() -> None:
    business.fail()


@app.get("/stream/broken")
async def broken_stream() -> StreamingResponse:
    return StreamingResponse(business.broken_pieces(), media_type="text/plain")


@app.get("/lifespan")
async def prepared(request: Request) -> dict[str, bool]:
    return {"prepared": request.state.prepared}
