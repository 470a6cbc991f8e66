"""What asgiweb does beside routing requests to handlers, where servers could make a difference."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from asgiweb import Application, Request, Response, json_response
from asgiweb.files import file_response
from asgiweb.middleware import Compression, Sessions, session_of
from asgiweb.sse import Event, event_response
from tests.together.applications import business, starlette
from tests.together.feature_contract import CONTENT

directory = tempfile.TemporaryDirectory()
file = Path(directory.name) / "file.bin"
file.write_bytes(CONTENT)

app: Application[None] = Application(
    middlewares=[Sessions("a secret of sixteen bytes and more"), Compression()]
)
app.mount("/mounted", starlette.app)

#: The streams of events that have ended, by their keys.
ended: list[str] = []


@app.get("/file")
async def whole_file(request: Request) -> Response:
    return await file_response(request, file)


@app.get("/events/{key}")
async def events(request: Request, key: str) -> Response:
    return event_response(one_event(key), keep_alive=None)


async def one_event(key: str) -> AsyncIterator[Event]:
    try:
        yield Event(key, id=1)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        ended.append(key)


@app.get("/ended")
async def all_ended(request: Request) -> Response:
    return json_response(ended)


@app.get("/visits")
async def visits(request: Request) -> Response:
    session = await session_of(request)
    session["visits"] = session.get("visits", 0) + 1
    return json_response(session["visits"])


@app.get("/stream")
async def stream(request: Request) -> Response:
    return Response(business.pieces(), content_type="text/plain")


@app.post("/stream/continue")
async def let_continue(request: Request) -> Response:
    business.let_continue()
    return Response(status=204)


@app.get("/slash/{name}/", name="slash")
async def slash(request: Request, name: str) -> Response:
    return Response(str(request.url_for("slash", name=name).path))
