"""The application on aiohttp's own server; it has no validation of its own."""

from __future__ import annotations

import asyncio

import msgspec
import uvloop
from aiohttp import web

from ...applications.native import arguments
from .content import HELLO, dumps, item_from, user


async def hello(request: web.Request) -> web.Response:
    """Answer with text."""
    return web.Response(text=HELLO)


async def show_user(request: web.Request) -> web.Response:
    """Answer with JSON."""
    return web.json_response(user(int(request.match_info["id"])), dumps=dumps)


async def create_item(request: web.Request) -> web.Response:
    """Validate JSON, and send it back."""
    item = item_from(await request.read())
    return web.Response(body=msgspec.json.encode(item), content_type="application/json")


if __name__ == "__main__":
    asked = arguments()
    app = web.Application()
    app.add_routes(
        [web.get("/", hello), web.get(r"/users/{id:\d+}", show_user), web.post("/items", create_item)]
    )
    loop = uvloop.new_event_loop() if asked.loop == "uvloop" else asyncio.new_event_loop()
    web.run_app(app, host="127.0.0.1", port=asked.port, access_log=None, loop=loop, print=None)
