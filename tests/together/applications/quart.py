"""The contract's application in Quart."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from quart import Quart, Response, request

from tests.together.applications import business

app = Quart(__name__)


@app.while_serving
async def lifespan() -> AsyncGenerator[None]:
    app.config["PREPARED"] = True
    yield
    business.shut_down()


@app.get("/json")
async def hello() -> dict[str, str]:
    return {"hello": "world"}


@app.get("/users/<int:id>")
async def user(id: int) -> dict[str, int]:
    return {"id": id}


@app.get("/greet/<name>")
async def greet(name: str) -> dict[str, str]:
    return {"name": name}


@app.post("/upload")
async def upload() -> dict[str, int | str]:
    return await business.summary(request.body)


@app.get("/stream")
async def stream() -> Response:
    return Response(business.pieces(), mimetype="text/plain")


@app.post("/stream/continue")
async def let_continue() -> tuple[str, int]:
    business.let_continue()
    return "", 204


@app.get("/error")
async def error() -> str:
    business.fail()
    return ""


@app.get("/stream/broken")
async def broken_stream() -> Response:
    return Response(business.broken_pieces(), mimetype="text/plain")


@app.get("/lifespan")
async def prepared() -> dict[str, bool]:
    return {"prepared": app.config["PREPARED"]}
