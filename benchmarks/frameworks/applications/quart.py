"""The application in Quart; it has no validation of its own."""

from __future__ import annotations

import msgspec
from quart import Quart, Response, request

from .content import HELLO, dumps, item_from, user
from .raw import PassThrough


async def hello() -> Response:
    """Answer with text."""
    return Response(HELLO, mimetype="text/plain")


async def show_user(id: int) -> Response:
    """Answer with JSON."""
    return Response(dumps(user(id)), mimetype="application/json")


async def create_item() -> Response:
    """Validate JSON, and send it back."""
    item = item_from(await request.get_data())
    return Response(msgspec.json.encode(item), mimetype="application/json")


def application(middlewares: int = 0) -> Quart:
    """Make the application."""
    app = Quart("benchmark")
    app.add_url_rule("/", view_func=hello)
    app.add_url_rule("/users/<int:id>", view_func=show_user)
    app.add_url_rule("/items", view_func=create_item, methods=["POST"])
    for _ in range(middlewares):
        app.asgi_app = PassThrough(app.asgi_app)  # type: ignore[method-assign]
    return app


app = application()
