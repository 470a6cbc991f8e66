"""Uploads and disconnects with asgiweb: what the server has seen of them is asked for afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import resource

from asgiweb import Application, ClientDisconnected, Request, Response, json_response
from asgiweb.forms import FormLimits

SEEN: list[str] = []


app = Application(max_body_size=0, form_limits=FormLimits(memory_size=100_000))


@app.post("/parts")
async def parts(request: Request) -> Response:
    before = peak()
    found = []
    try:
        async for part in request.multipart():
            digest = hashlib.sha256()
            async for piece in part:
                digest.update(piece)
                see(request, "piece")
            found.append([part.name, part.filename, digest.hexdigest()])
    except ClientDisconnected:
        see(request, "left")
        raise
    return json_response({"parts": found, "growth": peak() - before})


@app.post("/form")
async def form(request: Request) -> Response:
    before = peak()
    try:
        fields = await request.form()
    except ClientDisconnected:
        see(request, "left")
        raise
    found: list[list[object]] = []
    for file in fields.files("file"):
        digest = hashlib.sha256()
        async for piece in file:
            digest.update(piece)
        found.append([file.filename, file.in_memory, digest.hexdigest()])
    return json_response({"text": fields.text("text"), "files": found, "growth": peak() - before})


@app.get("/poll")
@app.post("/poll")
async def poll(request: Request) -> Response:
    see(request, "polling")
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)
    see(request, "left")
    return Response(await request.body())


@app.get("/ask")
@app.post("/ask")
async def ask(request: Request) -> Response:
    answers = [await request.is_disconnected() for _ in range(3)]
    return json_response([answers, (await request.body()).decode()])


@app.get("/seen")
async def seen(request: Request) -> Response:
    return json_response(SEEN)


def see(request: Request, what: str) -> None:
    line = f"{what} {request.query.get('name', '')}"
    if line not in SEEN:
        SEEN.append(line)


def peak() -> int:
    """Return the most memory that the process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
