"""The contract's application in BlackSheep."""

from __future__ import annotations

from collections.abc import AsyncIterable
from typing import cast

from blacksheep import Application, Request, Response, StreamedContent, json, no_content

from tests.together.applications import business

app = Application()
PREPARED: dict[str, bool] = {}


async def prepare(app: Application) -> None:
    PREPARED["prepared"] = True


async def shut_down(app: Application) -> None:
    business.shut_down()


app.on_start += prepare
app.on_stop += shut_down


async def hello() -> Response:
    return json({"hello": "world"})


app.router.add_get("/json", hello)
app.router.add_head("/json", hello)


@app.router.get("/users/{int:id}")
async def user(id: int) -> Response:
    return json({"id": id})


@app.router.get("/greet/{name}")
async def greet(name: str) -> Response:
    return json({"name": name})


@app.router.post("/upload")
async def upload(request: Request) -> Response:
    # It is an asynchronous generator, whatever its type says.
    body = cast("AsyncIterable[bytes]", request.stream())
    return json(await business.summary(body))


@app.router.get("/stream")
async def stream() -> Response:
    return Response(200, content=StreamedContent(b"text/plain", business.pieces))


@app.router.post("/stream/continue")
async def let_continue() -> Response:
    business.let_continue()
    return no_content()


@app.router.get("/error")
async def error() -> None:
    business.fail()


@app.router.get("/stream/broken")
async def broken_stream() -> Response:
    return Response(200, content=StreamedContent(b"text/plain", business.broken_pieces))


@app.router.get("/lifespan")
async def prepared() -> Response:
    return json(PREPARED)
