"""The contract's application in asgiweb."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from asgiweb import Application, Request, Response, json_response
from tests.together.applications import business


@dataclass(frozen=True, slots=True)
class State:
    prepared: bool


@asynccontextmanager
async def lifespan(app: Application[State]) -> AsyncIterator[State]:
    yield State(prepared=True)
    business.shut_down()


app = Application(lifespan=lifespan)


@app.get("/json")
async def hello(request: Request[State]) -> Response:
    return json_response({"hello": "world"})


@app.get("/users/{id:int}")
async def user(request: Request[State], id: int) -> Response:
    return json_response({"id": id})


@app.get("/greet/{name}")
async def greet(request: Request[State], name: str) -> Response:
    return json_response({"name": name})


@app.post("/upload", max_body_size=2**20)
async def upload(request: Request[State]) -> Response:
    return json_response(await business.summary(request))


@app.get("/stream")
async def stream(request: Request[State]) -> Response:
    return Response(business.pieces(), content_type="text/plain")


@app.post("/stream/continue")
async def let_continue(request: Request[State]) -> Response:
    business.let_continue()
    return Response(status=204)


@app.get("/error")
async def error(request: Request[State]) -> Response:
    business.fail()
    return Response()


@app.get("/stream/broken")
async def broken_stream(request: Request[State]) -> Response:
    return Response(business.broken_pieces(), content_type="text/plain")


@app.get("/lifespan")
async def prepared(request: Request[State]) -> Response:
    return json_response({"prepared": request.state.prepared})
