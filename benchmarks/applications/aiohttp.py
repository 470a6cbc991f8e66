"""The application for aiohttp's own server."""

import asyncio
import logging

import uvloop
from aiohttp import web

from .content import CHUNK, CHUNKS, FILE, HELLO, LARGE
from .native import arguments


async def hello(request: web.Request) -> web.Response:
    """Answer with 13 bytes."""
    return web.Response(text=HELLO.decode())


async def echo(request: web.Request) -> web.Response:
    """Answer with the request's body."""
    return web.Response(body=await request.read())


async def count(request: web.Request) -> web.Response:
    """Answer with the length of the request's body."""
    return web.Response(text=str(len(await request.read())))


async def large(request: web.Request) -> web.Response:
    """Answer with 1 MiB."""
    return web.Response(body=LARGE)


async def chunks(request: web.Request) -> web.StreamResponse:
    """Stream 100 chunks of 1 KiB, with no length announced."""
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(CHUNKS):
        await response.write(CHUNK)
    await response.write_eof()
    return response


async def file(request: web.Request) -> web.FileResponse:
    """Answer with a file."""
    return web.FileResponse(FILE)


ROUTES = [
    web.post("/echo", echo),
    web.post("/count", count),
    web.get("/large", large),
    web.get("/chunks", chunks),
    web.get("/file", file),
    web.get("/{path:.*}", hello),
]

if __name__ == "__main__":
    asked = arguments()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    app = web.Application(client_max_size=2 * len(LARGE))
    app.add_routes(ROUTES)
    web.run_app(
        app,
        host="127.0.0.1",
        port=asked.port,
        access_log=logging.getLogger("aiohttp.access") if asked.access_log else None,
        loop=uvloop.new_event_loop() if asked.loop == "uvloop" else asyncio.new_event_loop(),
        print=None,
    )
