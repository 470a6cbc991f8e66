"""The application on sanic's own server; it has no validation of its own.

It takes no part in one process: as an ASGI application sanic rewrites its own methods when it starts, which goes
well once in a process.
"""

from __future__ import annotations

import msgspec
from sanic import HTTPResponse, Request, Sanic
from sanic.response import json, text

from ...applications.native import arguments
from .content import HELLO, item_from, user


async def hello(request: Request) -> HTTPResponse:
    """Answer with text."""
    return text(HELLO)


async def show_user(request: Request, id: int) -> HTTPResponse:
    """Answer with JSON."""
    return json(user(id))


async def create_item(request: Request) -> HTTPResponse:
    """Validate JSON, and send it back."""
    return json(item_from(request.body), dumps=msgspec.json.encode)


if __name__ == "__main__":
    asked = arguments()
    app = Sanic("benchmark")
    app.add_route(hello, "/")
    app.add_route(show_user, "/users/<id:int>")
    app.add_route(create_item, "/items", methods=["POST"])
    app.config.USE_UVLOOP = asked.loop == "uvloop"
    app.run("127.0.0.1", asked.port, access_log=asked.access_log, single_process=True, motd=False)
